"""Read one export in parts: its rows typed, and its unreadable rows with the reason."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.exports import limits
from connectors.exports.batches import Load, Source, TextBatch, Unreadable
from connectors.exports.containers import Content
from connectors.exports.kinds import missing_sentence
from transforms.columns import Column, Table
from transforms.dates import DayOrder
from transforms.errors import InputError
from transforms.headers import match_headers
from transforms.integers import owned
from transforms.normalise import Normalised, needs_value, normalise, uses_decimal_comma
from transforms.tables import EXPORT_TABLES
from transforms.tables.sources import QUARANTINE
from transforms.texts import repeated, values_and_codes

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
class Part:
    """Some rows of one file.

    Attributes:
        rows: the good ones in the columns of `export_schema`, texts dictionary-encoded, decimals at a scale that
            holds them.
        rejected: the others, as `rejected_schema()`; those that could not even be split are in `unreadable`.
        names: the delivered columns.
        day_order: how these rows write slashed dates.
        unreadable: rows that could not be split into columns.
    """

    rows: pa.Table
    rejected: pa.Table
    names: tuple[str, ...]
    day_order: DayOrder
    unreadable: tuple[Unreadable, ...]

    def told(self) -> PartNote:
        """What the file's reader has to know of it."""
        invoices: frozenset[str] = frozenset()
        if "invoice_number" in self.rows.column_names:
            invoices = frozenset(values_and_codes(self.rows.column("invoice_number"))[0].to_pylist())
        return PartNote(self.rows.num_rows, self.rejected, self.names, self.day_order, self.unreadable, invoices)


@dataclass(frozen=True)
class PartNote:
    """A part without its rows.

    Attributes:
        row_count: how many good rows it has.
        rejected, names, day_order, unreadable: as those of `Part`.
        invoices: the numbers that its rows name.
    """

    row_count: int
    rejected: pa.Table
    names: tuple[str, ...]
    day_order: DayOrder
    unreadable: tuple[Unreadable, ...]
    invoices: frozenset[str]


#: Parses and types some rows; whoever calls it may be another thread, or process.
LoadPart = Callable[[], Part]


def export_schema(kind: str) -> pa.Schema:
    """The kind's Arrow schema without the columns that a run adds."""
    return _without_added(EXPORT_TABLES[kind])


def rejected_schema() -> pa.Schema:
    """The quarantine's Arrow schema without the period, which a run adds."""
    return _without_added(QUARANTINE)


class ExportReader:
    """Reads an export part by part, and keeps what only the whole file tells.

    A decimal comma is accepted when the numbers say so: some have one and none has a dot, where the delimiter leaves
    the comma free; what the first numbers of a file say holds for all of it.
    """

    def __init__(self, content: Content, source: Source, kind: str) -> None:
        self.row_count = 0
        self.rejected_count = 0
        self._content = content
        self._source = source
        self._kind = kind
        self._table = EXPORT_TABLES[kind]
        self._names: dict[str, None] = {}
        self._day_order = DayOrder()
        self._unreadable: list[Unreadable] = []
        self._invoices: set[str] = set()
        self._unreadable_characters = 0

    @property
    def kind(self) -> str:
        """Kind of export."""
        return self._kind

    @functools.cached_property
    def _typing(self) -> _Typing:
        # Not before rows are wanted, because the digest of a large file takes seconds. Of other files only the columns
        # that are asked for are read, so that one may be missing for that reason.
        content = self._content
        return _Typing(content.file_sha256, content.source_file, self._kind, self._source.names_may_grow)

    def parts(self, columns: Collection[str] | None = None) -> Iterator[LoadPart]:
        """What loads the rows, part by part in the order of the file.

        Args:
            columns: only these declared columns have values; None for all.
        """
        return self._typed(self._source.read(None if columns is None else self._delivered(columns)))

    def ranges(self) -> Iterator[LoadPart] | None:
        """As `parts`, but what loads one reads its bytes itself, so that little has to be sent to another process.

        None where the file cannot be cut: it is packed, or no delimited text.
        """
        return None if self._source.ranges is None else self._typed(self._source.ranges())

    def count(self, part: PartNote) -> None:
        """Take note of a part, in whatever order.

        Raises:
            InputError: so many rows cannot be read that the file is wrong as a whole.
        """
        self._names.update(dict.fromkeys(part.names))
        self._day_order += part.day_order
        self._unreadable.extend(part.unreadable)
        self.row_count += part.row_count
        self.rejected_count += part.rejected.num_rows + len(part.unreadable)
        self._invoices |= part.invoices
        self._unreadable_characters += sum(len(row.raw_text) for row in part.unreadable)
        self._check_rejected(part)

    def _check_rejected(self, part: PartNote) -> None:
        """Beyond so many rows, or so much text of those that are held until the end, nobody looks at single ones."""
        count = self.rejected_count
        if self._unreadable_characters > limits.MAX_UNREADABLE_CHARACTERS:
            count = max(count, limits.MAX_REJECTED_ROWS + 1)
        if part.unreadable:
            row, reason = part.unreadable[0].source_row, part.unreadable[0].reason
        elif part.rejected.num_rows:
            row, reason = (part.rejected.column(name)[0].as_py() for name in ("source_row", "reason"))
        else:
            return
        limits.check_rejected(self._content.source_file, count, row, reason)

    def finish(self) -> pa.Table:
        """Check what only the whole file tells, when all parts are counted.

        Returns:
            The rows that could not be split into columns, as `rejected_schema()`. Their amounts are unknown; their
            invoice is the one of the file's that they name.

        Raises:
            InputError: required columns are missing, or dates are day first, so that 1/2/2025 would be read wrongly.
        """
        missing = missing_columns(list(self._names), self._table, self._source)
        if missing:
            raise InputError(f"{self._content.source_file}: {missing_sentence(self._kind, missing)}")
        if self._day_order.is_day_first:
            raise InputError(
                f"{self._content.source_file}: dates such as {self._day_order.example} are written day first, which "
                "makes others ambiguous: export it with dates month first (11/30/2025) or as 2025-11-30"
            )
        rows = sorted(self._unreadable, key=lambda row: row.source_row)
        nothing = pa.nulls(len(rows), pa.string())
        return self._typing.quarantine(
            rows=np.array([row.source_row for row in rows], dtype=np.int64),
            reasons=[row.reason for row in rows],
            raw_texts=[row.raw_text for row in rows],
            invoice_number=pa.array([_named_invoice(row.raw_text, self._invoices) for row in rows], pa.string()),
            subtotal=nothing,
            total=nothing,
            currency=nothing,
        )

    def _delivered(self, columns: Collection[str]) -> list[str] | None:
        """The delivered names of declared columns; None where later rows may have other names."""
        if self._source.names_may_grow:
            return None
        found = match_headers(self._source.names, self._table).found
        return [name for column in columns for name in found.get(column, ())]

    def _typed(self, loads: Iterator[Load]) -> Iterator[LoadPart]:
        decimal_comma: bool | None = None
        for load in loads:
            if self._source.may_have_decimal_comma and decimal_comma is None:
                decimal_comma = uses_decimal_comma(load().texts, self._table)
            yield functools.partial(self._typing.part, load, bool(decimal_comma))


