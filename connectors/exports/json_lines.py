"""JSON Lines: one record a line, the form of Graph's exports (also in gzip), read in blocks of whole lines.

Arrow reads a block when every value has the type that the first lines have shown: texts, exact decimals in the number
columns, whole numbers, truth values. Whatever it objects to (an odd value, a new column, a broken line) is left to
Python for that block, line by line, which refuses single lines and tells why.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from connectors.exports import limits
from connectors.exports.batches import Load, Source, TextBatch, Unreadable, is_utf8, loaded
from connectors.exports.containers import Content
from connectors.exports.json_values import (
    EXACT,
    NESTED_TOO_DEEP,
    PLAIN,
    JsonNumber,
    batch_of,
    check_values,
    envelope,
    explain,
    is_too_deep,
)
from connectors.exports.kinds import recognise
from transforms.errors import InputError
from transforms.headers import fold
from transforms.tables import EXPORT_TABLES

BLOCK_BYTES = 16 << 20
#: The first block shows the shape and is read by Python.
_FIRST_BLOCK_BYTES = 1 << 20
#: How many records of a block show the types of its values.
_SHOWN_RECORDS = 200
_WHOLE = re.compile(r"-?[0-9]{1,18}")

Shape = dict[str, pa.DataType]


class NotARecordError(ValueError):
    """A line that is JSON but no object."""


def is_json_lines(head: bytes) -> bool:
    """Whether the first line is a record by itself and more lines follow."""
    first, _, rest = head.lstrip().partition(b"\n")
    if not first.startswith(b"{") or not rest.strip():
        return False
    try:
        record = PLAIN.decode(first.decode("utf-8"))
    except (ValueError, RecursionError):
        return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")
    return envelope(record) is None


def open_lines(content: Content) -> Source:
    """Open JSON Lines by the first lines.

    Raises:
        InputError: none of the first lines is JSON.
    """
    first = next(_read_lines(content, None))()
    if not first.texts.num_rows and first.unreadable:
        raise InputError(f"{content.source_file}: row {first.unreadable[0].source_row}: {first.unreadable[0].reason}")
    names = tuple(first.texts.column_names)
    return Source(names, lambda only: _read_lines(content, only), names_may_grow=True, absent_is_null=True)


def _read_lines(content: Content, only: Sequence[str] | None) -> Iterator[Load]:
    row = 1
    shape: Shape | None = None
    for block in _blocks(content):
        batch = _by_arrow(block, shape, row) if shape else None
        if batch is None:
            batch, shape = _by_python(block, row, shape or {}, content.source_file)
            limits.check_columns(content.source_file, batch.texts.num_columns)
        row += len(batch.source_rows) + len(batch.unreadable)
        yield loaded(batch if only is None else TextBatch(
            batch.texts.select([name for name in only if name in batch.texts.column_names]),
            batch.source_rows, batch.raw_text, batch.unreadable,
        ))  # fmt: skip


def _blocks(content: Content) -> Iterator[bytes]:
    """The text in pieces that end with a line; raises InputError for lines that are none of an export."""
    name = content.source_file
    row = 1
    parts: list[bytes] = []
    size = 0
    wanted = min(_FIRST_BLOCK_BYTES, BLOCK_BYTES)
    for chunk in content.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size >= wanted and b"\n" in chunk:
            block = b"".join(parts)
            end = block.rindex(b"\n") + 1
            parts, size = [block[end:]], len(block) - end
            wanted = BLOCK_BYTES
            lines = _counted(name, block)
            yield block[:end]
            row += lines
        elif size >= wanted + limits.MAX_ROW_BYTES:
            raise limits.too_long(name, row)
    if rest := b"".join(parts):
        _counted(name, rest)
        yield rest


def _counted(name: str, block: bytes) -> int:
    """How many lines a block has; raises InputError where they are too short to be records."""
    lines = block.count(b"\n")
    most = max(lines, block.count(b"\r"))
    if limits.are_short(most, len(block)):
        raise limits.short_lines(name, most)
    return lines


def _lines(block: bytes) -> list[bytes]:
    return [line for line in block.split(b"\n") if line.strip()]


# --- by Arrow ----------------------------------------------------------------------------------------------------


def _by_arrow(block: bytes, shape: Shape, first_row: int) -> TextBatch | None:
    """The block's records, or None when a value is not as the shape says."""
    if b"\\u0000" in block or not is_utf8(block):
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(block),
            read_options=pyarrow.json.ReadOptions(use_threads=True, block_size=len(block) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema(list(shape.items())), unexpected_field_behavior="error"
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if table.num_rows != lines and table.num_rows != len(_lines(block)):
        return None
    rows = first_row + np.arange(table.num_rows, dtype=np.int64)
    return TextBatch(table, rows, _LinesOf(block))


@cache
def _decimal_columns(kind: str) -> Shape:
    """The exact type of every number column of that kind of export, by folded name."""
    columns = EXPORT_TABLES[kind].columns if kind in EXPORT_TABLES else ()
    return {fold(source): c.kind.arrow_type for c in columns if c.kind.is_decimal for source in c.sources}


def _learn(records: Sequence[dict[str, Any]], shape: Shape) -> Shape | None:
    """The shape with the columns of these records; None when Arrow cannot read such values exactly."""
    learnt = dict(shape)
    names = dict.fromkeys(name for record in records for name in record)
    decimals = _decimal_columns(recognise([*shape, *names]).kind)
    exact = {name: decimals.get(fold(name)) for name in names}
    for record in records:
        for name, value in record.items():
            if value is None:
                continue
            found = exact[name] or _type_of(value)
            if found is None or learnt.setdefault(name, found) != found:
                return None
    return learnt


def _type_of(value: Any) -> pa.DataType | None:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, JsonNumber):
        return pa.int64() if _WHOLE.fullmatch(value) and value != "-0" else None
    return pa.string() if isinstance(value, str) else None


