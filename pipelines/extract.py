"""Extract: from a folder of exports to the rows of one billing period."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connectors.exports.delivery import Delivery, SourceFile, read_delivery
from connectors.exports.landing import land
from connectors.warehouse.customers import read_clients
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.sources import read_price_lists, read_source
from pipelines.settings import Settings
from transforms.categories import unknown_charge_types
from transforms.conservation import added, sums_of_quarantine, sums_of_source
from transforms.documents import voided_invoices, without_voided
from transforms.errors import InputError
from transforms.line_identity import line_ids
from transforms.periods import invoice_periods, month_before, period_column
from transforms.reconcile import PeriodRows
from transforms.tables import EXPORT_TABLES, QUARANTINE, RUN_FILES, SOURCE_FILES
from transforms.versions import latest_documents, select_lines


@dataclass(frozen=True)
class Extraction:
    """The rows of one period as they were delivered.

    Attributes:
        period: YYYY-MM.
        rows: what the reconciliation works on.
        delivered_prices: rows of the price lists in this folder (`rows.price_lists` has every list ever loaded).
        files: the files of the folder that were read.
        notices: sentences the user ought to see: files left out or skipped.
    """

    period: str
    rows: PeriodRows
    delivered_prices: pa.Table
    files: list[SourceFile]
    notices: list[str]

    def land(self, home: Path) -> pa.Table:
        """Keep an untouched copy of every file and return them as rows of the source files table."""
        now = datetime.now(UTC)
        columns = SOURCE_FILES.names
        rows = [
            dict(
                zip(
                    columns,
                    (file.file_sha256, file.source_file, file.kind, file.row_count, file.rejected_count,
                     file.byte_count, land(file, home), now),
                    strict=True,
                )
            )
            for file in self.files
        ]  # fmt: skip
        return pa.Table.from_pylist(rows, SOURCE_FILES.schema)

    def run_files(self, run_id: str) -> pa.Table:
        """The files as rows of the run files table."""
        rows = [
            {"run_id": run_id, "file_sha256": file.file_sha256, "source_file": file.source_file, "kind": file.kind}
            for file in self.files
        ]
        return pa.Table.from_pylist(rows, RUN_FILES.schema)


def extract(settings: Settings, period: str) -> Extraction:
    """Read the folder of exports and take the rows of one period.

    Raises:
        InputError: the folder or a file cannot be read, or holds nothing of that period.
    """
    delivery = read_delivery(settings.exports)
    delivered_at = {file.source_file: file.modified_at for file in delivery.files}
    documents = latest_documents(delivery.tables["invoices"], delivered_at)
    recon, usage = delivery.tables["invoice_recon"], delivery.tables["daily_usage"]
    periods = invoice_periods(documents, recon, usage)
    totals = dict(zip(documents.column("invoice_number").to_pylist(), documents.column("total_charges").to_pylist(),
                      strict=True))  # fmt: skip
    notices = [f"{item.path} is left out: {item.problem or 'it is not a partner export'}" for item in delivery.skipped]
    rejected = _rejected_of_period(delivery, periods, period)
    lines, delivered, left_out = {}, [sums_of_quarantine(rejected)], []
    for kind, table in (("invoice_recon", recon), ("daily_usage", usage)):
        own = _of_period(table, periods, period)
        selection = select_lines(own, kind, delivered_at, totals)
        delivered.append(sums_of_source(own, kind))
        left_out.append(sums_of_source(selection.left_out, kind))
        notices += selection.notices
        identified = selection.kept.append_column("line_id", line_ids(selection.kept, kind))
        lines[kind] = EXPORT_TABLES[kind].conform(identified)
    notices += [
        f"{count} lines have the charge type {name}, which is not known: they are checked like other charges"
        for name, count in unknown_charge_types(lines["invoice_recon"]).items()
    ]
    invoices = EXPORT_TABLES["invoices"].conform(_of_period(documents, periods, period))
    if not any(table.num_rows for table in (*lines.values(), invoices, rejected)):
        raise InputError(_nothing(settings.exports, period, delivery, periods))
    prices = delivery.tables["price_list"]
    known = _remembered(settings, prices, month_before(period))
    rows = PeriodRows(
        period, lines["invoice_recon"], lines["daily_usage"], invoices, known.price_lists, rejected, known.previous,
        delivered=added(*delivered),
        left_out=added(*left_out),
        delivered_lists=frozenset(prices.column("file_sha256").unique().to_pylist()),
        mapped_customers=known.mapped_customers,
    )  # fmt: skip
    return Extraction(period, rows, prices, delivery.files, notices)


def _of_period(table: pa.Table, periods: dict[str, str], period: str) -> pa.Table:
    """The rows of a period, with their period as a column."""
    with_period = table.append_column("period", period_column(table, periods))
    return with_period.filter(pc.fill_null(pc.equal(with_period.column("period"), period), False))


def _rejected_of_period(delivery: Delivery, periods: dict[str, str], period: str) -> pa.Table:
    """Rows in quarantine of this period: by their invoice, else by the other rows of their file, else this run's."""
    by_file: dict[str, Counter[str]] = {}
    for table in delivery.tables.values():
        if "invoice_number" not in table.column_names:
            continue
        found = pa.table({"file": table.column("source_file"), "period": period_column(table, periods)})
        for row in found.group_by(["file", "period"]).aggregate([([], "count_all")]).to_pylist():
            by_file.setdefault(row["file"], Counter())[row["period"]] += row["count_all"]
    kept = []
    for row in delivery.rejected.to_pylist():
        common = by_file.get(row["source_file"])
        own = periods.get(row["invoice_number"] or "") or (common.most_common(1)[0][0] if common else period)
        if own == period:
            kept.append({**row, "period": period})
    return pa.Table.from_pylist(kept, QUARANTINE.schema)


class _Remembered(NamedTuple):
    """What the warehouse adds to the delivered files."""

    price_lists: pa.Table
    previous: pa.Table
    mapped_customers: frozenset[str]


def _remembered(settings: Settings, delivered: pa.Table, before: str) -> _Remembered:
    """Price lists besides the delivered ones, the previous period's lines that stand, and who has a HaloPSA client."""
    with open_warehouse(settings.warehouse).read() as connection:
        known = read_price_lists(connection)
        previous = read_source(connection, "invoice_recon", before)
        voided = voided_invoices(read_source(connection, "invoices", before))
        mapped = frozenset(read_clients(connection))
    shas = delivered.column("file_sha256").combine_chunks()
    older = known.filter(pc.invert(pc.is_in(known.column("file_sha256"), shas)))
    lists = pa.concat_tables([older, EXPORT_TABLES["price_list"].conform(delivered)])
    return _Remembered(lists, without_voided(previous, voided), mapped)


def _nothing(exports: str, period: str, delivery: Delivery, periods: dict[str, str]) -> str:
    others = sorted({found for found in periods.values() if found})
    if others:
        return f"{exports} holds nothing of period {period}; it holds {', '.join(others)}: choose one with --period"
    if not delivery.files:
        return f"{exports} holds no partner export; put the month's files there or name the folder with --exports"
    return f"{exports} holds no invoice and no line, only {', '.join(sorted({f.kind for f in delivery.files}))}"
