"""Text columns by their distinct values: what is asked of a text is asked once for each value and not for each row.

Exports come with their text columns dictionary-encoded; a column of plain strings, as the warehouse gives it, is
encoded on the way in. No dictionary holds a null: a row without a text has no code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Column: TypeAlias = Any
Codes = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

#: The type of a text column of an export.
ENCODED = pa.dictionary(pa.int32(), pa.string())


def encoded(column: Column) -> pa.DictionaryArray:
    """A text column as one dictionary array whose values are distinct."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            column = column.chunk(0)
        elif pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries().combine_chunks()
        else:
            return column.cast(pa.string()).dictionary_encode().combine_chunks()
    if pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string()).dictionary_encode()


def with_encoded_texts(table: pa.Table) -> pa.Table:
    """The table in one piece, its text columns as `encoded` makes them: a fraction of the memory for most exports."""
    columns = [
        encoded(column) if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type)
        else column.combine_chunks()
        for column in table.columns
    ]  # fmt: skip
    return pa.table(columns, names=table.column_names)


def only(table: pa.Table, rows: Mask) -> pa.Table:
    """Some rows of a table with encoded texts, without the texts of the others."""
    few = table.filter(pa.array(rows))
    return with_encoded_texts(
        few.cast(pa.schema([field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
                            for field in few.schema]))
    )  # fmt: skip


def repeated(text: str | None, rows: int) -> pa.DictionaryArray:
    """A column of one text, or of none."""
    indices = pa.nulls(rows, pa.int32()) if text is None else pa.repeat(pa.scalar(0, pa.int32()), rows)
    return pa.DictionaryArray.from_arrays(indices, pa.array([] if text is None else [text], pa.string()))


def values_and_codes(column: Column) -> tuple[pa.Array, Codes]:
    """The distinct texts, and each row's place among them; a row without a text has the place after the last."""
    array = encoded(column)
    codes: Codes = np.asarray(array.indices.fill_null(len(array.dictionary)))
    return array.dictionary, codes


def with_values(column: Column, change: Callable[[pa.Array], pa.Array]) -> pa.DictionaryArray:
    """The column with every text changed; `change` maps the distinct texts, a null in its answer is no text."""
    array = encoded(column)
    values = change(array.dictionary)
    if values.equals(array.dictionary):
        return array
    changed = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(changed.indices.take(array.indices), changed.dictionary)


def where(column: Column, test: Callable[[pa.Array], pa.Array]) -> Mask:
    """Rows whose text passes a test of the distinct texts; a row without a text does not."""
    values, codes = values_and_codes(column)
    passed = np.zeros(len(values) + 1, dtype=np.bool_)
    passed[:-1] = np.asarray(pc.fill_null(test(values), False))
    found: Mask = passed[codes]
    return found


def is_one_of(column: Column, texts: Sequence[str] | pa.Array) -> Mask:
    """Rows whose text is one of these."""
    wanted = texts if isinstance(texts, pa.Array) else pa.array(list(texts), pa.string())
    return where(column, lambda values: pc.is_in(values, wanted))


def lowered(table: pa.Table, name: str) -> pa.DictionaryArray:
    """A text column in lower case and without spaces around; where there is no text, the empty one."""
    array = encoded(table.column(name))
    values = pc.utf8_lower(pc.utf8_trim_whitespace(array.dictionary))
    if not array.null_count and values.equals(array.dictionary):
        return array
    changed = pa.concat_arrays([values, pa.array([""], pa.string())]).dictionary_encode()
    indices = changed.indices.take(array.indices.fill_null(len(values)))
    return pa.DictionaryArray.from_arrays(indices, changed.dictionary)
