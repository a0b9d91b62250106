"""Delimited text: comma, semicolon or tab, read in blocks of whole rows.

Rows are found before they are parsed, because a broken quote must not swallow the rows after it: a row whose quotes
do not pair up, or whose bytes are not UTF-8, is put aside by itself and reading goes on at the next line. Arrow then
parses the rest as text.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from connectors.exports import limits
from connectors.exports.batches import NUL_TEXT, Load, Rows, Source, TextBatch, Unreadable, is_utf8
from connectors.exports.containers import Content
from connectors.exports.file_digests import changed
from connectors.exports.kinds import UNKNOWN, recognise
from connectors.exports.rows import Mask, RowIndex, RunawayQuotesError, ShortLinesError, index_rows
from transforms.errors import InputError
from transforms.headers import fold
from transforms.tables import EXPORT_TABLES

DELIMITERS = (",", ";", "\t")
BLOCK_BYTES = 16 << 20
ARROW_BLOCK_BYTES = 2 << 20

_BROKEN_QUOTES = (
    "a quotation mark is opened and not closed before a delimiter, or a closing one is followed by text: double the "
    "quotation marks inside the field"
)


@dataclass(frozen=True)
class Header:
    """The header line: its delimiter, and the column names made unique."""

    delimiter: str
    names: tuple[str, ...]


def open_delimited(content: Content) -> Source:
    """Open delimited text by its header line.

    Raises:
        InputError: a declared column stands twice in the header, or the container is damaged.
    """
    header = _read_header(content.head(), content.source_file)

    def read(only: Sequence[str] | None) -> Iterator[Load]:
        return _read(content, header, only)

    def ranges() -> Iterator[Load]:
        return _cut(content, header, offset or 0)

    offset = content.text_offset()
    return Source(
        header.names, read, may_have_decimal_comma=header.delimiter != ",", ranges=None if offset is None else ranges
    )


def _read_header(head: bytes, name: str) -> Header:
    """Take the delimiter that yields the most known column names, else the most columns."""
    lines = re.split(r"\r\n|\r|\n", head.decode("utf-8", errors="replace"))
    line = next((line for line in lines if line), "")
    known = {fold(source) for table in EXPORT_TABLES.values() for column in table.columns for source in column.sources}
    candidates = []
    for delimiter in DELIMITERS:
        names = next(csv.reader([line], delimiter=delimiter), [])
        candidates.append((sum(fold(cell) in known for cell in names), len(names), delimiter, names))
    _, _, delimiter, names = max(candidates, key=lambda candidate: candidate[:2])
    if recognise(names).kind != UNKNOWN:
        # A header that goes on beyond the head has more columns than it may have.
        limits.check_columns(name, len(names) if len(line) < len(head) else max(len(names), limits.MAX_COLUMNS + 1))
    return Header(delimiter, _unique([cell.strip() for cell in names], known, name))


def _unique(names: Sequence[str], known: set[str], file_name: str) -> tuple[str, ...]:
    """Name empty and repeated undeclared columns apart; a declared column that stands twice is ambiguous."""
    counts = Counter(fold(cell) for cell in names)
    unique: list[str] = []
    for position, cell in enumerate(names, start=1):
        if cell and counts[fold(cell)] > 1 and fold(cell) in known:
            raise InputError(f"{file_name}: the column {cell} stands twice in the header: remove one of them")
        label = cell or f"column {position}"
        unique.append(f"{label} ({position})" if label in unique else label)
    return tuple(unique)


def _read(content: Content, header: Header, only: Sequence[str] | None) -> Iterator[Load]:
    """Cut the stream into blocks of whole rows to parse; the header is row 1 of the file."""
    for block in _blocks(functools.partial(_joined, content.chunks()), header, content.source_file):
        yield functools.partial(_parse, block, header, content.source_file, only)


def _cut(content: Content, header: Header, offset: int) -> Iterator[Load]:
    """The same blocks as ranges of the file on disk, where the text begins at the offset."""
    path = content.path.absolute()
    try:
        # Without a buffer: blocks are read into memory of their own.
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            for block in _blocks(_Window(file).after, header, content.source_file):
                index = replace(block, data=b"")
                yield _Range(path, offset + block.offset, len(block.data), index, header, content.source_file)
    except OSError as error:
        raise InputError(f"{content.shown}: cannot be read: {error.strerror or error}") from error


#: Gives the rest of a block with what comes after it, BLOCK_BYTES at least until the text ends, and whether it does.
_After = Callable[[bytes | memoryview], tuple[bytes | memoryview, bool]]


def _joined(chunks: Iterator[bytes], rest: bytes | memoryview) -> tuple[bytes, bool]:
    """See `_After`, of a stream."""
    pending, size = [rest], len(rest)
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            return b"".join(pending), False
    return b"".join(pending), True


class _Window:
    """A file, block by block in the same memory: fresh memory for each costs five times the reading (measured)."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._held = bytearray()

    def after(self, rest: bytes | memoryview) -> tuple[bytes | memoryview, bool]:
        """See `_After`; the block before is gone."""
        kept = bytes(rest)
        size, wanted = len(kept), max(BLOCK_BYTES, len(kept) + limits.CHUNK_BYTES)
        if wanted > len(self._held):
            self._held = bytearray(wanted)
        block = memoryview(self._held)
        block[:size] = kept
        while size < wanted:
            count = self._file.readinto(block[size:wanted])
            if not count:
                return block[:size], True
            size += count
        return block[:size], False


