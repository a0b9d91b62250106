"""Where the rows of delimited text begin and end, found without parsing the fields.

A quotation mark opens a field only at its start and closes it only before a delimiter or a line end; a doubled one
stands for itself. Where all marks of a block keep to that, rows are found by counting. Where one does not, the block
is walked row by row and each offending line is marked as broken.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    marks = _marks(array, delimiter)
    if not marks.fit or (is_last and marks.quotes % 2):
        return _walk(block, delimiter, is_last=is_last)
    breaks = marks.feeds[~marks.quoted] if marks.quotes else marks.feeds
    alone = _lone_returns(array, marks, is_last=is_last)
    if len(alone):
        breaks = np.sort(np.concatenate((breaks, alone)))
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


class _Marks(NamedTuple):
    """What delimits the rows of a block.

    Attributes:
        feeds: offsets of line feeds.
        quoted: which of them stand within quotation marks.
        returns: how many carriage returns there are.
        quotes: how many quotation marks.
        fit: whether opening ones stand at the start of a field and closing ones at its end.
    """

    feeds: Offsets
    quoted: Mask
    returns: int
    quotes: int
    fit: bool


def _marks(array: Bytes, delimiter: int) -> _Marks:
    """Look through a block, piece by piece: a whole one would not stay in the processor's cache.

    Raises:
        ShortLinesError: it has too many lines.
    """
    edges = _edges(delimiter)
    feeds, quoted = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.bool_)]
    lines = returns = quotes = 0
    fit = True
    for at in range(0, len(array), _PIECE_BYTES):
        piece = array[at : at + _PIECE_BYTES]
        ends, marks = np.flatnonzero(piece == _LF) + at, np.flatnonzero(piece == _QUOTE) + at
        lines += len(ends)
        returns += int(np.count_nonzero(piece == _CR))
        if are_short(max(lines, returns), len(array)):
            raise ShortLinesError(int(np.count_nonzero(array == (_LF if lines >= returns else _CR))))
        feeds.append(ends)
        quoted.append((np.searchsorted(marks, ends) + quotes) % 2 == 1)
        opening = quotes % 2
        # At the beginning and the end of the block there is nothing beside a mark: taken for it is the mark itself.
        for beside in (marks[opening::2] - 1, marks[1 - opening :: 2] + 1):
            fit = fit and bool(edges[array.take(beside, mode="clip")].all())
        quotes += len(marks)
    return _Marks(np.concatenate(feeds), np.concatenate(quoted), returns, quotes, fit)


def _lone_returns(array: Bytes, marks: _Marks, *, is_last: bool) -> Offsets:
    """Offsets of carriage returns that stand alone, outside of quotation marks.

    At the end of a block that is not the last one none does: its line feed may open the next block.
    """
    if marks.returns == np.count_nonzero(array[marks.feeds[marks.feeds > 0] - 1] == _CR):
        return np.empty(0, dtype=np.int64)
    returns = np.flatnonzero(array == _CR)
    alone = array[np.minimum(returns + 1, len(array) - 1)] != _LF
    alone = np.where(returns == len(array) - 1, is_last, alone)
    alone &= np.searchsorted(np.flatnonzero(array == _QUOTE), returns) % 2 == 0
    found: Offsets = returns[alone]
    return found


@functools.cache
def _edges(delimiter: int) -> Mask:
    """Which bytes may stand beside a field's quotation marks."""
    edges = np.zeros(256, dtype=np.bool_)
    edges[[delimiter, _QUOTE, _LF, _CR]] = True
    return edges


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
