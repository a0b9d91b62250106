"""Who a line is: an identity that stays when the same charge is delivered again, also with other amounts.

The key of a charge is what it is for (invoice, customer, subscription, product, event, dates, meter, resource), never
what it costs. Rows that share a key are real and are all kept (three months of usage held 1,100 to 1,500 such groups
each, measured); they are told apart by an occurrence number in the order of their content, so that neither the order
of rows nor the split into files changes any identity.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.digests import Hashes, hash_rows, identities
from transforms.grouping import like_the_one_before
from transforms.integers import Integers, Mask
from transforms.texts import with_values

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
SIGN_COLUMN = {"invoice_recon": "subtotal", "daily_usage": "billing_pre_tax_total"}

#: Columns that differ in case for the same thing.
_FOLDED = {"customer_id", "subscription_id", "entitlement_id", "resource_uri", "charge_type", "meter_id"}

_CONTENT_FIRST = (
    "billable_quantity", "quantity", "unit_price", "effective_unit_price", "subtotal", "billing_pre_tax_total", "total",
)  # fmt: skip
_NOT_CONTENT = {"line_id", "period", "file_sha256", "source_file", "source_row"}


def charge_keys(table: pa.Table, kind: str) -> tuple[Hashes, Hashes]:
    """The key of each row's charge as 128 bits in two halves; their `identities` are the first occurrences' `line_id`.

    Args:
        table: typed rows of the export, with the columns of its table in `transforms.tables.sources`.
        kind: `invoice_recon` or `daily_usage`.
    """
    signs = pc.sign(table.column(SIGN_COLUMN[kind])).combine_chunks()
    return hash_rows([*(_canonical(table, name) for name in KEY_COLUMNS[kind]), signs])


class Numbered(NamedTuple):
    """Lines of one kind of export that got another identity: `file_sha256`, `source_file`, `source_row`, `line_id`."""

    kind: str
    lines: pa.Table


def number_occurrences(table: pa.Table, kind: str) -> pa.Table:
    """A new identity for every line of a charge but the first, told apart by their content, amounts first.

    Identical lines are interchangeable, so that neither the order of rows nor the split into files changes any
    identity.

    Args:
        table: every line of some charges, with the columns of their export's table.
        kind: `invoice_recon` or `daily_usage`.

    Returns:
        `file_sha256`, `source_file`, `source_row` and `line_id` of the lines that are not the first of their charge.
    """
    first, second = charge_keys(table, kind)
    occurrences = _occurrences(table, first, second)
    later = np.flatnonzero(occurrences)
    for row in later:
        text = f"{first[row]:x}:{second[row]:x}:{occurrences[row]}"
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        first[row], second[row] = np.frombuffer(digest, dtype=np.uint64)
    place = table.select(["file_sha256", "source_file", "source_row"]).take(pa.array(later))
    return place.append_column("line_id", identities(first[later], second[later]))


def _canonical(table: pa.Table, name: str) -> pa.Array:
    """A key column as text: case folded where it varies, a JSON reference id reduced to its `id`."""
    column = table.column(name)
    if name == "reference_id":
        return with_values(column, _references)
    return with_values(column, pc.utf8_lower) if name in _FOLDED else column


def _references(texts: pa.Array) -> pa.Array:
    if not pc.any(pc.starts_with(texts, "{")).as_py():
        return texts
    return pa.array([reference_of(text) for text in texts.to_pylist()], pa.string())


def reference_of(text: str) -> str:
    """A reference id is a GUID or, since 2026, a JSON object whose `id` is the reference."""
    if text.startswith("{"):
        try:
            return str(json.loads(text)["id"])
        except (ValueError, KeyError, TypeError):
            return text
    return text


def _occurrences(table: pa.Table, first: Hashes, second: Hashes) -> Integers:
    """Number the rows that share a key, from 0, in the order of their content."""
    amounts = [_rank(table.column(name)) for name in _CONTENT_FIRST if name in table.column_names]
    order = np.lexsort([*reversed(amounts), second, first])
    same = like_the_one_before(order, first, second)
    _order_equal_ones(table, order, same & like_the_one_before(order, *amounts))
    places = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(same, 0, places)) if len(order) else places
    numbers = np.zeros(len(first), dtype=np.int64)
    numbers[order] = places - starts
    return numbers


def _order_equal_ones(table: pa.Table, order: Integers, is_like_before: Mask) -> None:
    """Put rows that are next to each other, being alike in key and amounts, in the order of their other columns.

    To rank texts is dear, and most rows of a charge differ in an amount.
    """
    if not is_like_before.any():
        return
    places = np.flatnonzero(is_like_before | np.append(is_like_before[1:], False))
    rows = order[places]
    others = table.select(_other_content(table)).take(pa.array(rows))
    runs = np.cumsum(~is_like_before)[places]
    order[places] = rows[np.lexsort([*(_rank(column) for column in reversed(others.columns)), runs])]


def _other_content(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name not in _NOT_CONTENT and name not in _CONTENT_FIRST]


def _rank(column: pa.ChunkedArray) -> Integers:
    """The rank of each value, nothing first; texts in the order of their code points."""
    ranks: Integers = np.asarray(
        pc.rank(column, sort_keys=[("", "ascending", "at_start")], tiebreaker="dense")
    )
    return ranks
