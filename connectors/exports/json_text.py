"""JSON exports: the API's documents and pages, and JSON Lines. Numbers keep their exact text.

A document is one object with `items` (the API's envelope) or `value` (Graph's), an array, a single object, or several
of these one after the other; the headers of a saved HTTP response may stand before it. A document that is no JSON is
refused with line and column; of JSON Lines only the broken line is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.exports.batches import Source, TextBatch, Unreadable
from connectors.exports.containers import Content
from transforms.errors import InputError
from transforms.headers import fold

BLOCK_BYTES = 16 << 20
_NESTED_TOO_DEEP = "its values are nested too deeply: this is no export"
_BROKEN_TEXT = "a text holds a broken \\u escape (half a surrogate pair): export it again"


class JsonNumber(str):
    """A JSON number as it is written, told apart from a text of digits when it is written again."""

    __slots__ = ()


class NotARecordError(ValueError):
    """A line of JSON Lines that is JSON but no object."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_EXACT = json.JSONDecoder(parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_no_number)
#: Much faster, but numbers look like texts: for values that are not nested.
_PLAIN = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_number)


def open_json(content: Content) -> Source:
    """Open JSON or JSON Lines.

    Raises:
        InputError: the document is no JSON; tells line, column and what is expected there.
    """
    if _is_lines(content.head()):
        return _open_lines(content)
    return _open_document(content)


def compact_json(value: Any) -> str:
    """Write a decoded value as JSON without blanks, numbers as they were written."""
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{compact_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(compact_json(item) for item in value) + "]"
    return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_lines(head: bytes) -> bool:
    """Whether the first line is a record by itself and more lines follow."""
    first, _, rest = head.lstrip().partition(b"\n")
    if not first.startswith(b"{") or not rest.strip():
        return False
    try:
        record = _PLAIN.decode(first.decode("utf-8"))
    except (ValueError, RecursionError):
        return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")
    return _envelope(record) is None


def _envelope(document: Any) -> list[Any] | None:
    """The records of an envelope; None for anything else."""
    if isinstance(document, dict):
        for key in ("items", "value"):
            if isinstance(document.get(key), list):
                return list(document[key])
    return None


# --- documents ---------------------------------------------------------------------------------------------------


def _open_document(content: Content) -> Source:
    records = _records(_decoded(content))
    names = tuple(dict.fromkeys(name for record in records for name in record))

    def read(only: Sequence[str] | None) -> Iterator[TextBatch]:
        yield _batch(records, 1, names if only is None else only, lambda at: compact_json(records[at]))

    return Source(names, read)


def _records(documents: list[Any]) -> list[dict[str, Any]]:
    """The records of all documents in order; corrections nested in an invoice follow it as records of their own."""
    records: list[dict[str, Any]] = []
    for document in documents:
        found = _envelope(document)
        if found is None:
            found = document if isinstance(document, list) else [document]
        for record in found:
            if isinstance(record, dict):
                _unfold(record, records)
    return records


def _unfold(record: dict[str, Any], records: list[dict[str, Any]]) -> None:
    own = {name: value for name, value in record.items() if fold(name) != "amendments"}
    records.append(own)
    amended = next((value for name, value in record.items() if fold(name) == "id"), None)
    for name, value in record.items():
        if name in own or not isinstance(value, list):
            continue
        for amendment in value:
            if isinstance(amendment, dict):
                if amended is not None and not any(fold(key) == "amendsof" for key in amendment):
                    amendment = {**amendment, "amendsOf": amended}
                _unfold(amendment, records)


def _decoded(content: Content) -> list[Any]:
    """Every JSON value of the text, one after the other."""
    name = content.source_file
    try:
        text = content.whole().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: byte {error.start + 1} is not UTF-8: export it again as UTF-8") from error
    at = _body_start(text)
    documents: list[Any] = []
    try:
        while at < len(text):
            document, at = _EXACT.raw_decode(text, at)
            documents.append(document)
            at = _skip_blanks(text, at)
            if at < len(text) and text[at] not in "{[":
                raise json.JSONDecodeError("Extra data", text, at)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}: malformed JSON: {_explain(error)}") from error
    except RecursionError as error:
        raise InputError(f"{name}: {_NESTED_TOO_DEEP}") from error
    except ValueError as error:
        raise InputError(f"{name}: malformed JSON: {error}") from error
    return documents


def _body_start(text: str) -> int:
    """Where the JSON begins: after the headers, when an HTTP response was saved with them."""
    start = _skip_blanks(text, 0)
    if text.startswith("HTTP/", start):
        blank_line = re.compile(r"\r?\n[ \t]*\r?\n").search(text, start)
        start = _skip_blanks(text, blank_line.end()) if blank_line else len(text)
    return start


def _skip_blanks(text: str, at: int) -> int:
    found = re.compile(r"[\s\ufeff]*").match(text, at)
    return found.end() if found else at


