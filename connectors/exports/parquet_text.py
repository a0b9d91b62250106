"""Parquet exports as text columns, so that every container goes through the same parsing.

Strings, decimals, whole numbers, dates and timestamps have an exact text. A binary float has none: its shortest text
that reads back as the same float is taken, which is the number as it was written before someone stored it as a float,
as long as it has no more than 15 digits. NaN, which stands for a missing value there, is no value.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from connectors.exports.batches import Load, Source, TextBatch, loaded
from connectors.exports.containers import Content
from connectors.exports.json_values import compact_json
from transforms.errors import InputError

BATCH_ROWS = 64 * 1024


def open_parquet(content: Content) -> Source:
    """Open a Parquet file by its schema.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with _opened(content) as file:
            names = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{content.source_file}: damaged Parquet file: deliver it again") from error
    if len(set(names)) != len(names):
        raise InputError(f"{content.source_file}: a column stands twice in the Parquet file: remove one of them")

    def read(only: Sequence[str] | None) -> Iterator[Load]:
        return _read(content, only)

    return Source(names, read)


def _opened(content: Content) -> pyarrow.parquet.ParquetFile:
    return pyarrow.parquet.ParquetFile(content.path if _is_bare(content) else io.BytesIO(content.whole()))


def _is_bare(content: Content) -> bool:
    """Whether the file on disk is itself the Parquet file, so that it need not be held in memory."""
    if content.member:
        return False
    with content.path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read(content: Content, only: Sequence[str] | None) -> Iterator[Load]:
    row = 1
    try:
        with _opened(content) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=None if only is None else list(only)):
                texts = pa.table({name: _text(batch.column(name)) for name in batch.schema.names})
                rows = row + np.arange(len(batch), dtype=np.int64)
                row += len(batch)
                yield loaded(TextBatch(texts, rows, functools.partial(_row_text, texts)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{content.source_file}: damaged Parquet file: deliver it again") from error


def _text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _text(array.dictionary_decode())
    if pa.types.is_floating(kind):
        if pa.types.is_float16(kind):
            array = array.cast(pa.float32())
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if pa.types.is_nested(kind):
        return pa.array([None if value is None else compact_json(_jsonable(value)) for value in array.to_pylist()])
    text = array.cast(pa.string())
    text.validate(full=True)
    return text


def _jsonable(value: Any) -> Any:
    """A nested value in JSON's own types; what JSON does not have becomes text."""
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value if isinstance(value, str | bool | int | None) else str(value)


def _row_text(texts: pa.Table, at: int) -> str:
    row = {name: texts.column(name)[at].as_py() for name in texts.column_names}
    return json.dumps({name: value for name, value in row.items() if value is not None}, ensure_ascii=False)
