"""Arrow rows as PostgreSQL's binary COPY format, whole columns at a time.

The server reads it in two thirds of the time that CSV takes it: it searches no text for quotes and line ends, and
parses no number. A field is its length in four bytes and its value, big-endian; the length -1 alone is NULL. Each
column becomes an Arrow array of such fields, and Arrow joins the arrays row by row. A dictionary-encoded column makes
the fields of its dictionary and then takes them by index, so no text is built twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: What COPY expects before the first row (signature, no flags, no extension) and after the last one.
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

#: Rows joined at once; more are no faster, and their texts together may be long.
_SLICE_ROWS = 16_384
_NULL = b"\xff\xff\xff\xff"
#: PostgreSQL counts days and microseconds from 2000-01-01.
_EPOCH_DAYS = 10957
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000
_NEGATIVE = 0x4000
#: What Arrow puts between two fields of a row.
_EMPTY = pa.scalar(b"", pa.large_binary())

_Integers = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]


def encode(rows: pa.Table) -> Iterator[memoryview]:
    """The rows in the binary format, without header and trailer, in pieces of whole rows.

    Args:
        rows: columns of the Arrow types of `Kind`; texts may be dictionary-encoded.

    Raises:
        TypeError: a column of another type.
    """
    count = pa.scalar(len(rows.schema).to_bytes(2, "big"), pa.large_binary())
    for batch in rows.to_batches():
        texts = {
            index: _fields(column.dictionary)
            for index, column in enumerate(batch.columns)
            if pa.types.is_dictionary(column.type)
        }
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            fields = [
                texts[index].take(column.indices) if index in texts else _fields(column)
                for index, column in enumerate(batch.slice(start, _SLICE_ROWS).columns)
            ]
            joined = pc.binary_join_element_wise(
                count, *fields, _EMPTY, null_handling="replace", null_replacement=_NULL
            )
            yield memoryview(joined.buffers()[2])[: pc.sum(pc.binary_length(joined)).as_py()]


def _fields(column: pa.Array) -> pa.Array:
    """The fields of one column, null where the value is."""
    if pa.types.is_string(column.type):
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(">i4")
        return pc.binary_join_element_wise(_records(lengths, column), column.cast(pa.large_binary()), _EMPTY)
    if pa.types.is_boolean(column.type):
        return _fixed(pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(np.uint8), column)
    if pa.types.is_date32(column.type):
        return _fixed((_integers(column, pa.int32()) - _EPOCH_DAYS).astype(">i4"), column)
    if pa.types.is_timestamp(column.type):
        return _fixed((_integers(column, pa.int64()) - _EPOCH_MICROSECONDS).astype(">i8"), column)
    if pa.types.is_int64(column.type):
        return _fixed(_integers(column, pa.int64()).astype(">i8"), column)
    if pa.types.is_decimal128(column.type):
        return _numeric(column)
    raise TypeError(f"no binary form for {column.type}")


def _integers(column: pa.Array, kind: pa.DataType) -> _Integers:
    values: _Integers = pc.fill_null(column.view(kind), 0).to_numpy().astype(np.int64)
    return values


def _fixed(values: npt.NDArray[np.generic], column: pa.Array) -> pa.Array:
    """Fields of one length: the values as they are in memory."""
    record = np.empty(len(values), [("length", ">i4"), ("value", values.dtype)])
    record["length"] = values.dtype.itemsize
    record["value"] = values
    return _records(record, column)


def _records(records: npt.NDArray[np.void] | npt.NDArray[np.generic], column: pa.Array) -> pa.Array:
    """The bytes of each record, null where `column` is."""
    offsets = np.arange(len(records) + 1, dtype=np.int64) * records.dtype.itemsize
    valid = None
    if column.null_count:
        # Packed anew, since the bits of a sliced column need not begin with a byte.
        valid = pa.py_buffer(np.packbits(column.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(records)]
    return pa.Array.from_buffers(pa.large_binary(), len(records), buffers)


def _numeric(column: pa.Array) -> pa.Array:
    """`numeric` is a sign and digits of base 10,000, which begin and end at the decimal point.

    Every value gets all the digits that its type can have; the server drops the zeros at both ends.
    """
    precision, scale = column.type.precision, column.type.scale
    fraction = -(-scale // 4)
    whole = -(-(precision - scale) // 4)
    digits = fraction + whole
    record = np.zeros(len(column), [("length", ">i4"), ("head", ">u2", 4), ("digits", ">u2", digits)])
    record["length"] = record.dtype.itemsize - 4
    negative, words = _magnitudes(column)
    record["head"][:, 0] = digits
    record["head"][:, 1] = (whole - 1) & 0xFFFF
    record["head"][:, 2] = np.where(negative, _NEGATIVE, 0)
    record["head"][:, 3] = scale
    missing = fraction * 4 - scale  # decimals of the last digit that the type does not have
    divisor = 10 ** (4 - missing)
    for place in reversed(range(digits)):
        rest = _divide(words, divisor)
        record["digits"][:, place] = rest * (10**4 // divisor)
        divisor = 10**4
    return _records(record, column)


def _magnitudes(column: pa.Array) -> tuple[npt.NDArray[np.bool_], list[_Words]]:
    """Which values are negative, and each absolute value in words of 32 bits, the highest first.

    Words that are zero in all values are left out: few amounts need more than two.
    """
    pairs = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)[column.offset : column.offset + len(column)]
    low, high = pairs[:, 0], pairs[:, 1]
    if column.null_count:
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        low, high = np.where(valid, low, 0), np.where(valid, high, 0)
    negative = high >> np.uint64(63) == 1
    high = np.where(negative, ~high + (low == 0), high)
    low = np.where(negative, ~low + np.uint64(1), low)
    words = [half for both in (high, low) for half in (both >> np.uint64(32), both & np.uint64(0xFFFFFFFF))]
    while len(words) > 1 and not words[0].any():
        del words[0]
    return negative, words


def _divide(words: list[_Words], divisor: int) -> _Words:
    """Divide the numbers in `words` in place and return the remainders."""
    by, rest = np.uint64(divisor), np.zeros(len(words[0]), np.uint64)
    for index, word in enumerate(words):
        number = rest << np.uint64(32) | word
        words[index] = number // by
        rest = number - words[index] * by
    return rest