_EXPECTED = (
    ("Expecting property name", "a property name in double quotes is expected"),
    ("Illegal trailing comma", "a property name or value is expected after the comma, or no comma"),
    ("Expecting ':' delimiter", "a colon is expected after the property name"),
    ("Expecting ',' delimiter", "a comma or the closing bracket is expected"),
    ("Expecting value", "a value is expected"),
    ("Unterminated string", "the text that begins here is never closed"),
    ("Invalid control character", "a line break or control character stands unescaped in a text"),
    ("Invalid \\", "an escape that JSON does not know"),
    ("Extra data", "the end of the file is expected"),
)


def _explain(error: json.JSONDecodeError) -> str:
    """Line, column, what is expected there and what was found instead."""
    expected = next((words for start, words in _EXPECTED if error.msg.startswith(start)), error.msg)
    found = "the end of the file" if error.pos >= len(error.doc) else repr(error.doc[error.pos])
    return f"line {error.lineno}, column {error.colno}: {expected}, found {found}; mend it or export it again"


# --- JSON Lines --------------------------------------------------------------------------------------------------


def _open_lines(content: Content) -> Source:
    first = next(_read_lines(content, None))
    if not first.texts.num_rows and first.unreadable:
        raise InputError(f"{content.source_file}: row {first.unreadable[0].source_row}: {first.unreadable[0].reason}")
    return Source(tuple(first.texts.column_names), lambda only: _read_lines(content, only), names_may_grow=True)


def _read_lines(content: Content, only: Sequence[str] | None) -> Iterator[TextBatch]:
    row = 0
    for lines in _line_blocks(content):
        records: list[dict[str, Any]] = []
        rows: list[int] = []
        raws: list[bytes] = []
        unreadable: list[Unreadable] = []
        for line in lines:
            if not line.strip():
                continue
            row += 1
            try:
                records.append(_record(line))
            except (ValueError, RecursionError) as error:
                unreadable.append(Unreadable(row, _shown(line), _line_fault(error)))
                continue
            rows.append(row)
            raws.append(line)
        names = only if only is not None else tuple(dict.fromkeys(name for record in records for name in record))
        texts, bad = _texts(records, names)
        unreadable.extend(Unreadable(rows[at], _shown(raws[at]), _BROKEN_TEXT) for at in bad)
        yield _without(texts, np.array(rows, np.int64), bad, lambda at, raws=raws: _shown(raws[at]), unreadable)


def _line_blocks(content: Content) -> Iterator[list[bytes]]:
    pending = b""
    parts: list[bytes] = []
    size = 0
    for chunk in content.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            lines = b"".join([pending, *parts]).split(b"\n")
            pending, parts, size = lines.pop(), [], 0
            yield lines
    rest = b"".join([pending, *parts])
    if rest:
        yield rest.split(b"\n")


def _record(line: bytes) -> dict[str, Any]:
    text = line.decode("utf-8").strip("\ufeff \t\r")
    record: Any = _PLAIN.decode(text)
    if not isinstance(record, dict):
        raise NotARecordError("an object in braces is expected on each line")
    if any(isinstance(value, dict | list) for value in record.values()):
        record = _EXACT.decode(text)
    return dict(record)


def _line_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"malformed JSON: {_explain(error).replace('line 1, ', '').replace('the file', 'the line')}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of the line is not UTF-8: export it again as UTF-8"
    return _NESTED_TOO_DEEP if isinstance(error, RecursionError) else f"malformed JSON: {error}"


def _shown(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", errors="backslashreplace")


# --- records to columns ------------------------------------------------------------------------------------------


def _batch(records: list[dict[str, Any]], first_row: int, names: Sequence[str], raw_text: Any) -> TextBatch:
    texts, bad = _texts(records, names)
    rows = first_row + np.arange(len(records), dtype=np.int64)
    unreadable = [Unreadable(int(rows[at]), _printable(raw_text(at)), _BROKEN_TEXT) for at in bad]
    return _without(texts, rows, bad, raw_text, unreadable)


def _without(
    texts: pa.Table, rows: Any, bad: Sequence[int], raw_text: Any, unreadable: list[Unreadable]
) -> TextBatch:
    """The batch without its bad rows."""
    if not bad:
        return TextBatch(texts, rows, raw_text, unreadable)
    kept = np.delete(np.arange(len(rows)), list(bad))
    unreadable.sort(key=lambda row: row.source_row)
    return TextBatch(texts.take(pa.array(kept)), rows[kept], lambda at: str(raw_text(int(kept[at]))), unreadable)


def _texts(records: list[dict[str, Any]], names: Sequence[str]) -> tuple[pa.Table, list[int]]:
    """Records as text columns, and the positions of those whose text Unicode does not allow."""
    bad: set[int] = set()
    columns = {name: _column([record.get(name) for record in records], bad) for name in names if _encodes(name)}
    return pa.table(columns) if columns else pa.table({"": pa.nulls(len(records), pa.string())}), sorted(bad)


def _column(values: list[Any], bad: set[int]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        pass
    texts: list[str | None] = []
    for at, value in enumerate(values):
        text = value if value is None or isinstance(value, str) else compact_json(value)
        if text is not None and not _encodes(text):
            bad.add(at)
            text = None
        texts.append(text)
    return pa.array(texts, pa.string())


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
