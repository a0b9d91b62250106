"""Read one export: its rows typed, and its unreadable rows with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.exports.batches import Source, TextBatch, Unreadable
from connectors.exports.containers import Content
from connectors.exports.kinds import missing_sentence
from transforms.columns import Column, Table
from transforms.dates import DayOrder
from transforms.errors import InputError
from transforms.headers import match_headers
from transforms.normalise import Normalised, needs_value, normalise, uses_decimal_comma
from transforms.tables import EXPORT_TABLES
from transforms.tables.sources import QUARANTINE

#: Columns that a run adds to the rows, because they depend on more than the file.
ADDED_LATER = ("line_id", "period")

#: Where a refused row's invoice, charge before tax, charge with tax and currency stand.
_FIGURES: dict[str, tuple[str | None, str | None, str | None, str]] = {
    "invoice_recon": ("invoice_number", "subtotal", "total", "currency"),
    "daily_usage": ("invoice_number", "billing_pre_tax_total", "billing_pre_tax_total", "billing_currency"),
    "price_list": (None, None, None, "currency"),
    "invoices": ("invoice_number", None, "total_charges", "currency_code"),
}


@dataclass(frozen=True)
class FileRows:
    """The rows of one file: `rows` as `export_schema(kind)`, `rejected` as `rejected_schema()`."""

    rows: pa.Table
    rejected: pa.Table


def export_schema(kind: str) -> pa.Schema:
    """The kind's Arrow schema without the columns that a run adds."""
    return _without_added(EXPORT_TABLES[kind])


def rejected_schema() -> pa.Schema:
    """The quarantine's Arrow schema without the period, which a run adds."""
    return _without_added(QUARANTINE)


def read_rows(content: Content, source: Source, kind: str) -> FileRows:
    """Read every row of an export.

    A decimal comma is accepted when the numbers say so: some have one and none has a dot, where the delimiter leaves
    the comma free; what the first numbers of a file say holds for all of it.

    Raises:
        InputError: the file cannot be read as a whole: damaged, required columns missing, or its dates are day
            first, so that 1/2/2025 would be read wrongly.
    """
    table = EXPORT_TABLES[kind]
    reading = _Reading(content, kind)
    for batch in source.read(None):
        reading.add(batch, table, source)
    missing = missing_columns(list(reading.names), table, source)
    if missing:
        raise InputError(f"{content.source_file}: {missing_sentence(kind, missing)}")
    if reading.day_order.is_day_first:
        raise InputError(
            f"{content.source_file}: dates such as {reading.day_order.example} are written day first, which makes "
            "others ambiguous: export it with dates month first (11/30/2025) or as 2025-11-30"
        )
    return reading.result()


def missing_columns(names: Sequence[str], table: Table, source: Source) -> tuple[Column, ...]:
    """Required columns that no row of an export has; where a row leaves out what is null, those that need a value."""
    missing = match_headers(names, table).missing
    return tuple(column for column in missing if not source.absent_is_null or needs_value(column))


class _Reading:
    """Collects the batches of one file."""

    def __init__(self, content: Content, kind: str) -> None:
        self.names: dict[str, None] = {}
        self.day_order = DayOrder()
        self._content = content
        self._kind = kind
        self._decimal_comma: bool | None = None
        self._rows: list[pa.Table] = []
        self._rejected: list[pa.Table] = []
        self._unreadable: list[Unreadable] = []

    def add(self, batch: TextBatch, table: Table, source: Source) -> None:
        self.names.update(dict.fromkeys(batch.texts.column_names))
        self._unreadable.extend(batch.unreadable)
        if source.may_have_decimal_comma and self._decimal_comma is None:
            self._decimal_comma = uses_decimal_comma(batch.texts, table)
        normalised = normalise(batch.texts, table, decimal_comma=bool(self._decimal_comma))
        self.day_order += normalised.day_order
        rows = batch.source_rows[normalised.positions]
        self._rows.append(self._with_provenance(normalised.rows, rows))
        if normalised.reasons:
            self._rejected.append(self._refused(normalised, batch))

    def _with_provenance(self, rows: pa.Table, source_rows: Any) -> pa.Table:
        schema = export_schema(self._kind)
        provenance = {
            "file_sha256": pa.repeat(self._content.file_sha256, rows.num_rows),
            "source_file": pa.repeat(self._content.source_file, rows.num_rows),
            "source_row": pa.array(source_rows),
        }
        columns = [provenance[name] if name in provenance else rows.column(name) for name in schema.names]
        return pa.Table.from_arrays(columns, schema=schema)

    def _refused(self, normalised: Normalised, batch: TextBatch) -> pa.Table:
        invoice, subtotal, total, currency = (
            normalised.refused.column(name) if name else pa.nulls(len(normalised.reasons), pa.string())
            for name in _FIGURES[self._kind]
        )
        positions = normalised.refused_positions.tolist()
        return self._quarantine(
            rows=batch.source_rows[normalised.refused_positions],
            reasons=normalised.reasons,
            raw_texts=[batch.raw_text(position) for position in positions],
            invoice_number=invoice,
            subtotal=subtotal,
            total=total,
            currency=currency,
        )

    def _quarantine(self, rows: Any, reasons: list[str], raw_texts: list[str], **figures: Any) -> pa.Table:
        schema = rejected_schema()
        count = len(reasons)
        given = {
            "file_sha256": pa.repeat(self._content.file_sha256, count),
            "source_file": pa.repeat(self._content.source_file, count),
            "source_row": pa.array(rows, pa.int64()),
            "kind": pa.repeat(self._kind, count),
            "reason": pa.array(reasons, pa.string()),
            "raw_text": pa.array(raw_texts, pa.string()),
            **figures,
        }
        return pa.table([given[name].cast(schema.field(name).type) for name in schema.names], schema=schema)

    def result(self) -> FileRows:
        rows = pa.concat_tables(self._rows) if self._rows else export_schema(self._kind).empty_table()
        rejected = [*self._rejected, *self._unsplit(rows)]
        if not rejected:
            return FileRows(rows, rejected_schema().empty_table())
        return FileRows(rows, pa.concat_tables(rejected).sort_by("source_row"))

    def _unsplit(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows without columns: their amounts are unknown; the invoice is one of the file's that they name."""
        if not self._unreadable:
            return
        numbers: set[str] = set()
        if "invoice_number" in rows.column_names:
            numbers = {number for number in pc.unique(rows.column("invoice_number")).to_pylist() if number}
        invoices = [_named_invoice(row.raw_text, numbers) for row in self._unreadable]
        nothing = pa.nulls(len(invoices), pa.string())
        yield self._quarantine(
            rows=np.array([row.source_row for row in self._unreadable], dtype=np.int64),
            reasons=[row.reason for row in self._unreadable],
            raw_texts=[row.raw_text for row in self._unreadable],
            invoice_number=pa.array(invoices, pa.string()),
            subtotal=nothing,
            total=nothing,
            currency=nothing,
        )


def _named_invoice(raw_text: str, numbers: set[str]) -> str | None:
    named = numbers.intersection(re.split(r"[,;\t\"' ]+", raw_text))
    return named.pop() if len(named) == 1 else None


def _without_added(table: Table) -> pa.Schema:
    return pa.schema([field for field in table.schema if field.name not in ADDED_LATER])
