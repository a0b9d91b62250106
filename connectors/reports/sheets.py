"""The sheets of a workbook below the summary: which columns they show, and what these add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.reports.amounts import added
from connectors.reports.contents import ReportContents
from connectors.reports.grid import SHEET_ROWS, Grid, Shown, TotalRow
from transforms.columns import Column, Kind, Table
from transforms.finding_help import FINDING_HELP
from transforms.money import EXACT
from transforms.tables.reports import (
    REPORT_CHANGES,
    REPORT_CODES,
    REPORT_CUSTOMERS,
    REPORT_FINDINGS,
    REPORT_LINES,
    REPORT_MARGINS,
    REPORT_PRICE_CHANGES,
    REPORT_TIEOUT,
    REPORT_TREND,
    REPORT_TREND_RUNS,
)

#: Lines that fit on a sheet below its head.
MOST_LINES = SHEET_ROWS - 100
#: The sheet of each source of lines.
LINE_SHEETS = {"invoice_recon": "Lines", "daily_usage": "Daily usage"}

#: A sheet and its rows.
Filled = tuple[Grid, pa.Table]


def tieout_sheet(contents: ReportContents) -> Filled:
    """Every invoice, laid out like the invoice, against its document."""
    names = ("line_count", "charge_amount", "credit_amount", "subtotal_amount", "tax_amount", "lines_amount",
             "invoice_amount", "difference_amount")  # fmt: skip
    standing = [row for row in contents.tieout.to_pylist() if row["status"] != "voided"]
    grid = Grid(
        "Invoices",
        f"Invoices of {contents.period} against their lines",
        REPORT_TIEOUT,
        [
            Shown("invoice_number", "Invoice", 18), Shown("invoice_date", "Issued", 12),
            Shown("currency", "Currency", 10), Shown("line_count", "Lines", 10),
            Shown("charge_amount", "Charges", 20), Shown("credit_amount", "Credits", 20),
            Shown("subtotal_amount", "Subtotal", 20), Shown("tax_amount", "Tax", 18),
            Shown("lines_amount", "Total of the lines", 20), Shown("invoice_amount", "Total of the invoice", 20),
            Shown("difference_amount", "Difference", 18), Shown("status", "Status", 18),
        ],
        contents.tieout.num_rows,
        notes=["Charges and credits are before tax. An invoice's credit notes are part of it, on both sides. "
               "Difference: lines less invoice."],
        totals=_by_currency(standing, "currency", names),
        key="currency",
        left_out=("status", "voided") if len(standing) < contents.tieout.num_rows else None,
    )  # fmt: skip
    return grid, contents.tieout


def codes_sheet(contents: ReportContents) -> Filled:
    """Findings by code, what they cost in each currency, and what to do."""
    leaks: dict[tuple[Any, ...], dict[str, Decimal]] = {}
    for row in contents.leaks.to_pylist():
        _add(leaks.setdefault((row["code"], row["severity"]), {}), row["leak_currency"], row["leak_amount"])
    rows = [
        {**row, "fires_when": FINDING_HELP[row["code"]].fires_when, "what_to_do": FINDING_HELP[row["code"]].what_to_do,
         **leaks.get((row["code"], row["severity"]), {})}
        for row in contents.codes.to_pylist()
    ]  # fmt: skip
    table, leaking = _with_leaks(
        REPORT_CODES, contents,
        Column("fires_when", Kind.TEXT, "When it fires."), Column("what_to_do", Kind.TEXT, "What to do."),
    )  # fmt: skip
    grid = Grid(
        "By code",
        f"Findings of {contents.period} by code",
        table,
        [
            Shown("code", "Code", 28), Shown("severity", "Severity", 11), Shown("finding_count", "Findings", 11),
            Shown("customer_count", "Customers", 11), *leaking, Shown("fires_when", "Fires when", 60, wraps=True),
            Shown("what_to_do", "What to do", 50, wraps=True),
        ],
        len(rows),
        notes=_LEAK_NOTE,
        totals=_of_all(rows, "finding_count", *(one.name for one in leaking)),
    )  # fmt: skip
    return grid, pa.Table.from_pylist(rows, table.schema)


def customers_sheet(contents: ReportContents) -> Filled:
    """Findings by customer, and what they cost in each currency."""
    leaks: dict[Any, dict[str, Decimal]] = {}
    for row in contents.leaks.to_pylist():
        _add(leaks.setdefault(row["customer_id"], {}), row["leak_currency"], row["leak_amount"])
    rows = [{**row, **leaks.get(row["customer_id"], {})} for row in contents.customers.to_pylist()]
    for row in rows:
        if row["customer_id"] is None:
            row["customer_name"] = "(about an invoice or a file)"
    table, leaking = _with_leaks(REPORT_CUSTOMERS, contents)
    counts = {"finding_count": "Findings", "block_count": "Block", "warn_count": "Warn", "info_count": "Info"}
    grid = Grid(
        "By customer",
        f"Findings of {contents.period} by customer",
        table,
        [
            Shown("customer_name", "Customer", 38), Shown("customer_id", "Tenant", 38),
            *(Shown(name, heading, 11) for name, heading in counts.items()),
            *leaking,
        ],
        len(rows),
        notes=_LEAK_NOTE,
        totals=_of_all(rows, *counts, *(one.name for one in leaking)),
    )  # fmt: skip
    return grid, pa.Table.from_pylist(rows, table.schema)


def findings_sheet(contents: ReportContents) -> Filled:
    """Every finding with its figures and its sentence."""
    held = contents.findings.num_rows
    notes = ["Expected, actual and difference are sums or, where the message says so, prices, rates or seats. "
             "Difference: actual less expected."]  # fmt: skip
    totals = _by_currency(contents.leaks.to_pylist(), "leak_currency", ("leak_amount",))
    if held < contents.finding_count:
        notes.append(f"The first {held:,} of {contents.finding_count:,} findings; the view out_findings has them all.")
        totals = []
    grid = Grid(
        "Findings",
        f"Findings of {contents.period}",
        REPORT_FINDINGS,
        [
            Shown("code", "Code", 26), Shown("severity", "Severity", 10), Shown("customer_name", "Customer", 30),
            Shown("invoice_number", "Invoice", 14), Shown("sku_name", "SKU", 34),
            Shown("expected_amount", "Expected", 18), Shown("actual_amount", "Actual", 18),
            Shown("difference_amount", "Difference", 18), Shown("currency", "Currency", 10),
            Shown("leak_amount", "Leak", 18), Shown("leak_currency", "Leak currency", 10),
            Shown("message", "Message", 80, wraps=True), Shown("waived_by", "Waived by", 18),
            Shown("waived_until", "Waived until", 12), Shown("waiver_reason", "Why", 30),
            Shown("line_amount", "Line's total", 18), Shown("line_id", "Line", 27),
            Shown("subscription_id", "Subscription", 38), Shown("product_id", "Product", 16),
            Shown("sku_id", "SKU id", 10), Shown("customer_id", "Tenant", 38), Shown("source_file", "File", 40),
            Shown("source_row", "Row", 10),
        ],
        held,
        notes=notes,
        totals=totals,
        key="leak_currency",
        empty="There are no findings.",
        printed=12,
    )  # fmt: skip
    return grid, contents.findings


def margins_sheet(contents: ReportContents) -> Filled:
    """Cost, ERP amount and margin of each customer."""
    names = ("cost_amount", "erp_amount", "margin_amount")
    totals = [
        TotalRow(total.label, total.currency, {**total.values, "margin_pct": _percent(total.values)})
        for total in _by_currency(contents.margins.to_pylist(), "currency", names)
    ]
    grid = Grid(
        "Margins",
        f"Margins of {contents.period} by customer",
        REPORT_MARGINS,
        [
            Shown("customer_name", "Customer", 38), Shown("currency", "Currency", 10),
            Shown("cost_amount", "Cost before tax", 20), Shown("erp_amount", "At ERP price", 20),
            Shown("margin_amount", "Margin", 20), Shown("margin_pct", "Margin %", 11),
            Shown("customer_id", "Tenant", 38),
        ],
        contents.margins.num_rows,
        notes=["Reconciliation lines that have an ERP price; voided invoices do not count."],
        totals=totals,
        key="currency",
        ratios={"margin_pct": ("margin_amount", "erp_amount")},
    )  # fmt: skip
    return grid, contents.margins


def changes_sheet(contents: ReportContents) -> Filled:
    """What the run before it in the same period had otherwise."""
    difference = Column("difference_amount", Kind.USAGE_AMOUNT, "Now less before.", unit="currency")
    table = Table("changes", REPORT_CHANGES.meaning, (*REPORT_CHANGES.columns, difference))
    counted = [f"{count:,} {what}s {change}" for (what, change), count in contents.change_counts.items()]
    if contents.previous_run_id:
        notes = [f"Against run {contents.previous_run_id}: {', '.join(counted) or 'nothing changed'}."]
    else:
        notes = ["There is no earlier run of the period to compare with."]
    if contents.changes.num_rows < sum(contents.change_counts.values()):
        notes.append(f"The first {contents.changes.num_rows:,} of them; the view out_period_changes has them all.")
    grid = Grid(
        "Changes",
        f"What changed in {contents.period} since the run before",
        table,
        [
            Shown("what", "What", 12), Shown("change", "Change", 12), Shown("code", "Code", 26),
            Shown("customer_name", "Customer", 34), Shown("invoice_number", "Invoice", 14),
            Shown("previous_amount", "Before", 18), Shown("amount", "Now", 18),
            Shown("difference_amount", "Difference", 18), Shown("currency", "Currency", 10),
            Shown("line_id", "Line", 27), Shown("subscription_id", "Subscription", 38),
            Shown("customer_id", "Tenant", 38),
        ],
        contents.changes.num_rows,
        notes=notes,
        empty="Nothing changed." if contents.previous_run_id else "There is nothing to compare.",
        printed=10,
    )  # fmt: skip
    apart = pc.cast(pc.subtract(_wide(contents.changes["amount"]), _wide(contents.changes["previous_amount"])),
                    Kind.USAGE_AMOUNT.arrow_type)  # fmt: skip
    return grid, contents.changes.append_column("difference_amount", apart)


def price_changes_sheet(contents: ReportContents) -> Filled:
    """Prices that changed of what the lines are priced by."""
    grid = Grid(
        "Price changes",
        f"Prices that changed in {contents.period} or later, of what its lines are priced by",
        REPORT_PRICE_CHANGES,
        [
            Shown("product_title", "Product", 36), Shown("sku_title", "SKU", 36), Shown("term_duration", "Term", 8),
            Shown("billing_plan", "Plan", 10), Shown("market", "Market", 9), Shown("segment", "Segment", 13),
            Shown("effective_start_date", "From (UTC)", 17), Shown("previous_unit_price", "Price until then", 18),
            Shown("unit_price", "Price from then", 18), Shown("unit_price_change", "Change", 16),
            Shown("previous_erp_price", "ERP until then", 18), Shown("erp_price", "ERP from then", 18),
            Shown("erp_price_change", "ERP change", 16), Shown("currency", "Currency", 10),
            Shown("line_count", "Lines", 9), Shown("publisher", "Publisher", 16),
            Shown("product_id", "Product id", 16), Shown("sku_id", "SKU id", 10),
            Shown("pricing_tier_range_min", "Tier from", 10), Shown("source_file", "Price list", 40),
            Shown("source_row", "Row", 9),
        ],
        contents.price_changes.num_rows,
        notes=["Prices are for the whole term, as the price lists have them."],
        empty="No price of theirs changed.",
        printed=15,
    )  # fmt: skip
    return grid, contents.price_changes


def trend_sheet(contents: ReportContents) -> Filled:
    """Charges, cost and margin of each period."""
    grid = Grid(
        "Trend",
        f"Periods up to {contents.period}",
        REPORT_TREND,
        [
            Shown("period", "Period", 12), Shown("currency", "Currency", 10), Shown("line_count", "Lines", 11),
            Shown("subtotal_amount", "Before tax", 20), Shown("total_amount", "With tax", 20),
            Shown("cost_amount", "Cost with ERP price", 20), Shown("erp_amount", "At ERP price", 20),
            Shown("margin_amount", "Margin", 20), Shown("margin_pct", "Margin %", 11),
        ],
        contents.trend.num_rows,
        notes=["Reconciliation lines of each period's latest run; voided invoices do not count. Margins are of the "
               "lines that have an ERP price."],
    )  # fmt: skip
    return grid, contents.trend


def periods_sheet(contents: ReportContents) -> Filled:
    """How many findings each period's latest run has."""
    grid = Grid(
        "Periods",
        f"Findings of the periods up to {contents.period}",
        REPORT_TREND_RUNS,
        [
            Shown("period", "Period", 12), Shown("run_id", "Run", 32), Shown("status", "Status", 20),
            Shown("started_at", "Started (UTC)", 18), Shown("line_count", "Lines", 11),
            Shown("block_count", "Block", 10), Shown("warn_count", "Warn", 10), Shown("info_count", "Info", 10),
        ],
        contents.trend_runs.num_rows,
    )  # fmt: skip
    return grid, contents.trend_runs


