"""Rows by what they share, at the cost of the distinct cases and not of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from transforms.money import Integers


def distinct_cases(table: pa.Table, names: Sequence[str]) -> tuple[Integers, list[dict[str, Any]]]:
    """Number the distinct values of some columns (null is a value), and give the first row of each as a dictionary."""
    codes = {name: table.column(name).combine_chunks().dictionary_encode("encode").indices for name in names}
    frame = pd.DataFrame({name: np.asarray(column) for name, column in codes.items()})
    numbers: Integers = frame.groupby(list(names), sort=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return numbers, table.take(pa.array(first)).to_pylist()


class RowsByCase:
    """Which rows have each number of `distinct_cases`."""

    def __init__(self, numbers: Integers, cases: int) -> None:
        """Sort the rows once; `cases` is how many numbers there are."""
        self._order = np.argsort(numbers, kind="stable")
        self._ends = np.cumsum(np.bincount(numbers, minlength=cases))

    def rows(self, case: int) -> list[int]:
        """The rows of one case, in their order."""
        start = self._ends[case - 1] if case else 0
        rows: list[int] = self._order[start : self._ends[case]].tolist()
        return rows
