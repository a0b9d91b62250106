"""Rows by what they share, at the cost of the distinct cases and not of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from transforms.money import Integers


def distinct_cases(table: pa.Table, names: Sequence[str]) -> tuple[Integers, list[dict[str, Any]]]:
    """Number the distinct values of some columns (null is a value), and give each of them by column name."""
    table = table.select(list(names))
    codes = {name: table.column(name).combine_chunks().dictionary_encode("encode").indices for name in names}
    frame = pd.DataFrame({name: np.asarray(column) for name, column in codes.items()})
    numbers: Integers = frame.groupby(list(names), sort=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return numbers, table.take(pa.array(first)).to_pylist()


class RowsByCase:
    """How many rows have each number of `distinct_cases`, and which; they are sorted when the first are asked for."""

    def __init__(self, numbers: Integers, cases: int) -> None:
        """`cases` is how many numbers there are."""
        self._numbers = numbers
        self.counts: Integers = np.bincount(numbers, minlength=cases)

    def rows(self, case: int) -> list[int]:
        """The rows of one case, in their order."""
        end = int(self._ends[case])
        rows: list[int] = self._order[end - int(self.counts[case]) : end].tolist()
        return rows

    @cached_property
    def _order(self) -> Integers:
        return np.argsort(self._numbers, kind="stable")

    @cached_property
    def _ends(self) -> Integers:
        return np.cumsum(self.counts)
