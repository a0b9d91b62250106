"""Texts told apart by 128 bits each, for whole columns at once, where nothing outside a run sees the bits.

What identifies a charge is digested by BLAKE2 (`transforms.digests.text_hashes`), text by text; that costs half a
microsecond each, too much for what only groups and compares the rows of one run.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

Words = np.ndarray[Any, np.dtype[np.uint64]]

_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_TURNS = (np.uint64(29), np.uint64(32))
_WORD = 8
#: Longer texts are few and are digested one by one.
_MOST_BYTES = 256


def text_words(texts: pa.Array) -> tuple[Words, Words]:
    """Two words for each text (no nulls), the same ones wherever the text comes again."""
    count = len(texts)
    if not count:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint64)
    starts, lengths, data = _bytes(texts)
    short = lengths <= _MOST_BYTES
    padded = _padded(data, starts, np.where(short, lengths, 0))
    used = -(-lengths // _WORD)
    halves = tuple(lengths.astype(np.uint64) * odd for odd in _ODD)
    for place in range(padded.shape[1]):
        within = used > place
        for half, odd, turn in zip(halves, _ODD, _TURNS, strict=True):
            mixed = (half ^ padded[:, place]) * odd
            mixed ^= mixed >> turn
            np.copyto(half, mixed, where=within)
    for row in np.flatnonzero(~short).tolist():
        text = data[starts[row] : starts[row] + lengths[row]].tobytes()
        digest = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), dtype=np.uint64)
        halves[0][row], halves[1][row] = digest
    return halves[0], halves[1]


def _bytes(texts: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Where each text begins, how long it is, and the bytes of all."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return ends[:-1], np.diff(ends), content


def _padded(data: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> Words:
    """Each text's bytes as words, filled up with zeros to the longest one."""
    width = -(-int(lengths.max()) // _WORD) * _WORD
    padded = np.zeros((len(lengths), width), dtype=np.uint8)
    if not width:
        return padded.view(np.uint64)
    first = int(lengths[0])
    if (lengths == first).all() and (np.diff(starts) == first).all():
        padded[:, :first] = data[starts[0] : starts[0] + first * len(lengths)].reshape(-1, first)
    else:
        before = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
        rows = np.repeat(np.arange(len(lengths)) * width, lengths)
        padded.reshape(-1)[rows + within] = data[np.repeat(starts, lengths) + within]
    return padded.view(np.uint64)
