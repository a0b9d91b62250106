"""The integers behind exact numbers: int64 where every one is proven to fit, else Python's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from transforms.columns import Kind

Integers = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

INT64_MAX = 2**63 - 1


def decimals_of_words(high: Integers, low: Integers, kind: Kind, valid: Mask) -> pa.Array:
    """Arrow decimals of a kind from the two words (int64, uint64) of their integers; null where not `valid`."""
    words = np.empty((len(low), 2), dtype=np.int64)
    words[:, 0], words[:, 1] = low.view(np.int64), high
    bits = None if valid.all() else pa.array(valid).buffers()[1]
    return owned(pa.Array.from_buffers(kind.arrow_type, len(words), [bits, pa.py_buffer(words)]))


def owned(array: pa.Array) -> pa.Array:
    """The same array in memory of Arrow's own.

    Whoever reads memory that is NumPy's has to ask Python for it, buffer by buffer, and waits for other threads.
    """
    half = len(array) // 2
    return pa.concat_arrays([array.slice(0, half), array.slice(half)]) if half else array


def units_of(column: pa.Array, valid: Mask) -> Integers:
    """The integers behind Arrow decimals: int64 when every one fits, else Python integers."""
    words = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)
    words = words[column.offset : column.offset + len(column)]
    low, high = np.where(valid, words[:, 0], 0), np.where(valid, words[:, 1], 0)
    if bool((high == low >> 63).all()) and bool((low != np.iinfo(np.int64).min).all()):
        return low
    wide = high.astype(object) * 2**64 + low.view(np.uint64).astype(object)
    return np.asarray(wide)


def without_zeros(units: Integers, scale: int) -> tuple[Integers, int]:
    """Drop decimals that are zero in every row; short scales are left, because they are narrow enough."""
    for places in (16, 8, 4, 2):
        step = 10**places
        if scale - places >= 2 and not (units[:64] % step).any() and not (units % step).any():
            units, scale = units // step, scale - places
    return units, scale


def appended(held: Integers, rows: int, more: Integers) -> Integers:
    """An array whose first rows are those of `held`, with `more` behind them and zeros as room for others.

    The same memory while there is room in it: what others hold of its first rows stays as it is.
    """
    end = rows + len(more)
    if end > len(held):
        grown = np.zeros(2 * end, dtype=held.dtype)
        grown[:rows] = held[:rows]
        held = grown
    held[rows:end] = more
    return held


def largest(units: Integers) -> int:
    """The largest magnitude, 0 of no rows."""
    if not len(units):
        return 0
    return max(abs(int(units.max())), abs(int(units.min())))


def same_width(left: Integers, right: Integers, bound: int) -> tuple[Integers, Integers]:
    """Both as int64 when a result up to `bound` is proven to fit, else both as Python integers."""
    if bound <= INT64_MAX and left.dtype != object and right.dtype != object:
        return left, right
    return left.astype(object), right.astype(object)


def product(left: Integers, right: Integers) -> Integers:
    """Products, row by row, as int64 where every one fits."""
    left, right = same_width(left, right, largest(left) * largest(right))
    products: Integers = left * right
    return products


def powers(exponents: Integers) -> Integers:
    """10 to the power of each exponent (none negative), by table."""
    top = int(exponents.max()) if len(exponents) else 0
    table = np.array([10**power for power in range(top + 1)], dtype=np.int64 if top <= 18 else object)
    found: Integers = table[exponents]
    return found


def scaled_up(units: Integers, places: int) -> Integers:
    """The integers with so many decimals more."""
    if places == 0:
        return units
    return product(units, np.full(1, 10**places, dtype=np.int64 if places <= 18 else object))
