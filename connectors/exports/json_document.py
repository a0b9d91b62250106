"""JSON documents: the API's answers, saved one by one or several in one file.

A document is one object with `items` (the API's envelope) or `value` (Graph's), an array, a single object, or several
of these one after the other; the headers of a saved HTTP response may stand before it. A document that is no JSON is
refused with line and column.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from connectors.exports import limits
from connectors.exports.batches import Load, Source, loaded
from connectors.exports.containers import Content
from connectors.exports.json_values import (
    EXACT,
    NESTED_TOO_DEEP,
    batch_of,
    check_values,
    compact_json,
    envelope,
    explain,
    is_too_deep,
)
from transforms.errors import InputError
from transforms.headers import fold


def open_document(content: Content) -> Source:
    """Open a JSON document.

    Raises:
        InputError: it is no JSON; tells line, column and what is expected there.
    """
    documents = _decoded(content)
    if is_too_deep(documents):
        raise InputError(f"{content.source_file}: {NESTED_TOO_DEEP}")
    records = _records(documents)
    names = tuple(dict.fromkeys(name for record in records for name in record))
    limits.check_columns(content.source_file, len(names))

    def read(only: Sequence[str] | None) -> Iterator[Load]:
        rows = 1 + np.arange(len(records), dtype=np.int64)
        yield loaded(batch_of(records, names if only is None else only, rows, functools.partial(_raw_at, records)))

    return Source(names, read, absent_is_null=True)


def _raw_at(records: list[dict[str, Any]], at: int) -> str:
    return compact_json(records[at])


def _records(documents: list[Any]) -> list[dict[str, Any]]:
    """The records of all documents in order; corrections nested in an invoice follow it as records of their own."""
    records: list[dict[str, Any]] = []
    for document in documents:
        found = envelope(document)
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
    data = content.whole(limits.MAX_DOCUMENT_BYTES, "deliver it as JSON Lines or CSV, which are read row by row")
    check_values(name, data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: byte {error.start + 1} is not UTF-8: export it again as UTF-8") from error
    del data
    at = _body_start(text)
    documents: list[Any] = []
    try:
        while at < len(text):
            document, at = EXACT.raw_decode(text, at)
            documents.append(document)
            at = _skip_blanks(text, at)
            if at < len(text) and text[at] not in "{[":
                raise json.JSONDecodeError("Extra data", text, at)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}: malformed JSON: {explain(error)}") from error
    except RecursionError as error:
        raise InputError(f"{name}: {NESTED_TOO_DEEP}") from error
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
