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
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from connectors.exports import limits
from connectors.exports.batches import NUL_TEXT, Load, Rows, Source, TextBatch, Unreadable, loaded
from connectors.exports.containers import Content
from connectors.exports.json_values import compact_json, has_nul
from transforms.errors import InputError

BATCH_ROWS = 64 * 1024


def open_parquet(content: Content) -> Source:
    """Open a Parquet file by its schema.

    Raises:
        InputError: the file is damaged, or made to fill the memory.
    """
    try:
        with _opened(content) as file:
            names = tuple(file.schema_arrow.names)
            _check_sizes(content, file.metadata)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{content.source_file}: damaged Parquet file: deliver it again") from error
    if len(set(names)) != len(names):
        raise InputError(f"{content.source_file}: a column stands twice in the Parquet file: remove one of them")

    def read(only: Sequence[str] | None) -> Iterator[Load]:
        return _read(content, only)

    return Source(names, read)


def _opened(content: Content) -> pyarrow.parquet.ParquetFile:
    name = content.source_file
    if _is_bare(content):
        with content.path.open("rb") as file:
            _check_footer(file, name)
        source: Any = content.path
    else:
        source = io.BytesIO(content.whole(limits.MAX_PACKED_PARQUET_BYTES, "unpack it first"))
        _check_footer(source, name)
    with pyarrow.parquet.ParquetFile(source) as seen:
        # Those columns as values and places, because a text that all rows share would be written out for each of them.
        repeated = _dictionary_columns(seen.metadata)
    return pyarrow.parquet.ParquetFile(source, read_dictionary=repeated)


def _check_footer(file: BinaryIO, name: str) -> None:
    """Check the size of what describes the file, which is read in one piece."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - 8, 0))
    footer = int.from_bytes(file.read(4), "little")
    file.seek(0)
    if footer > size:
        raise pa.ArrowInvalid("its footer is larger than the file")
    if footer > limits.MAX_FOOTER_BYTES:
        raise InputError(f"{name}: what describes it (the footer) has {footer >> 20} MiB: write it in larger parts")


def _dictionary_columns(metadata: Any) -> list[str]:
    """Text columns that are written as values and places in these, and in no other way."""
    found = []
    if metadata.num_row_groups and metadata.num_columns <= limits.MAX_COLUMNS:
        for at in range(metadata.num_columns):
            column = metadata.row_group(0).column(at)
            is_simple = not set(column.encodings) - _SIMPLE_ENCODINGS
            if is_simple and column.physical_type == "BYTE_ARRAY" and "." not in column.path_in_schema:
                found.append(column.path_in_schema)
    return found


_SIMPLE_ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}


def _check_sizes(content: Content, metadata: Any) -> None:
    """Refuse what would unpack to far more than an export does, by the sizes that the file itself states."""
    name = content.source_file
    limits.check_columns(name, metadata.num_columns)
    if metadata.num_rows > max(limits.ROWS_FLOOR, content.byte_count * limits.MAX_ROWS_PER_BYTE):
        raise InputError(f"{name}: it states {metadata.num_rows:,} rows, more than its size can hold: refused")
    total = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for at in range(metadata.num_columns):
            size = group.column(at).total_uncompressed_size
            total += max(size, 0)
            if size > limits.MAX_PARQUET_COLUMN_BYTES:
                raise InputError(
                    f"{name}: the column {group.column(at).path_in_schema} has {size >> 20} MiB in one part (row "
                    "group): write it with smaller ones"
                )
    limits.check_ratio(name, total, content.byte_count)


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
                _check_texts(content, batch)
                texts = pa.table({name: _text(batch.column(name)) for name in batch.schema.names})
                yield loaded(_without_nul(texts, row + np.arange(len(batch), dtype=np.int64)))
                row += len(batch)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{content.source_file}: damaged Parquet file: deliver it again") from error


def _check_texts(content: Content, batch: pa.RecordBatch) -> None:
    """Refuse rows whose texts would take far more memory than those of an export."""
    size = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and column.dictionary.type in (pa.string(), pa.large_string()):
            size += pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
    if size > limits.MAX_PARQUET_BATCH_BYTES:
        raise InputError(
            f"{content.source_file}: its texts have {size // len(batch):,} characters in a row, more than an export's: "
            "refused"
        )


def _without_nul(texts: pa.Table, rows: Rows) -> TextBatch:
    """The rows as a batch; those with a NUL character join the unreadable ones."""
    whole = TextBatch(texts, rows, functools.partial(_row_text, texts))
    bad: set[int] = set()
    for column in texts.columns:
        if any(has_nul(chunk) for chunk in column.chunks):
            bad.update(np.flatnonzero(pc.match_substring(column, "\0").fill_null(False).to_numpy()).tolist())
    if not bad:
        return whole
    kept = np.delete(np.arange(len(rows)), sorted(bad))
    chosen = texts.take(pa.array(kept))
    unreadable = [Unreadable(int(rows[at]), _row_text(texts, at), NUL_TEXT) for at in sorted(bad)]
    return TextBatch(chosen, rows[kept], functools.partial(_row_text, chosen), unreadable)


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
