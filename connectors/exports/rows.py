"""Where the rows of delimited text begin and end, found without parsing the fields.

A quotation mark opens a field only at its start and closes it only before a delimiter or a line end; a doubled one
stands for itself. Where all marks of a block keep to that, rows are found by counting. Where one does not, the block
is walked row by row and each offending line is marked as broken.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.exports.limits import MAX_ROW_BYTES, MAX_RUNAWAY_QUOTES, QUOTE_WINDOW_BYTES, are_short

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")
_PIECE_BYTES = 1 << 18


class RunawayQuotesError(ValueError):
    """Rows whose quotation marks are opened and not closed for pages, again and again."""


class ShortLinesError(ValueError):
    """So many lines (`lines`) that they are too short to be rows of an export."""

    def __init__(self, lines: int) -> None:
        super().__init__(lines)
        self.lines = lines


@dataclass(frozen=True)
class RowIndex:
    """The rows of a block.

    Attributes:
        starts: offset of each row's first byte.
        ends: offset after each row's last byte, the line end not included.
        broken: rows whose quotation marks do not pair up.
        consumed: bytes of the block that these rows take with their line ends; the rest belongs to the next block.
    """

    starts: Offsets
    ends: Offsets
    broken: Mask
    consumed: int


def index_rows(block: bytes | memoryview, delimiter: int, *, is_last: bool) -> RowIndex:
    """Find the rows of a block that starts at the beginning of a row.

    Args:
        block: the bytes, UTF-8 or anything else that keeps ASCII.
        delimiter: the delimiter's byte.
        is_last: whether the text ends with this block, so that its last line is a row also without a line end.

    Raises:
        RunawayQuotesError: too many quotation marks are never closed, each followed to the end of the block.
        ShortLinesError: the block has more lines than rows of an export could be.
    """
    array = np.frombuffer(block, dtype=np.uint8)
    _check_lines(array, _LF)
    feeds = _places(array, _LF)
    alone = _lone_returns(array, feeds, is_last=is_last)
    quotes = _places(array, _QUOTE)
    if len(quotes) and not _well_formed(array, quotes, delimiter, is_last=is_last):
        return _walk(block, delimiter, is_last=is_last)
    breaks = np.sort(np.concatenate((feeds, alone))) if len(alone) else feeds
    if len(quotes):
        breaks = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
    consumed = int(breaks[-1]) + 1 if len(breaks) else 0
    if not is_last and len(block) - consumed > MAX_ROW_BYTES:
        return _walk(block, delimiter, is_last=False)
    starts = np.concatenate(([0], breaks + 1)).astype(np.int64)
    if is_last and consumed < len(block):
        consumed = len(block)
        ends = np.append(breaks, consumed)
    else:
        starts, ends = starts[:-1], breaks
    after_cr = (ends > starts) & (ends < len(block)) & (array[np.maximum(ends - 1, 0)] == _CR)
    return RowIndex(starts, ends - after_cr, np.zeros(len(starts), dtype=np.bool_), consumed)


def _places(array: Bytes, byte: int) -> Offsets:
    """Offsets of a byte."""
    found = [np.flatnonzero(marks) + at for at, marks in _marks(array, byte)]
    return np.concatenate([np.empty(0, dtype=np.int64), *found])


def _marks(array: Bytes, byte: int) -> Iterator[tuple[int, Mask]]:
    """Where a byte stands, piece by piece with its offset: a whole block's would not stay in the processor's cache."""
    for at in range(0, len(array), _PIECE_BYTES):
        yield at, array[at : at + _PIECE_BYTES] == byte


def _lone_returns(array: Bytes, feeds: Offsets, *, is_last: bool) -> Offsets:
    """Offsets of carriage returns that stand alone; raises ShortLinesError.

    At the end of a block that is not the last one none does: its line feed may open the next block.
    """
    if _check_lines(array, _CR) == np.count_nonzero(array[feeds[feeds > 0] - 1] == _CR):
        return np.empty(0, dtype=np.int64)
    returns = _places(array, _CR)
    alone = array[np.minimum(returns + 1, len(array) - 1)] != _LF
    return returns[np.where(returns == len(array) - 1, is_last, alone)]


def _check_lines(array: Bytes, end: int) -> int:
    """How many lines end with that byte; raises ShortLinesError where they are too many."""
    lines = sum(int(np.count_nonzero(marks)) for _, marks in _marks(array, end))
    if are_short(lines, len(array)):
        raise ShortLinesError(lines)
    return lines


def _well_formed(array: Bytes, quotes: Offsets, delimiter: int, *, is_last: bool) -> bool:
    """Whether opening marks stand at the start of a field and closing ones at its end."""
    if len(quotes) % 2 and is_last:
        return False
    before, after = quotes[::2] - 1, quotes[1::2] + 1
    # At the beginning and the end of the block there is nothing beside a mark.
    neighbours = array[np.concatenate((before[before >= 0], after[after < len(array)]))]
    edges = (neighbours == delimiter) | (neighbours == _QUOTE) | (neighbours == _LF) | (neighbours == _CR)
    return bool(edges.all())


@functools.cache
def _patterns(delimiter: int) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A well-formed row, and a beginning of one that runs out within a quoted field."""
    d = re.escape(bytes([delimiter]))
    quoted = rb'"(?>[^"]+|"")*+"'
    plain = rb'(?:[^"\r\n' + d + rb"][^\r\n" + d + rb"]*+)?"
    field = rb"(?>" + quoted + rb"|" + plain + rb")"
    row = re.compile(field + rb"(?>" + d + field + rb")*+(?=[\r\n]|\Z)")
    unfinished = re.compile(rb"(?>" + field + d + rb")*+" + rb'"(?>[^"]+|"")*+"?\Z')
    return row, unfinished


def _walk(block: bytes | memoryview, delimiter: int, *, is_last: bool) -> RowIndex:
    """Find the rows one by one; a line that is no row is marked as broken and the next line starts afresh."""
    row, unfinished = _patterns(delimiter)
    line_end = re.compile(rb"\r\n|\n|\r")
    starts: list[int] = []
    ends: list[int] = []
    broken: list[bool] = []
    at = runaway = 0
    while at < len(block):
        # Within a window first: a mark that is never closed would otherwise be followed to the end from every line.
        limit = min(at + QUOTE_WINDOW_BYTES, len(block))
        found = row.match(block, at, limit)
        if limit < len(block) and (found.end() == limit if found else unfinished.match(block, at, limit)):
            found = row.match(block, at)
            runaway += not found
            if runaway > MAX_RUNAWAY_QUOTES:
                raise RunawayQuotesError
        if not found and not is_last and len(block) - at <= MAX_ROW_BYTES and unfinished.match(block, at):
            break
        end = line_end.search(block, found.end() if found else at)
        runs_out = end is None or (end.end() == len(block) and end[0] == b"\r")
        if runs_out and not is_last and len(block) - at <= MAX_ROW_BYTES:
            break
        starts.append(at)
        ends.append(end.start() if end else len(block))
        broken.append(not found)
        at = end.end() if end else len(block)
    return RowIndex(np.array(starts, np.int64), np.array(ends, np.int64), np.array(broken, np.bool_), at)