def lines_sheet(contents: ReportContents, source: str, count: int) -> Grid:
    """The lines of a source, or `count` of them that findings name."""
    names = ("subtotal_amount", "tax_amount", "total_amount")
    of_source = [row for row in contents.totals.to_pylist() if row["source"] == source]
    totals = _by_currency(of_source, "currency", names)
    notes = [
        "Reconciliation lines: what the invoices charge." if source == "invoice_recon" else
        "The detail of Azure-plan lines: never add it to the reconciliation lines."
    ]  # fmt: skip
    every = contents.line_count(source)
    if count < every:
        notes.append(
            f"{every:,} lines do not fit on a sheet: here are the {count:,} that findings name. All are in the "
            "warehouse: out_lines, and the Parquet files of `csp-billing warehouse snapshot`."
        )
        totals = []
    return Grid(
        LINE_SHEETS[source],
        f"{LINE_SHEETS[source]} of {contents.period}",
        REPORT_LINES,
        [
            Shown("customer_name", "Customer", 32), Shown("invoice_number", "Invoice", 14),
            Shown("sku_name", "SKU", 38), Shown("charge_type", "Charge type", 16),
            Shown("charge_start_on", "From", 12), Shown("charge_end_on", "To", 12),
            Shown("quantity", "Quantity", 12), Shown("unit_price", "Unit price", 14),
            Shown("effective_unit_price", "Effective unit price", 14), Shown("list_unit_price", "List price", 14),
            Shown("erp_unit_price", "ERP price", 14), Shown("subtotal_amount", "Before tax", 18),
            Shown("tax_amount", "Tax", 16), Shown("total_amount", "With tax", 18), Shown("currency", "Currency", 10),
            Shown("erp_amount", "At ERP price", 18), Shown("margin_amount", "Margin", 18),
            Shown("rounding_rule", "Rounding", 10), Shown("is_billed", "Billed", 9),
            Shown("halo_id", "HaloPSA id", 11), Shown("line_id", "Line", 27),
            Shown("subscription_id", "Subscription", 38), Shown("product_id", "Product", 16),
            Shown("sku_id", "SKU id", 10), Shown("customer_id", "Tenant", 38), Shown("source_file", "File", 40),
            Shown("source_row", "Row", 10),
        ],
        count,
        notes=notes,
        totals=totals,
        key="currency",
        printed=15,
    )  # fmt: skip