@dataclass(frozen=True)
class _Block:
    """Some bytes of the text with the rows that end in them.

    Attributes:
        data, index: the bytes and their rows; a row that does not end belongs to the next block.
        offset: where it begins in the text.
        row: number of its first row.
        has_begun: whether the header stands before the next one.
        keep: the rows that are to be parsed.
    """

    data: bytes | memoryview
    index: RowIndex
    offset: int
    row: int
    has_begun: bool
    keep: Mask

    @classmethod
    def of(
        cls, data: bytes | memoryview, header: Header, name: str, *, is_last: bool, offset: int, row: int,
        after_header: bool,
    ) -> _Block:  # fmt: skip
        """Find the rows of a block, the header not among those that are kept; raises InputError."""
        try:
            index = index_rows(data, ord(header.delimiter), is_last=is_last)
        except RunawayQuotesError:
            raise InputError(
                f"{name}: after row {row} a quotation mark is opened and not closed, again and again: export it again "
                "with the quotation marks inside a field doubled"
            ) from None
        except ShortLinesError as error:
            raise limits.short_lines(name, error.lines) from None
        overlong = np.flatnonzero(index.ends - index.starts > limits.MAX_ROW_BYTES)
        if len(overlong):
            raise limits.too_long(name, row + int(overlong[0]))
        blank = _blank(data, index, header)
        keep = ~index.broken & ~blank
        if not after_header and not blank.all():
            first = int(np.flatnonzero(~blank)[0])
            keep[: first + 1] = False
            index.broken[first] = False
        has_begun = after_header or not bool(blank.all())
        return cls(data, index, offset, row, has_begun, keep)


