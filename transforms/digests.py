"""Digests of rows and tables, by columns: every distinct value is digested once, rows are mixed from those."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


def hash_rows(columns: Sequence[pa.Array]) -> tuple[Hashes, Hashes]:
    """128 bits for each row, in two halves, of its values in these columns in their order; null is a value too."""
    rows = len(columns[0]) if columns else 0
    halves = tuple(np.full(rows, np.uint64(len(columns)), dtype=np.uint64) for _ in _ODD)
    for column in columns:
        codes, digests = _digest_values(column)
        for half, odd, column_digests in zip(halves, _ODD, digests.T, strict=True):
            half ^= column_digests[codes]
            half *= odd
            half ^= half >> np.uint64(29)
    return halves[0], halves[1]


def digest_table(table: pa.Table) -> str:
    """SHA-256 of a table's rows whatever their order: equal sets of rows, counted, have equal digests."""
    first, second = hash_rows([table.column(name).combine_chunks() for name in table.column_names])
    # Mixed once more, so that the sum of rows does not cancel what differs between them.
    mixed = (first * _ODD[1]) ^ (second >> np.uint64(31))
    parts = [table.num_rows, int(first.sum(dtype=np.uint64)), int(second.sum(dtype=np.uint64)),
             int(mixed.sum(dtype=np.uint64))]  # fmt: skip
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()


def combined_digest(*digests: str) -> str:
    """SHA-256 of several digests in their order."""
    return hashlib.sha256(":".join(digests).encode()).hexdigest()


def _digest_values(column: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Codes of the rows and a digest for each code; the last code is null."""
    encoded = column.dictionary_encode()
    texts = encoded.dictionary.cast(pa.string()).to_pylist()
    digests = np.zeros((len(texts) + 1, 2), dtype=np.uint64)
    for place, text in enumerate(texts):
        digests[place] = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype=np.uint64)
    return np.asarray(encoded.indices.fill_null(len(texts))), digests
