"""The charts of the page, each with its figures as a table: customers, findings, the trend, changed prices."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from connectors.reports.amounts import (
    amount_text,
    counted,
    number_text,
    percent,
    percent_text,
    sums_by_currency,
)
from connectors.reports.charts import Bar, Point, bar_chart, line_chart
from connectors.reports.contents import ReportContents
from connectors.reports.page_parts import Column, PageChart, PageTable, cells
from connectors.reports.page_tables import SHOWN_ROWS, margins_table

#: Bars of a chart; what is smaller is added up to one bar, or left to the table.
_CUSTOMERS, _PRICES = 10, 15
#: Letters of a product beside a bar.
_TITLE_LENGTH = 22
_MONEY_COLOURS = {"Cost": "var(--cost)", "ERP": "var(--erp)", "Margin": "var(--margin)"}
_MONEY = {"Cost": "cost_amount", "ERP": "erp_amount", "Margin": "margin_amount"}
_SEVERITIES = {"block": "var(--bad)", "warn": "var(--warn)", "info": "var(--info)"}

Rows = list[dict[str, Any]]


def customer_charts(contents: ReportContents, labels: dict[str | None, str]) -> list[PageChart]:
    """Cost, ERP amount and margin by customer, a chart for each currency.

    Args:
        contents: the run.
        labels: what a customer is called, by customer id.
    """
    return [_customer_chart(currency, rows, labels) for currency, rows in _by_currency(contents.margins.to_pylist())]


def _customer_chart(currency: str | None, rows: Rows, labels: dict[str | None, str]) -> PageChart:
    named = sorted(rows, key=lambda row: labels.get(row["customer_id"], ""))
    ordered = sorted(named, key=lambda row: row["cost_amount"], reverse=True)
    shown = [(labels.get(row["customer_id"], ""), row) for row in ordered[:_CUSTOMERS]]
    if rest := ordered[_CUSTOMERS:]:
        added = {name: _sum(rest, name) for name in _MONEY.values()}
        shown.append((counted(len(rest), "other customer"), added))
    bars = [
        Bar(name, series, row[column], amount_text(row[column], currency))
        for name, row in shown
        for series, column in _MONEY.items()
    ]
    unit = currency or "without currency"
    return PageChart(
        f"Cost, ERP amount and margin by customer, {unit}",
        bar_chart(bars, _MONEY_COLOURS, unit),
        f"Bars of cost, ERP amount and margin in {unit}, the customers that cost most first: "
        f"{counted(len(rows), 'customer')}. Lines without an ERP price are in none of the three.",
        margins_table(ordered, currency, labels),
    )


def codes_chart(contents: ReportContents) -> PageChart | None:
    """Findings by code, in the colours of their severities; None where there is none."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in contents.codes.to_pylist():
        counts[row["code"], row["severity"]] += row["finding_count"]
    if not counts:
        return None
    ranks = list(_SEVERITIES)
    ordered = sorted(counts.items(), key=lambda one: (ranks.index(one[0][1]), -one[1], one[0][0]))
    bars = [Bar(code, severity, Decimal(count), f"{count:,}") for (code, severity), count in ordered]
    used = {severity: colour for severity, colour in _SEVERITIES.items() if severity in {bar.series for bar in bars}}
    return PageChart(
        "Findings by code",
        bar_chart(bars, used, "findings"),
        f"Bars of how many findings each code has: {counted(contents.finding_count, 'finding')} of "
        f"{counted(len({bar.name for bar in bars}), 'code')}; the table has them all.",
    )


def trend_charts(contents: ReportContents) -> list[PageChart]:
    """Cost, ERP amount and margin by period, a chart for each currency, and the findings by period.

    There is no trend of a single period.
    """
    runs = contents.trend_runs.to_pylist()
    if len(runs) < 2:
        return []
    money = [_money_trend(currency, rows) for currency, rows in _by_currency(contents.trend.to_pylist())]
    return [*money, _findings_trend(runs)]


def _money_trend(currency: str | None, rows: Rows) -> PageChart:
    points = [
        Point(row["period"], series, row[column], amount_text(row[column], currency))
        for row in rows
        for series, column in _MONEY.items()
        if row[column] is not None
    ]
    unit = currency or "without currency"
    names = ("subtotal_amount", *_MONEY.values())
    table = [
        cells(row["period"], f"{row['line_count']:,}", *(amount_text(row[name], currency) for name in names),
              percent_text(percent(row["margin_amount"], row["erp_amount"])) if row["erp_amount"] else "")
        for row in rows
    ]  # fmt: skip
    columns = [Column("Period", "date"), *(Column(one, "number") for one in
               ("Lines", "Charged before tax", "Cost", "ERP", "Margin", "Margin, %"))]  # fmt: skip
    title = f"Cost, ERP amount and margin by period, {unit}"
    return PageChart(
        title,
        line_chart(points, _MONEY_COLOURS, unit),
        f"Lines of cost, ERP amount and margin in {unit} over {counted(len(rows), 'period')}, {rows[0]['period']} to "
        f"{rows[-1]['period']}. Lines without an ERP price are in none of the three.",
        PageTable(title, columns, table),
    )


