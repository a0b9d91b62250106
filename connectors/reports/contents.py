"""What every report shows of one run: read from the warehouse once, so that all reports say the same.

Amounts are exact decimals. What is in several currencies is kept apart by currency and never added up.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from connectors.reports.amounts import added
from connectors.warehouse.approvals import APPROVED, last_decision
from connectors.warehouse.bulk import read_arrow, stream_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.of_run import THIS_RUN, query_of, read_of, report_sql, shown_by
from connectors.warehouse.runs import get_run, latest_run, previous_run, read_tieout
from connectors.warehouse.sources import read_invoices
from connectors.warehouse.waivers import Blocking, count_blocking
from transforms.columns import Column, Kind, Table
from transforms.documents import amended_invoices, voided_invoices
from transforms.money import EXACT
from transforms.periods import month_before
from transforms.tables.reports import (
    REPORT_CHANGES,
    REPORT_CODES,
    REPORT_CUSTOMERS,
    REPORT_FINDINGS,
    REPORT_LEAKS,
    REPORT_LINES,
    REPORT_LOADING,
    REPORT_MARGINS,
    REPORT_PRICE_CHANGES,
    REPORT_TIEOUT,
    REPORT_TOTALS,
    REPORT_TREND,
    REPORT_TREND_RUNS,
)

#: How many findings, and how many changes, are held; a month that has more is looked at in the warehouse.
HELD_ROWS = 200_000
#: How many periods a trend shows.
TREND_PERIODS = 24

_SEVERITY_RANK = "case severity when 'block' then 0 when 'warn' then 1 else 2 end"
#: Severities by weight, for sorting.
_RANKS = {"block": 0, "warn": 1, "info": 2}


@dataclass(frozen=True)
class ReportContents:
    """One run as reports show it. The columns of the tables are declared in `transforms.tables.reports`.

    Attributes:
        run: its row of RUNS by column name: period, status, scope (empty for a full run), policy and its digest,
            content_digest, line_count, invoice_count, blocking_count, started_at …
        decision: the last decision about its content by column name of APPROVALS: approved or rejected, by whom, when
            and why; None where nobody has decided.
        blocking: how many findings of severity block are open, and how many are waived today.
        as_of: when it was read, UTC: what was decided, loaded or billed later is not in it.
        is_latest: whether it is its period's latest full run, the one that is billed.
        previous_run_id: the full run of the period before it, which `changes` compare with; None where there is none,
            or the run is not a full one.
        totals: REPORT_TOTALS, by source (invoice_recon first) and currency. Sources are never added up: daily usage is
            the detail of Azure-plan lines of the reconciliation.
        tieout: REPORT_TIEOUT, by invoice number.
        findings: REPORT_FINDINGS, the blocking ones first, then by code, invoice, customer and line; at most HELD_ROWS.
        finding_count: how many findings there are.
        codes: REPORT_CODES, the blocking ones first; a code may have a row of each severity.
        customers: REPORT_CUSTOMERS, those with the most blocking findings first.
        leaks: REPORT_LEAKS, by currency, the largest first.
        margins: REPORT_MARGINS, by customer and currency.
        changes: REPORT_CHANGES, findings before lines; at most HELD_ROWS.
        change_counts: how many lines and findings are new, gone or changed, by (`line` or `finding`, change).
        price_changes: REPORT_PRICE_CHANGES, by start.
        trend: REPORT_TREND by period and currency, and
        trend_runs: REPORT_TREND_RUNS by period: at most TREND_PERIODS up to the run's. The run stands for its period,
            unless it is an ad hoc one.
        loading: REPORT_LOADING, how its lines stand in HaloPSA.
    """

    run: Mapping[str, Any]
    decision: Mapping[str, Any] | None
    blocking: Blocking
    as_of: dt.datetime
    is_latest: bool
    previous_run_id: str | None
    totals: pa.Table
    tieout: pa.Table
    findings: pa.Table
    finding_count: int
    codes: pa.Table
    customers: pa.Table
    leaks: pa.Table
    margins: pa.Table
    changes: pa.Table
    change_counts: Mapping[tuple[str, str], int]
    price_changes: pa.Table
    trend: pa.Table
    trend_runs: pa.Table
    loading: pa.Table

    @property
    def run_id(self) -> str:
        """The run."""
        return str(self.run["run_id"])

    @property
    def period(self) -> str:
        """Its billing period, YYYY-MM."""
        return str(self.run["period"])

    @property
    def is_approved(self) -> bool:
        """Whether the last decision about its content approves it."""
        return self.decision is not None and self.decision["decision"] == APPROVED

    @property
    def is_rejected(self) -> bool:
        """Whether the last decision about its content rejects it."""
        return self.decision is not None and not self.is_approved

    @property
    def open_blocking(self) -> int:
        """How many blocking findings nobody has accepted, by a waiver or an approval."""
        return 0 if self.is_approved else self.blocking.open

    def line_count(self, source: str) -> int:
        """How many lines of a source, `invoice_recon` or `daily_usage`, the run has."""
        own = self.totals.filter(pc.equal(self.totals["source"], source))
        return pc.sum(own["line_count"]).as_py() or 0


def read_contents(warehouse: Warehouse, run_id: str) -> ReportContents:
    """Read what reports show of a run, as of one moment.

    Raises:
        InputError: there is no such run.
        WarehouseError: the warehouse is not reachable.
    """
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        latest = latest_run(connection, run["period"])
        return _Reader(connection, run).contents(latest is not None and latest["run_id"] == run_id)


@dataclass(frozen=True)
class StoredLines:
    """Lines of one source of a run, to be read once.

    Attributes:
        count: how many there are.
        batches: they, in columns of REPORT_LINES, by invoice, customer, file and row.
    """

    count: int
    batches: Iterator[pa.RecordBatch]


@contextmanager
def open_lines(warehouse: Warehouse, run_id: str, source: str, *, found: bool = False) -> Iterator[StoredLines]:
    """The lines of a run, in memory that does not grow with them.

    They are copied to a temporary file first, so that a report that takes its time keeps nobody from the warehouse.

    Args:
        warehouse: the warehouse.
        run_id: the run.
        source: `invoice_recon` or `daily_usage`.
        found: only the lines that findings name.
    """
    where = "where source = :source"
    if found:
        where += " and line_id in (select line_id from findings where run_id = :run_id)"
    order = f"{where} order by invoice_number, customer_name, customer_id, source_file, source_row"
    parameters = {"run_id": run_id, "source": source}
    asked = query_of(REPORT_LINES, "out_lines", parameters, THIS_RUN | shown_by("out_lines"), order)
    count = 0
    with tempfile.TemporaryFile() as file:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with warehouse.read() as connection, pa.ipc.new_stream(file, REPORT_LINES.schema, options=options) as writer:
            for batch in stream_arrow(connection, asked, REPORT_LINES.schema):
                count += batch.num_rows
                writer.write_batch(batch)
        file.seek(0)
        with pa.ipc.open_stream(file) as reader:
            yield StoredLines(count, iter(reader))


class _Reader:
    """Reads the parts of one run in the transaction it is given."""

    def __init__(self, connection: sa.Connection, run: dict[str, Any]) -> None:
        self._connection = connection
        self._run = run
        self._is_full = run["scope"] is None and run["status"] != "failed"
        previous = previous_run(connection, run) if self._is_full else None
        self._previous: str | None = previous["run_id"] if previous else None
        period = run["period"]
        first = period
        for _ in range(TREND_PERIODS - 1):
            first = month_before(first)
        self._parameters: dict[str, Any] = {
            "run_id": run["run_id"],
            "previous_run_id": self._previous,
            "period": period,
            "first_period": first,
            "period_start": dt.datetime(int(period[:4]), int(period[5:]), 1, tzinfo=dt.UTC),
            "held_rows": HELD_ROWS,
        }

    def contents(self, is_latest: bool) -> ReportContents:
        findings = {"report_findings": report_sql("findings")}
        codes = self._read(REPORT_CODES, report_sql("codes"))
        changes, change_counts = self._changes()
        margins = THIS_RUN | shown_by("out_customer_margin")
        trend = self._trend_runs() | shown_by("out_customer_margin")
        return ReportContents(
            run=self._run,
            decision=last_decision(self._connection, self._run),
            blocking=count_blocking(self._connection, self._run),
            as_of=dt.datetime.now(dt.UTC),
            is_latest=is_latest,
            previous_run_id=self._previous,
            totals=_sorted(self._read(REPORT_TOTALS, report_sql("totals")), "-source", "currency", "is_voided"),
            tieout=self._tieout(),
            findings=self._findings(),
            finding_count=pc.sum(codes["finding_count"]).as_py() or 0,
            codes=_sorted(_ranked(codes), "rank", "code").drop_columns("rank"),
            customers=_sorted(
                self._read(REPORT_CUSTOMERS, report_sql("customers")),
                "-block_count", "-warn_count", "-info_count", "customer_name", "customer_id",
            ),
            leaks=_sorted(
                self._read(REPORT_LEAKS, report_sql("leaks"), findings),
                "leak_currency", "-leak_amount", "code", "customer_name", "customer_id", "severity",
            ),
            margins=_sorted(
                self._read(REPORT_MARGINS, "out_customer_margin", margins), "customer_name", "customer_id", "currency"
            ),
            changes=changes,
            change_counts=change_counts,
            price_changes=_sorted(
                self._read(REPORT_PRICE_CHANGES, report_sql("price_changes")),
                "effective_start_date", "product_title", "sku_title", "product_id", "sku_id", "market", "currency",
                "term_duration", "billing_plan", "segment", "pricing_tier_range_min",
            ),
            trend=_sorted(self._read(REPORT_TREND, report_sql("trend"), trend), "period", "currency"),
            trend_runs=_sorted(
                self._read(REPORT_TREND_RUNS, report_sql("trend_runs"), self._trend_runs()), "period"
            ),
            loading=_sorted(self._read(REPORT_LOADING, report_sql("loading")), "-source", "currency", "state"),
        )  # fmt: skip

    def _read(self, table: Table, query: str, views: Mapping[str, str] | None = None) -> pa.Table:
        return read_of(self._connection, table, query, self._parameters, views or {})

    def _findings(self) -> pa.Table:
        order = f"order by {_SEVERITY_RANK}, code, invoice_number, customer_name, line_id limit :held_rows"
        asked = query_of(REPORT_FINDINGS, report_sql("findings"), self._parameters, {}, order)
        found = read_arrow(self._connection, asked, REPORT_FINDINGS.schema)
        keys = ("rank", "code", "invoice_number", "customer_name", "line_id", "source_file", "source_row")
        return _sorted(_ranked(found), *keys).drop_columns("rank")

    def _changes(self) -> tuple[pa.Table, dict[tuple[str, str], int]]:
        """Changes since the previous run, and how many of each kind there are."""
        if self._previous is None:
            return REPORT_CHANGES.schema.empty_table(), {}
        views = {"runs": "select * from runs where run_id in (:run_id, :previous_run_id)"}
        views |= shown_by("out_period_changes")
        order = "order by what, change desc, code, invoice_number, customer_name, line_id limit :held_rows"
        asked = query_of(REPORT_CHANGES, "out_period_changes", self._parameters, views, order)
        changes = read_arrow(self._connection, asked, REPORT_CHANGES.schema)
        keys = ("what", "-change", "code", "invoice_number", "customer_name", "line_id")
        if changes.num_rows < HELD_ROWS:
            counted = changes.group_by(["what", "change"]).aggregate([([], "count_all")])
        else:
            query = "select what, change, count(*) as count_all from out_period_changes group by what, change"
            counted = self._read(_CHANGE_COUNTS, query, views)
        counts = {(row["what"], row["change"]): row["count_all"] for row in counted.to_pylist()}
        return _sorted(changes, *keys), dict(sorted(counts.items()))

    def _trend_runs(self) -> dict[str, str]:
        """The runs that a trend shows, in place of the latest ones."""
        if not self._is_full:
            return {"latest_runs": "select period, run_id from latest_runs where period between :first_period and "
                                   ":period"}  # fmt: skip
        return {
            "latest_runs": "select period, run_id from latest_runs where period >= :first_period and period < :period "
            "union all select period, run_id from runs where run_id = :run_id"
        }

    def _tieout(self) -> pa.Table:
        """The tie-out with what its lines add up to; credit notes are counted to the invoice that they amend."""
        documents = read_invoices(self._connection, self._run["period"])
        issued = dict(zip(documents["invoice_number"].to_pylist(), documents["invoice_date"].to_pylist(), strict=True))
        voided = voided_invoices(documents)
        amended = {note: number for note, number in amended_invoices(documents).items() if note not in voided}
        sums: dict[str, list[dict[str, Any]]] = {}
        for row in self._read(_INVOICE_SUMS, report_sql("invoice_sums")).to_pylist():
            sums.setdefault(amended.get(row["invoice_number"], row["invoice_number"]), []).append(row)
        rows = []
        for row in read_tieout(self._connection, self._run["run_id"]).to_pylist():
            moment = issued.get(row["invoice_number"])
            rows.append({**row, "invoice_date": moment and moment.date(), **_laid_out(row, sums)})
        return pa.Table.from_pylist(rows, REPORT_TIEOUT.schema)


_CHANGE_COUNTS = Table(
    "change_counts",
    "How many changes of each kind there are.",
    (*(REPORT_CHANGES[name] for name in ("what", "change")), Column("count_all", Kind.INTEGER, "Changes.")),
)
_INVOICE_SUMS = Table(
    "invoice_sums",
    "What the reconciliation lines of an invoice number add up to, by currency.",
    (
        *(REPORT_TIEOUT[name] for name in ("invoice_number", "currency", "line_count", "charge_amount",
                                           "credit_amount", "tax_amount")),
        REPORT_TOTALS["total_amount"],
    ),
)  # fmt: skip


def _laid_out(row: Mapping[str, Any], sums: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the lines of a tie-out row add up to; nothing where that is not what they were tied out by."""
    own = sums.get(row["invoice_number"], [])
    names = ("charge_amount", "credit_amount", "tax_amount", "total_amount")
    sums_of = {name: added(one[name] for one in own) for name in names}
    several = len({one["currency"] for one in own}) > 1
    if several or sums_of.pop("total_amount") != row["lines_amount"]:
        return {}
    subtotal = EXACT.add(sums_of["charge_amount"], sums_of["credit_amount"])
    return {**sums_of, "subtotal_amount": subtotal, "line_count": sum(one["line_count"] for one in own)}


def _ranked(rows: pa.Table) -> pa.Table:
    """Rows with the weight of their severity."""
    ranks = pa.array([_RANKS[severity] for severity in rows["severity"].to_pylist()], pa.int8())
    return rows.append_column("rank", ranks)


def _sorted(rows: pa.Table, *names: str) -> pa.Table:
    """Rows by columns, with `-` before a name from the largest; the same on both engines, whatever their collation."""
    return rows.sort_by([(name.lstrip("-"), "descending" if name.startswith("-") else "ascending") for name in names])
