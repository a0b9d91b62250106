"""Columns of text, made at once from columns of numbers: what a generator of large exports is made of.

Money is whole units of a decimal place in 64-bit integers; nothing here is a binary fraction.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Ints = np.ndarray[Any, np.dtype[np.int64]]

#: The letters of Microsoft's product and SKU ids: no vowels.
ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXZ"
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_GUID_PLACES = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])


def mixed(salt: int, numbers: Ints) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """64 bits for each number that look random and are always the same (the finaliser of splitmix64)."""
    bits = numbers.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def guids(salt: int, numbers: Ints) -> pa.Array:
    """A GUID for each number; the same salt and number give the same one."""
    words = np.stack([mixed(salt, numbers), mixed(salt + 1, numbers)], axis=1).view(np.uint8).reshape(-1, 16)
    text = np.full((len(numbers), 36), ord("-"), dtype=np.uint8)
    text[:, _GUID_PLACES[0::2]] = _DIGITS[words >> 4]
    text[:, _GUID_PLACES[1::2]] = _DIGITS[words & 15]
    return of_width(text)


def codes(salt: int, numbers: Ints, width: int) -> pa.Array:
    """An id of `width` letters of Microsoft's alphabet for each number."""
    bits, text = mixed(salt, numbers), np.empty((len(numbers), width), dtype=np.uint8)
    letters = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
    for place in range(width):
        text[:, place] = letters[bits % np.uint64(len(letters))]
        bits = bits // np.uint64(len(letters))
    return of_width(text)


def of_width(text: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """Rows of bytes, all equally long, as texts."""
    rows, width = text.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def plain(units: Ints, places: int) -> pa.Array:
    """Units of a decimal place in digits, without zeros at the end: 33336 at six places is 0.033336."""
    scale = 10**places
    size = np.abs(units)
    part = size % scale
    fraction = pc.ascii_rtrim(pc.utf8_slice_codeunits(pa.array(part + scale).cast(pa.string()), 1), "0")
    dot = pc.if_else(pa.array(part == 0), "", ".")
    sign = pc.if_else(pa.array(units < 0), "-", "")
    return joined(sign, pa.array(size // scale).cast(pa.string()), dot, fraction)


def as_usage_prints(units: Ints, places: int) -> pa.Array:
    """The same as the real daily usage has it, with zero as 0.00E+00."""
    return pc.if_else(pa.array(units == 0), "0.00E+00", plain(units, places))


def joined(*parts: Any) -> pa.Array:
    """The parts of each row, columns or constants, in one text."""
    return pc.binary_join_element_wise(*parts, "")


def taken(texts: pa.Array, rows: Ints) -> pa.Array:
    """The texts at these places."""
    return texts.take(pa.array(rows))


def put(file: BinaryIO, rows: pa.Array) -> None:
    """Write rows of text, line ends included, as they are."""
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)
    file.write(memoryview(rows.buffers()[2])[offsets[rows.offset] : offsets[rows.offset + len(rows)]])


def exchanged(units: Ints, places: int, rates: Ints, rate_places: int, kept: int) -> Ints:
    """Amount × rate in units of `kept` places, rounded half up, computed with 128-bit integers."""
    product = pc.multiply(_decimals(units, places), _decimals(rates, rate_places))
    rounded = pc.round(product, ndigits=kept, round_mode="half_towards_infinity").cast(pa.decimal128(38, kept))
    return np.frombuffer(rounded.buffers()[1], dtype=np.int64)[0::2][: len(units)].copy()


def _decimals(units: Ints, places: int) -> pa.Array:
    words = np.stack([units, np.where(units < 0, -1, 0)], axis=1).astype(np.int64)
    return pa.Array.from_buffers(pa.decimal128(18, places), len(units), [None, pa.py_buffer(words)])


def letters(number: int) -> str:
    """A number as four characters of product ids."""
    text = ""
    for _ in range(4):
        number, digit = divmod(number, len(ALPHABET))
        text = ALPHABET[digit] + text
    return text