_LEAK_NOTE = [
    "Leak: money that is lost, as far as a finding says a sum: charged too much, credit not given, sold below cost. A "
    "line with two findings counts in both, so a total is what leaks at most."
]


def _with_leaks(table: Table, contents: ReportContents, *more: Column) -> tuple[Table, list[Shown]]:
    """A table with one column of leaks for each currency, because currencies are never added up."""
    currencies = sorted(set(contents.leaks["leak_currency"].to_pylist()), key=lambda code: code or "")
    leaks = [Column(_leak_column(code), Kind.USAGE_AMOUNT, "Leak.", unit=code or "") for code in currencies]
    shown = [Shown(one.name, f"Leak {one.unit}".strip(), 18) for one in leaks]
    return Table(table.name, table.meaning, (*table.columns, *leaks, *more)), shown


def _leak_column(currency: str | None) -> str:
    return f"leak of {currency or ''}"


def _add(sums: dict[str, Decimal], currency: str | None, amount: Decimal) -> None:
    name = _leak_column(currency)
    sums[name] = EXACT.add(sums.get(name, Decimal(0)), amount)


def _by_currency(rows: Sequence[Mapping[str, Any]], key: str, names: Sequence[str]) -> list[TotalRow]:
    """A row of totals for each currency."""
    currencies = sorted({row[key] for row in rows}, key=lambda code: code or "")
    return [
        TotalRow(f"Total {currency or 'without a currency'}", currency or "",
                 _sums([row for row in rows if row[key] == currency], names))
        for currency in currencies
    ]  # fmt: skip


def _of_all(rows: Sequence[Mapping[str, Any]], *names: str) -> list[TotalRow]:
    return [TotalRow("Total", None, _sums(rows, names))] if rows else []


def _sums(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Decimal | int]:
    sums: dict[str, Decimal | int] = {}
    for name in names:
        values = [row[name] for row in rows if row.get(name) is not None]
        counts = [value for value in values if isinstance(value, int)]
        sums[name] = sum(counts) if counts else added(values)
    return sums


def _percent(sums: Mapping[str, Decimal | int]) -> Decimal:
    """Margin in percent of the ERP amount; 0 where that is 0."""
    margin, erp = (Decimal(sums[name]) for name in ("margin_amount", "erp_amount"))
    return EXACT.divide(EXACT.multiply(margin, Decimal(100)), erp) if erp else Decimal(0)


def _wide(amounts: pa.ChunkedArray) -> pa.ChunkedArray:
    return amounts.cast(pa.decimal256(60, 18))