@dataclass(frozen=True)
class _Typing:
    """Types the rows of one export and says where they come from."""

    file_sha256: str
    source_file: str
    kind: str
    absent_is_null: bool

    def part(self, load: Load, decimal_comma: bool) -> Part:
        """Load and type some rows."""
        batch = load()
        normalised = normalise(
            batch.texts, EXPORT_TABLES[self.kind], decimal_comma=decimal_comma, absent_is_null=self.absent_is_null
        )
        return Part(
            rows=self._with_provenance(normalised.rows, batch.source_rows[normalised.positions]),
            rejected=self._refused(normalised, batch) if normalised.reasons else rejected_schema().empty_table(),
            names=tuple(batch.texts.column_names),
            day_order=normalised.day_order,
            unreadable=tuple(replace(row, raw_text=limits.shortened(row.raw_text)) for row in batch.unreadable),
        )

    def _with_provenance(self, rows: pa.Table, source_rows: Any) -> pa.Table:
        provenance = {
            "file_sha256": repeated(self.file_sha256, rows.num_rows),
            "source_file": repeated(self.source_file, rows.num_rows),
            "source_row": owned(pa.array(source_rows)),
        }
        names = export_schema(self.kind).names
        columns = [provenance[name] if name in provenance else rows.column(name) for name in names]
        return pa.Table.from_arrays(columns, names=names)

    def _refused(self, normalised: Normalised, batch: TextBatch) -> pa.Table:
        invoice, subtotal, total, currency = (
            normalised.refused.column(name) if name else pa.nulls(len(normalised.reasons), pa.string())
            for name in _FIGURES[self.kind]
        )
        positions = normalised.refused_positions.tolist()
        first = int(batch.source_rows[positions[0]])
        limits.check_rejected(self.source_file, len(positions), first, normalised.reasons[0])
        return self.quarantine(
            rows=batch.source_rows[normalised.refused_positions],
            reasons=normalised.reasons,
            raw_texts=[limits.shortened(batch.raw_text(position)) for position in positions],
            invoice_number=invoice,
            subtotal=subtotal,
            total=total,
            currency=currency,
        )

    def quarantine(self, rows: Any, reasons: list[str], raw_texts: list[str], **figures: Any) -> pa.Table:
        """Rows that cannot be read, by their number, as `rejected_schema()`."""
        schema = rejected_schema()
        count = len(reasons)
        given = {
            "file_sha256": pa.repeat(self.file_sha256, count),
            "source_file": pa.repeat(self.source_file, count),
            "source_row": pa.array(rows, pa.int64()),
            "kind": pa.repeat(self.kind, count),
            "reason": pa.array(reasons, pa.string()),
            "raw_text": pa.array(raw_texts, pa.string()),
            **figures,
        }
        return pa.table([given[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


def read_whole(reader: ExportReader) -> tuple[pa.Table, pa.Table]:
    """Read an export that is small: its rows as `export_schema`, and those in quarantine by their row.

    Raises:
        InputError: as `ExportReader.finish`.
    """
    schema = export_schema(reader.kind)
    parts = []
    for load in reader.parts():
        parts.append(part := load())
        reader.count(part.told())
    # First of all: rows without a column that no row has would not fit the schema.
    rejected = pa.concat_tables([*(part.rejected for part in parts), reader.finish()])
    rows = [schema.empty_table(), *(part.rows.cast(schema) for part in parts)]
    return pa.concat_tables(rows), rejected.sort_by("source_row")


def missing_columns(names: Sequence[str], table: Table, source: Source) -> tuple[Column, ...]:
    """Required columns that no row of an export has; where a row leaves out what is null, those that need a value."""
    missing = match_headers(names, table).missing
    return tuple(column for column in missing if not source.absent_is_null or needs_value(column))


def _named_invoice(raw_text: str, numbers: set[str]) -> str | None:
    named = numbers.intersection(re.split(r"[,;\t\"' ]+", raw_text))
    return named.pop() if len(named) == 1 else None


def _without_added(table: Table) -> pa.Schema:
    return pa.schema([field for field in table.schema if field.name not in ADDED_LATER])