def _findings_trend(runs: Rows) -> PageChart:
    points = [
        Point(run["period"], severity, Decimal(run[f"{severity}_count"]), f"{run[f'{severity}_count']:,}")
        for run in runs
        for severity in _SEVERITIES
    ]
    columns = [Column("Period", "date"), Column("State"), *(Column(one, "number") for one in
               ("Lines", "Block", "Warn", "Info"))]  # fmt: skip
    table = [
        cells(run["period"], run["status"].replace("_", " "),
              *(f"{run[f'{name}_count']:,}" for name in ("line", *_SEVERITIES)))
        for run in runs
    ]  # fmt: skip
    return PageChart(
        "Findings by period",
        line_chart(points, _SEVERITIES, "findings"),
        f"Lines of how many findings block, warn and inform over {counted(len(runs), 'period')}, {runs[0]['period']} "
        f"to {runs[-1]['period']}.",
        PageTable("Findings by period", columns, table),
    )


def prices_chart(contents: ReportContents) -> PageChart | None:
    """The prices that changed most, in percent of the price before; None where none did."""
    changed: list[tuple[Decimal | None, dict[str, Any]]] = []
    for row in contents.price_changes.to_pylist():
        before, change = row["previous_unit_price"], row["unit_price_change"]
        changed.append((percent(change, before) if before and change is not None else None, row))
    if not changed:
        return None
    changed.sort(key=lambda one: (abs(one[0] or Decimal(0)), one[1]["line_count"]), reverse=True)
    bars: dict[str, Bar] = {}
    for share, row in changed:
        name = _short_product(row)
        if share and name not in bars and len(bars) < _PRICES:
            bars[name] = Bar(name, "rise" if share > 0 else "fall", share, f"{share:+,.2f} %")
    colours = {"rise": "var(--bad)", "fall": "var(--margin)"}
    columns = [Column("Product"), Column("Market"), Column("Term"), Column("From", "date"), *(Column(one, "number") for
               one in ("Price before", "Price", "Change, %", "ERP before", "ERP", "Lines")), Column("Currency")]
    table = [[*cells(_product(row), *_price_cells(share, row))] for share, row in changed]
    shown = PageTable("Changed prices", columns, table[:SHOWN_ROWS], left_out=max(0, len(table) - SHOWN_ROWS))
    about = f"Bars of the largest of {counted(len(changed), 'changed price')} in percent of the price before, for what "
    return PageChart(
        "Changed prices",
        bar_chart(list(bars.values()), colours, "change of the partner's price in percent") if bars else "",
        f"{about}this run's lines are priced by, from the period on.",
        shown,
    )


def _price_cells(share: Decimal | None, row: dict[str, Any]) -> list[str]:
    currency = row["currency"]
    prices = (row["previous_unit_price"], row["unit_price"])
    erp = (row["previous_erp_price"], row["erp_price"])
    return [
        row["market"] or "", _plan(row), f"{row['effective_start_date']:%Y-%m-%d}",
        *(amount_text(one, currency) for one in prices), percent_text(share),
        *(amount_text(one, currency) for one in erp), number_text(row["line_count"]), currency or "",
    ]  # fmt: skip


def _product(row: dict[str, Any]) -> str:
    product, sku = row["product_title"], row["sku_title"]
    titles = [one for one in (product, sku if sku != product else None) if one]
    return " ".join(titles) or f"{row['product_id']}:{row['sku_id']}"


def _short_product(row: dict[str, Any]) -> str:
    """A product with what tells its prices apart, short enough for a chart."""
    name = _product(row)
    short = name if len(name) <= _TITLE_LENGTH else f"{name[: _TITLE_LENGTH - 1].rstrip()}…"
    return " ".join(one for one in (f"{short},", row["market"], row["term_duration"], row["billing_plan"]) if one)


def _plan(row: dict[str, Any]) -> str:
    return " ".join(one for one in (row["term_duration"], row["billing_plan"]) if one)


def _by_currency(rows: Rows) -> list[tuple[str | None, Rows]]:
    groups: dict[str | None, Rows] = defaultdict(list)
    for row in rows:
        groups[row["currency"]].append(row)
    return sorted(groups.items(), key=lambda one: one[0] or "")


def _sum(rows: Rows, name: str) -> Decimal:
    return sums_by_currency((None, row[name]) for row in rows).get(None, Decimal(0))