# --- by Python ---------------------------------------------------------------------------------------------------


def _by_python(block: bytes, first_row: int, shape: Shape, name: str) -> tuple[TextBatch, Shape | None]:
    """The block's records, its broken lines put aside, and the shape that its first records teach."""
    check_values(name, block)
    records: list[dict[str, Any]] = []
    rows: list[int] = []
    raws: list[bytes] = []
    unreadable: list[Unreadable] = []
    for row, line in enumerate(_lines(block), start=first_row):
        try:
            records.append(_record(line))
        except (ValueError, RecursionError) as error:
            unreadable.append(Unreadable(row, limits.shortened(_shown(line)), _fault(error)))
            limits.check_rejected(name, len(unreadable), row, unreadable[-1].reason)
            continue
        rows.append(row)
        raws.append(line)
    names = tuple(dict.fromkeys(name for record in records for name in record))
    batch = batch_of(records, names, np.array(rows, dtype=np.int64), functools.partial(_raw_at, raws), unreadable)
    return batch, _learn([EXACT.decode(_text(line)) for line in raws[:_SHOWN_RECORDS]], shape)


def _record(line: bytes) -> dict[str, Any]:
    text = _text(line)
    record: Any = PLAIN.decode(text)
    if not isinstance(record, dict):
        raise NotARecordError("an object in braces is expected on each line")
    if any(isinstance(value, dict | list) for value in record.values()):
        record = EXACT.decode(text)
        if is_too_deep(record):
            raise RecursionError
    return dict(record)


def _text(line: bytes) -> str:
    return line.decode("utf-8").strip("\ufeff \t\r")


def _fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"malformed JSON: {explain(error).replace('line 1, ', '').replace('the file', 'the line')}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of the line is not UTF-8: export it again as UTF-8"
    return NESTED_TOO_DEEP if isinstance(error, RecursionError) else f"malformed JSON: {error}"


class _LinesOf:
    """Gives the lines of a block as delivered, which is cut when the first is asked for: many may be refused."""

    def __init__(self, block: bytes) -> None:
        self._block = block

    def __call__(self, at: int) -> str:
        return _shown(self._lines[at])

    @functools.cached_property
    def _lines(self) -> list[bytes]:
        return _lines(self._block)


def _raw_at(raws: list[bytes], at: int) -> str:
    return _shown(raws[at])


def _shown(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", errors="backslashreplace")
