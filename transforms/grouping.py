"""Rows by what they share, at the cost of the distinct cases and not of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from transforms.integers import Integers, Mask
from transforms.python_values import rows_as_dicts
from transforms.texts import values_and_codes

_NO_DAY = -(2**31)


def distinct_cases(table: pa.Table, names: Sequence[str]) -> tuple[Integers, list[dict[str, Any]]]:
    """Number the distinct values of some columns (null is a value), and give each of them by column name."""
    numbers, cases = distinct_rows(table, names)
    return numbers, rows_as_dicts(cases)


def distinct_rows(table: pa.Table, names: Sequence[str]) -> tuple[Integers, pa.Table]:
    """As `distinct_cases`, each case as a row of these columns."""
    numbers, first = case_numbers([column_codes(table.column(name)) for name in names])
    return numbers, table.select(list(names)).take(pa.array(first))


def case_numbers(codes: Sequence[tuple[Integers, int]]) -> tuple[Integers, Integers]:
    """Number the distinct combinations of codes, in the order they are first seen.

    Args:
        codes: for each column the rows' codes from 0, and how many codes there may be.

    Returns:
        Each row's number, and each number's first row.
    """
    mixed, size = codes[0]
    mixed = mixed.astype(np.int64)
    for more, count in codes[1:]:
        if size * count >= 2**62:
            mixed, distinct = pd.factorize(mixed)
            size = len(distinct)
        mixed, size = mixed * count + more, size * count
    numbers, distinct = pd.factorize(mixed)
    return numbers, first_rows(numbers, len(distinct))


def first_rows(numbers: Integers, cases: int) -> Integers:
    """The first row of each case; `numbers` are the rows' cases."""
    first = np.full(cases, len(numbers), dtype=np.int64)
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    return first


def like_the_one_before(order: Integers, *columns: Integers) -> Mask:
    """Which rows, in that order, have the same values in all columns as the row before."""
    alike = np.arange(len(order)) > 0
    for column in columns:
        ordered = column[order]
        alike[1:] &= ordered[1:] == ordered[:-1]
    return alike


def column_codes(column: pa.Array | pa.ChunkedArray) -> tuple[Integers, int]:
    """Codes from 0 of the rows' values, null among them, and how many codes there may be."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        values, codes = values_and_codes(column)
        return codes, len(values) + 1
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_date32(array.type):
        # A day that nobody writes stands for none.
        days, distinct = pd.factorize(np.asarray(array.cast(pa.int32()).fill_null(_NO_DAY)))
        return days, len(distinct)
    encoded = array.dictionary_encode("encode")
    return np.asarray(encoded.indices), len(encoded.dictionary)


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
