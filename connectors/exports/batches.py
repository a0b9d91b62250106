"""What the readers of delimited text, JSON and Parquet have in common: a stream of batches of text columns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

#: Why a row with a NUL character is put aside: PostgreSQL has no text with one.
NUL_TEXT = "it holds a NUL character, which no text has: export it again"

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Unreadable:
    """A row that could not even be split into columns."""

    source_row: int
    raw_text: str
    reason: str


@dataclass(frozen=True)
class TextBatch:
    """Some rows of a file, not interpreted yet.

    Attributes:
        texts: delivered column names to string columns, or to other types whose text is exact.
        source_rows: each row's number in the file.
        raw_text: gives a row of `texts` as delivered, by its position.
        unreadable: the rows among these that are not in `texts`.
    """

    texts: pa.Table
    source_rows: Rows
    raw_text: Callable[[int], str]
    unreadable: list[Unreadable] = field(default_factory=list)


#: Parses some rows; whoever calls it may be another thread, or process.
Load = Callable[[], TextBatch]


def loaded(batch: TextBatch) -> Load:
    """Rows that are parsed already."""
    return functools.partial(_itself, batch)


def _itself(batch: TextBatch) -> TextBatch:
    return batch


@dataclass(frozen=True)
class Source:
    """A file whose column names are known and whose rows can be read, also repeatedly.

    Attributes:
        names: delivered column names; of JSON Lines those of the first lines.
        read: gives what parses the batches, in their order; with a list of names only those columns, else all.
        may_have_decimal_comma: whether its delimiter leaves the comma free.
        names_may_grow: whether later rows may have columns that are not in `names` (JSON Lines).
        absent_is_null: whether a row may leave out a column in which it has no value (JSON), so that one that no row
            has says nothing against the file.
        ranges: as `read` of all columns, but what parses a batch reads its bytes from the file itself; None where the
            file cannot be cut.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str] | None], Iterator[Load]]
    may_have_decimal_comma: bool = False
    names_may_grow: bool = False
    absent_is_null: bool = False
    ranges: Callable[[], Iterator[Load]] | None = None


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether bytes are UTF-8, by Arrow's check, which reads them in place."""
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
