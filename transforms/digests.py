"""Digests of rows and tables, by columns: texts are digested once for each distinct one, rows are mixed from those."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns import Kind
from transforms.integers import owned
from transforms.text_words import text_words
from transforms.texts import values_and_codes

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
#: At how many decimals numbers are compared; no column has more.
_DECIMALS = 22
#: By what numbers and dates are spread, whose own bits are no digest.
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_TURN = np.uint64(32)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_ID_BYTES = 12


def hash_rows(columns: Sequence[pa.Array | pa.ChunkedArray]) -> tuple[Hashes, Hashes]:
    """128 bits for each row, in two halves, of its values in these columns in their order; null is a value too."""
    rows = len(columns[0]) if columns else 0
    halves = _start(rows, len(columns))
    for column in columns:
        codes, digests = _digest_values(column)
        _mix(halves, (digests[:, 0][codes], digests[:, 1][codes]))
    return halves


def identities(first: Hashes, second: Hashes) -> pa.Array:
    """The identity that each key of `hash_rows` stands for: 24 hexadecimal digits of it."""
    words = np.stack([first, second], axis=1).view(np.uint8).reshape(-1, 16)[:, :_ID_BYTES]
    digits = np.empty((len(words), 2 * _ID_BYTES), dtype=np.uint8)
    digits[:, 0::2] = _HEX[words >> 4]
    digits[:, 1::2] = _HEX[words & 15]
    offsets = np.arange(len(words) + 1, dtype=np.int32) * (2 * _ID_BYTES)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))]
    return owned(pa.Array.from_buffers(pa.string(), len(words), buffers))


class TableDigest:
    """SHA-256 of a table's rows whatever their order and however they are cut: equal sets of rows have equal ones."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = [0, 0, 0]

    def add(self, table: pa.Table) -> None:
        """Count more rows; every part has the same columns in the same order."""
        rows = np.full(table.num_rows, np.uint64(table.num_columns), dtype=np.uint64)
        for column in table.columns:
            _mix((rows,), (_first_word(column),))
        # Mixed in two more ways, so that the sum of rows does not cancel what differs between them.
        again = (rows ^ (rows >> _TURN)) * _SPREAD
        self._rows += table.num_rows
        for place, part in enumerate((rows, again, (again ^ (again >> np.uint64(29))) * _ODD[1])):
            self._sums[place] = (self._sums[place] + int(part.sum(dtype=np.uint64))) % 2**64

    def merge(self, other: TableDigest) -> None:
        """Count the rows of another digest."""
        self._rows += other._rows
        self._sums = [(one + its) % 2**64 for one, its in zip(self._sums, other._sums, strict=True)]

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(":".join(map(str, [self._rows, *self._sums])).encode()).hexdigest()


def combined_digest(*digests: str) -> str:
    """SHA-256 of several digests in their order."""
    return hashlib.sha256(":".join(digests).encode()).hexdigest()


def text_hashes(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A digest of each text in two words, one row a text; the same in every version."""
    # To copy an empty digest takes two thirds of the time to make one.
    empty = hashlib.blake2b(digest_size=16).copy
    digests = []
    for text in texts.cast(pa.binary()).to_pylist():
        digest = empty()
        digest.update(text)
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)


def mix(columns: Sequence[tuple[Hashes, Hashes]]) -> tuple[Hashes, Hashes]:
    """128 bits for each row, in two halves, of words that tell its values; see `words_of`."""
    halves = _start(len(columns[0][0]), len(columns))
    for words in columns:
        _mix(halves, words)
    return halves


def words_of(column: pa.Array | pa.ChunkedArray) -> tuple[Hashes, Hashes]:
    """Two words that tell each value of a column from others; equal numbers have equal ones whatever their scale."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        values, codes = values_and_codes(column)
        first, second = (np.append(words, np.uint64(0)) for words in text_words(values))
        return first[codes], second[codes]
    return words_of_integers(*_integers(column))


def _first_word(column: pa.ChunkedArray) -> Hashes:
    """The first of the words of `words_of`."""
    if pa.types.is_string(column.type) and not column.null_count:
        return text_words(column.combine_chunks())[0]
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return words_of(column)[0]
    return _spread(*_integers(column))


def _integers(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A number or date as 64 bits, and where there is one."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_decimal(array.type):
        low = np.frombuffer(array.buffers()[1], dtype=np.uint64)[0::2][array.offset : array.offset + len(array)]
        whole = low * np.uint64(10 ** (_DECIMALS - array.type.scale) % 2**64)
    else:
        whole = np.asarray(array.cast(_INTEGER[array.type]).cast(pa.int64()).fill_null(0)).view(np.uint64)
    return whole, np.asarray(pc.is_valid(array))


def words_of_integers(whole: np.ndarray[Any, Any], valid: np.ndarray[Any, Any]) -> tuple[Hashes, Hashes]:
    """The same for integers; where they are not `valid` there is no value."""
    first = _spread(whole, valid)
    return first, (first ^ (first >> _TURN)) * _ODD[1]


def _spread(whole: np.ndarray[Any, Any], valid: np.ndarray[Any, Any]) -> Hashes:
    spread = (whole.view(np.uint64) ^ (whole.view(np.uint64) >> _TURN)) * _SPREAD
    spread = (spread ^ (spread >> _TURN)) * _SPREAD + np.uint64(1)
    return spread if valid.all() else np.where(valid, spread, np.uint64(0))


def _start(rows: int, columns: int) -> tuple[Hashes, Hashes]:
    first = np.full(rows, np.uint64(columns), dtype=np.uint64)
    return first, first.copy()


def _mix(halves: tuple[Hashes, ...], words: tuple[Hashes, ...]) -> None:
    for half, odd, word in zip(halves, _ODD, words, strict=False):
        half ^= word
        half *= odd
        half ^= half >> np.uint64(29)


def _digest_values(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Codes of the rows and a digest for each code; the last code is null."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        values, codes = values_and_codes(column)
    else:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        encoded = array.dictionary_encode()
        values = encoded.dictionary.cast(pa.string())
        codes = np.asarray(encoded.indices.fill_null(len(values)))
    return codes, np.concatenate([text_hashes(values), np.zeros((1, 2), dtype=np.uint64)])


_INTEGER = {
    pa.int64(): pa.int64(), pa.bool_(): pa.int64(), pa.date32(): pa.int32(), Kind.TIMESTAMP.arrow_type: pa.int64(),
}  # fmt: skip