@dataclass(frozen=True)
class _Range:
    """A block, known but for its bytes, which are read from the file on disk when it is asked for."""

    path: Path
    offset: int
    size: int
    block: _Block
    header: Header
    name: str

    def __call__(self) -> TextBatch:
        """Read and parse its rows.

        Raises:
            InputError: the file is gone or shorter by now, or its rows cannot be told apart.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if len(data) != self.size:
            raise changed(self.name)
        return _parse(replace(self.block, data=data), self.header, self.name, None)


def _blank(block: bytes | memoryview, index: RowIndex, header: Header) -> Mask:
    """Rows without any value: empty lines, and the lines of bare delimiters that spreadsheets append."""
    lengths = index.ends - index.starts
    bare = header.delimiter.encode() * (len(header.names) - 1)
    blank: Mask = lengths == 0
    for at in np.flatnonzero(lengths == len(bare)).tolist():
        blank[at] = block[index.starts[at] : index.ends[at]] == bare
    return blank


def _blocks(after: _After, header: Header, name: str) -> Iterator[_Block]:
    rest: bytes | memoryview = b""
    offset, row, after_header, is_last = 0, 1, False, False
    while not is_last:
        data, is_last = after(rest)
        if is_last and not data:
            return
        block = _Block.of(data, header, name, is_last=is_last, offset=offset, row=row, after_header=after_header)
        yield block
        rest = data[block.index.consumed :]
        offset += block.index.consumed
        row += len(block.index.starts)
        after_header = block.has_begun


def _parse(found: _Block, header: Header, name: str, only: Sequence[str] | None) -> TextBatch:
    """Parse the rows of a block; may be called again."""
    block, index, keep = found.data, found.index, found.keep.copy()
    # What is cut for others was looked at in memory that the next block takes; they read it themselves.
    assert isinstance(block, bytes)
    numbers: Rows = found.row + np.arange(len(index.starts), dtype=np.int64)
    broken = np.flatnonzero(index.broken).tolist()
    if broken:
        limits.check_rejected(name, len(broken), int(numbers[broken[0]]), _BROKEN_QUOTES)
    unreadable = [Unreadable(int(numbers[at]), _raw(block, index, at), _BROKEN_QUOTES) for at in broken]
    if b"\0" in block or not is_utf8(memoryview(block)[: index.consumed]):
        for at in np.flatnonzero(keep).tolist():
            error = _text_error(block[index.starts[at] : index.ends[at]])
            if error:
                limits.check_rejected(name, len(unreadable) + 1, int(numbers[at]), error)
                keep[at] = False
                unreadable.append(Unreadable(int(numbers[at]), _raw(block, index, at), error))
    kept = np.flatnonzero(keep)
    longest = int((index.ends - index.starts).max(initial=0))
    texts, ragged = _arrow(_kept_bytes(block, index, keep), longest, header, only, name)
    if ragged:
        at, actual = ragged[0]
        reason = _ragged_reason(actual, len(header.names))
        limits.check_rejected(name, len(unreadable) + len(ragged), int(numbers[kept[at]]), reason)
    for at, actual in ragged:
        position = int(kept[at])
        unreadable.append(
            Unreadable(int(numbers[position]), _raw(block, index, position), _ragged_reason(actual, len(header.names)))
        )
    if ragged:
        kept = np.delete(kept, [at for at, _ in ragged])
    if texts.num_rows != len(kept):
        raise InputError(f"{name}: its rows cannot be told apart: export it again as CSV UTF-8")
    repeated = _repeated_headers(texts, header, numbers[kept], name)
    if repeated is not None:
        texts, kept = texts.filter(pa.array(~repeated)), kept[~repeated]
    return TextBatch(
        texts=texts,
        source_rows=numbers[kept],
        raw_text=lambda at: _raw(block, index, int(kept[at])),
        unreadable=sorted(unreadable, key=lambda row: row.source_row),
    )


def _arrow(
    data: bytes | memoryview, longest: int, header: Header, only: Sequence[str] | None, name: str
) -> tuple[pa.Table, list[tuple[int, int]]]:
    """Parse whole rows, the longest of so many bytes, as text; also gives position and column count of ragged rows."""
    wanted = list(header.names if only is None else only)
    if not len(data):
        return pa.table({column: pa.array([], pa.string()) for column in wanted}), []
    ragged: list[tuple[int, int]] = []

    def put_aside(row: Any) -> str:
        ragged.append((row.number - 1, row.actual_columns))
        return "skip"

    try:
        table = _parsed(data, max(ARROW_BLOCK_BYTES, longest + 2), header, wanted, put_aside)
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: its rows cannot be told apart ({error}): export it again as CSV UTF-8") from error
    return table, ragged


def _parsed(
    data: bytes | memoryview, block_bytes: int, header: Header, wanted: list[str], put_aside: Callable[[Any], str]
) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        # One thread, because only then Arrow numbers the rows that it skips; blocks that a processor's cache holds.
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=header.names, block_size=block_bytes
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=header.delimiter, newlines_in_values=True, ignore_empty_lines=False,
            invalid_row_handler=put_aside,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={column: pa.string() for column in header.names}, include_columns=wanted,
            strings_can_be_null=True, null_values=["", "\\N"], check_utf8=False,
        ),
    )  # fmt: skip


def _kept_bytes(block: bytes, index: RowIndex, keep: Mask) -> bytes | memoryview:
    """The kept rows' bytes with their line ends; no copy when a single run of rows is kept."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], keep, [False])).astype(np.int8)))
    limits = np.append(index.starts, index.consumed)
    runs = [memoryview(block)[limits[first] : limits[end]] for first, end in edges.reshape(-1, 2).tolist()]
    return runs[0] if len(runs) == 1 else b"".join(runs)


def _repeated_headers(
    texts: pa.Table, header: Header, numbers: Rows, name: str
) -> Mask | None:
    """Mark rows that repeat the header; None when there are none.

    Raises:
        InputError: a row is a header of other columns, so that the rows after it cannot be told.
    """
    if not texts.num_rows:
        return None
    own = dict(zip(header.names, (fold(cell) for cell in header.names), strict=True))
    first = pc.utf8_ltrim(texts.column(0), characters="\ufeff")
    suspects = np.flatnonzero(np.asarray(pc.is_in(first, value_set=pa.array(header.names)).combine_chunks()))
    repeated = np.zeros(texts.num_rows, dtype=np.bool_)
    for at in suspects.tolist():
        cells = {column: fold(texts.column(column)[at].as_py() or "") for column in texts.column_names}
        if all(cell == own[column] or column.startswith("column ") for column, cell in cells.items()):
            repeated[at] = True
        elif sum(cell in own.values() for cell in cells.values()) > len(cells) // 2:
            raise InputError(
                f"{name}: row {numbers[at]} is a header with the columns in another order: split the file there"
            )
    return repeated if repeated.any() else None


def _raw(block: bytes, index: RowIndex, at: int) -> str:
    return block[index.starts[at] : index.ends[at]].decode("utf-8", errors="backslashreplace")


def _text_error(row: bytes) -> str:
    if b"\0" in row:
        return NUL_TEXT
    try:
        row.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte 0x{row[error.start]:02X} at position {error.start + 1} is not UTF-8: save the file as CSV UTF-8"
    return ""


def _ragged_reason(actual: int, expected: int) -> str:
    return (
        f"it has {actual} columns where the header has {expected}: put quotation marks around a field that holds "
        "the delimiter or a line break, or fill in what is missing"
    )
