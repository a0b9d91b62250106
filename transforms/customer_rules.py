"""What each line's customer is judged by, laid beside the lines."""

from __future__ import annotations

import pyarrow as pa

from transforms.integers import Integers
from transforms.money import Fixed
from transforms.policy import CustomerRules, Policy
from transforms.tables.sources import PRICE_LIST
from transforms.texts import values_and_codes


class LineRules:
    """The policy as it stands for the customer of each line."""

    def __init__(self, policy: Policy, customers: pa.Array | pa.ChunkedArray) -> None:
        """Look the customers up; `customers` is the lines' column of customer ids."""
        names, self._codes = values_and_codes(customers)
        self._rules = policy.of_each([*names.to_pylist(), None])

    def of(self, row: int) -> CustomerRules:
        """The rules of one line."""
        return self._rules[int(self._codes[row])]

    def column(self, name: str, rows: Integers) -> Fixed:
        """One number of the rules, `margin_floor` or a tolerance, for each of these lines."""
        values = pa.array([getattr(rules, name) for rules in self._rules], PRICE_LIST["unit_price"].kind.arrow_type)
        return Fixed.from_arrow(values).take(self._codes[rows])
