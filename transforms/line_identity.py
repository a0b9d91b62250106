"""Who a line is: an identity that stays when the same charge is delivered again, also with other amounts.

The key of a charge is what it is for (invoice, customer, subscription, product, event, dates, meter, resource), never
what it costs. Rows that share a key are real and are all kept (three months of usage held 1,100 to 1,500 such groups
each, measured); they are told apart by an occurrence number in the order of their content, so that neither the order
of rows nor the split into files changes any identity.
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.digests import Hashes, hash_rows

#: What a charge is for, by kind of export.
KEY_COLUMNS: dict[str, tuple[str, ...]] = {
    "invoice_recon": (
        "invoice_number", "customer_id", "subscription_id", "order_id", "product_id", "sku_id", "availability_id",
        "charge_type", "charge_start_date", "charge_end_date", "reference_id", "meter_description",
        "reservation_order_id", "promotion_id", "credit_reason_code", "alternate_id",
    ),
    "daily_usage": (
        "invoice_number", "customer_id", "subscription_id", "product_id", "sku_id", "availability_id", "charge_type",
        "usage_date", "meter_id", "entitlement_id", "resource_uri", "credit_type", "benefit_id",
    ),
}  # fmt: skip

#: The amount whose sign tells a refund from the charge of the same event.
_SIGN_COLUMN = {"invoice_recon": "subtotal", "daily_usage": "billing_pre_tax_total"}

#: Columns that differ in case for the same thing.
_FOLDED = {"customer_id", "subscription_id", "entitlement_id", "resource_uri", "charge_type", "meter_id"}

_CONTENT_FIRST = (
    "billable_quantity", "quantity", "unit_price", "effective_unit_price", "subtotal", "billing_pre_tax_total", "total",
)  # fmt: skip
_NOT_CONTENT = {"line_id", "period", "file_sha256", "source_file", "source_row"}

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_ID_BYTES = 12


def charge_keys(table: pa.Table, kind: str) -> tuple[Hashes, Hashes]:
    """The key of each row's charge as 128 bits in two halves.

    Args:
        table: typed rows of the export, with the columns of its table in `transforms.tables.sources`.
        kind: `invoice_recon` or `daily_usage`.
    """
    signs = pc.sign(table.column(_SIGN_COLUMN[kind])).combine_chunks()
    return hash_rows([*(_canonical(table, name) for name in KEY_COLUMNS[kind]), signs])


def line_ids(table: pa.Table, kind: str) -> pa.Array:
    """The `line_id` of each row: 24 hexadecimal digits, unique within the table.

    Rows with the same key are numbered by their content, amounts first, so that identical rows are interchangeable.
    """
    first, second = charge_keys(table, kind)
    occurrences = _occurrences(table, first, second)
    repeated = np.flatnonzero(occurrences)
    for row in repeated:
        text = f"{first[row]:x}:{second[row]:x}:{occurrences[row]}"
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        first[row], second[row] = np.frombuffer(digest, dtype=np.uint64)
    return _hexadecimal(first, second)


def _canonical(table: pa.Table, name: str) -> pa.Array:
    """A key column as text: case folded where it varies, a JSON reference id reduced to its `id`."""
    column = table.column(name).combine_chunks()
    if name == "reference_id":
        encoded = column.dictionary_encode()
        ids = pa.array([reference_of(text) for text in encoded.dictionary.to_pylist()], pa.string())
        return ids.take(encoded.indices)
    return pc.utf8_lower(column) if name in _FOLDED else column


def reference_of(text: str) -> str:
    """A reference id is a GUID or, since 2026, a JSON object whose `id` is the reference."""
    if text.startswith("{"):
        try:
            return str(json.loads(text)["id"])
        except (ValueError, KeyError, TypeError):
            return text
    return text


def _occurrences(table: pa.Table, first: Hashes, second: Hashes) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number the rows that share a key, from 0, in the order of their content."""
    numbers = np.zeros(len(first), dtype=np.int64)
    order = np.lexsort((second, first))
    same = (first[order][1:] == first[order][:-1]) & (second[order][1:] == second[order][:-1])
    shared = np.zeros(len(first), dtype=np.bool_)
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    rows = np.flatnonzero(shared)
    if not len(rows):
        return numbers
    subset = table.take(pa.array(rows))
    content = [_content(row) for row in subset.select(_content_columns(table)).to_pylist()]
    ranked = sorted(range(len(rows)), key=lambda place: (first[rows[place]], second[rows[place]], content[place]))
    for before, place in pairwise(ranked):
        row, above = rows[place], rows[before]
        if first[row] == first[above] and second[row] == second[above]:
            numbers[row] = numbers[above] + 1
    return numbers


def _content_columns(table: pa.Table) -> list[str]:
    first = [name for name in _CONTENT_FIRST if name in table.column_names]
    return first + [name for name in table.column_names if name not in _NOT_CONTENT and name not in first]


def _content(row: dict[str, Any]) -> tuple[tuple[bool, Any], ...]:
    return tuple((value is not None, value if value is not None else 0) for value in row.values())


def _hexadecimal(first: Hashes, second: Hashes) -> pa.Array:
    words = np.stack([first, second], axis=1).view(np.uint8).reshape(-1, 16)[:, :_ID_BYTES]
    digits = np.empty((len(words), 2 * _ID_BYTES), dtype=np.uint8)
    digits[:, 0::2] = _HEX[words >> 4]
    digits[:, 1::2] = _HEX[words & 15]
    offsets = np.arange(len(words) + 1, dtype=np.int32) * (2 * _ID_BYTES)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))]
    return pa.Array.from_buffers(pa.string(), len(words), buffers)

