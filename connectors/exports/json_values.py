"""JSON values with the exact text of their numbers, and records as text columns."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.exports import limits
from connectors.exports.batches import NUL_TEXT, Rows, TextBatch, Unreadable
from transforms.errors import InputError

NESTED_TOO_DEEP = "its values are nested too deeply: this is no export"
BROKEN_TEXT = "a text holds a broken \\u escape (half a surrogate pair): export it again"


class JsonNumber(str):
    """A JSON number as it is written, told apart from a text of digits when it is written again."""

    __slots__ = ()


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


EXACT = json.JSONDecoder(parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_no_number)
#: Much faster, but numbers look like texts: for values that are not nested.
PLAIN = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_number)


def check_values(name: str, text: bytes) -> None:
    """Refuse JSON of more values than can be held; each stands after one of these signs. Raises InputError."""
    if len(text) > limits.MAX_DOCUMENT_VALUES:
        count = sum(text.count(sign) for sign in (b",", b"[", b"{"))
        if count > limits.MAX_DOCUMENT_VALUES:
            raise InputError(
                f"{name}: it has more than {limits.MAX_DOCUMENT_VALUES:,} values in one piece: deliver it as JSON "
                "Lines or CSV, which are read row by row"
            )


def is_too_deep(value: Any) -> bool:
    """Whether a value is nested deeper than that of any export."""
    level = [value]
    for _ in range(limits.MAX_DEPTH):
        nested = [one for one in level if isinstance(one, dict | list)]
        items = (one.values() if isinstance(one, dict) else one for one in nested)
        level = [item for some in items for item in some if isinstance(item, dict | list)]
        if not level:
            return False
    return True


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


def envelope(document: Any) -> list[Any] | None:
    """The records of the API's or Graph's envelope; None for anything else."""
    if isinstance(document, dict):
        for key in ("items", "value"):
            if isinstance(document.get(key), list):
                return list(document[key])
    return None


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


def explain(error: json.JSONDecodeError) -> str:
    """Line, column, what is expected there and what was found instead."""
    expected = next((words for start, words in _EXPECTED if error.msg.startswith(start)), error.msg)
    found = "the end of the file" if error.pos >= len(error.doc) else repr(error.doc[error.pos])
    return f"line {error.lineno}, column {error.colno}: {expected}, found {found}; mend it or export it again"


def batch_of(
    records: list[dict[str, Any]],
    names: Sequence[str],
    rows: Rows,
    raw_text: Callable[[int], str],
    unreadable: Sequence[Unreadable] = (),
) -> TextBatch:
    """Records as a batch; those whose text Unicode or PostgreSQL does not allow join the unreadable rows.

    Args:
        records: decoded by `EXACT` where values are nested.
        names: the columns to take.
        rows: each record's number.
        raw_text: gives a record as delivered, by its position.
        unreadable: rows between these that are no records.
    """
    texts, bad = _texts(records, names)
    if not bad:
        return TextBatch(texts, rows, raw_text, list(unreadable))
    kept = np.delete(np.arange(len(rows)), list(bad))
    broken = [Unreadable(int(rows[at]), _printable(raw_text(at)), reason) for at, reason in bad.items()]
    return TextBatch(
        texts.take(pa.array(kept)),
        rows[kept],
        functools.partial(_at, raw_text, kept),
        sorted([*unreadable, *broken], key=lambda row: row.source_row),
    )


def _at(raw_text: Callable[[int], str], kept: Rows, at: int) -> str:
    return raw_text(int(kept[at]))


def _texts(records: list[dict[str, Any]], names: Sequence[str]) -> tuple[pa.Table, dict[int, str]]:
    """Records as text columns, and the positions of those whose text is not allowed, with the reason."""
    bad: dict[int, str] = {}
    columns = {name: _column([record.get(name) for record in records], bad) for name in names if _encodes(name)}
    texts = pa.table(columns or {"": pa.nulls(len(records), pa.string())})
    return texts, dict(sorted(bad.items()))


def _column(values: list[Any], bad: dict[int, str]) -> pa.Array:
    try:
        column = pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        column = None
    if column is not None and not has_nul(column):
        return column
    texts: list[str | None] = []
    for at, value in enumerate(values):
        text = value if value is None or isinstance(value, str) else compact_json(value)
        if text is not None and (not _encodes(text) or "\0" in text):
            bad[at] = NUL_TEXT if "\0" in text else BROKEN_TEXT
            text = None
        texts.append(text)
    return pa.array(texts, pa.string())


def has_nul(column: pa.Array) -> bool:
    """Whether a NUL character stands in any text of a column."""
    data = column.buffers()[2]
    return bool(data) and not bool(np.frombuffer(data, dtype=np.uint8).all())


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
