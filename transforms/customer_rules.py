"""What each line's customer is judged by, laid beside the lines."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from transforms.money import Fixed, Integers
from transforms.policy import CustomerRules, Policy
from transforms.tables.sources import PRICE_LIST


class LineRules:
    """The policy as it stands for the customer of each line."""

    def __init__(self, policy: Policy, customers: pa.Array | pa.ChunkedArray) -> None:
        """Look the customers up; `customers` is the lines' column of customer ids."""
        column = customers.combine_chunks() if isinstance(customers, pa.ChunkedArray) else customers
        encoded = column.dictionary_encode()
        self._rules = [policy.of(name) for name in [*encoded.dictionary.to_pylist(), None]]
        self._codes: Integers = np.asarray(encoded.indices.fill_null(len(self._rules) - 1))

    def of(self, row: int) -> CustomerRules:
        """The rules of one line."""
        return self._rules[int(self._codes[row])]

    def column(self, name: str, rows: Integers) -> Fixed:
        """One number of the rules, `margin_floor` or a tolerance, for each of these lines."""
        values = pa.array([getattr(rules, name) for rules in self._rules], PRICE_LIST["unit_price"].kind.arrow_type)
        return Fixed.from_arrow(values).take(self._codes[rows])
