"""The tables of the page: invoice tie-out, findings by code and customer, HaloPSA, what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from connectors.reports.amounts import amount_text, coin_text, money_texts, percent, percent_text, sums_by_currency
from connectors.reports.contents import ReportContents
from connectors.reports.page_parts import Cell, Column, PageTable, Tone, cells
from transforms.finding_help import FINDING_HELP
from transforms.money import EXACT

#: Rows of a table that the page shows; the workbook has all of them.
SHOWN_ROWS = 300

_TIEOUT_STATUS: dict[str, tuple[str, Tone]] = {
    "matched": ("ties out", "good"),
    "tax_only": ("differs by a known tax rate", "good"),
    "mismatch": ("does not tie out", "bad"),
    "invoice_not_found": ("no invoice document", "bad"),
    "without_lines": ("no lines", "bad"),
    "voided": ("voided, does not count", "plain"),
}
_LOADING_STATE: dict[str, tuple[str, Tone]] = {
    "billed": ("billed", "good"),
    "posted": ("posted, not billed yet", "warn"),
    "intended": ("sent, outcome not known yet", "warn"),
    "rejected": ("rejected by HaloPSA", "bad"),
    "not_loaded": ("not loaded", "warn"),
    "voided": ("of a voided invoice, never loaded", "plain"),
    "without_invoice": ("without an invoice, never loaded", "plain"),
}
_SEVERITY_TONE: dict[str, Tone] = {"block": "bad", "warn": "warn", "info": "plain"}
_SOURCE = {"invoice_recon": "reconciliation lines", "daily_usage": "daily usage lines"}


def tieout_table(contents: ReportContents) -> PageTable:
    """Every invoice, laid out like the invoice, and the sums of those that count by currency."""
    columns = [Column("Invoice"), Column("Date", "date"), Column("Currency"), *_numbers("Lines", "Charges", "Credits",
               "Tax", "Lines, total", "Invoice, total", "Difference"), Column("Status")]  # fmt: skip
    rows = contents.tieout.to_pylist()
    counting = [row for row in rows if row["status"] != "voided"]
    added = sums_by_currency((row["currency"], row["lines_amount"]) for row in counting)
    invoiced = sums_by_currency((row["currency"], row["invoice_amount"]) for row in counting)
    sums = []
    for currency in sorted({row["currency"] for row in counting}, key=lambda one: one or ""):
        lines, invoices = added.get(currency, Decimal(0)), invoiced.get(currency, Decimal(0))
        own = (lines, invoices, EXACT.subtract(lines, invoices))
        sums.append(cells("All that count", "", currency or "", "", "", "", "",
                          *(amount_text(one, currency) for one in own), ""))
    return PageTable("Every invoice against the sum of its lines", columns, [_tieout_row(row) for row in rows], sums)


def _tieout_row(row: dict[str, Any]) -> list[Cell]:
    names = ("charge_amount", "credit_amount", "tax_amount", "lines_amount", "invoice_amount")
    status, tone = _TIEOUT_STATUS[row["status"]]
    difference = row["difference_amount"]
    return [
        *cells(row["invoice_number"], f"{row['invoice_date'] or ''}", row["currency"] or "",
               "" if row["line_count"] is None else f"{row['line_count']:,}"),
        *cells(*(amount_text(row[name], row["currency"]) for name in names)),
        Cell(amount_text(difference, row["currency"]), "bad" if difference and tone == "bad" else "plain"),
        Cell(status, tone),
    ]  # fmt: skip


class CodeRow(NamedTuple):
    """A finding code that was found: how often and with which severities, what leaks by it, and what is said of it."""

    code: str
    severities: Sequence[Cell]
    finding_count: str
    leaks: Sequence[str]
    fires_when: str
    what_to_do: str


def code_rows(contents: ReportContents) -> list[CodeRow]:
    """The codes that were found, the blocking ones first, as they are explained everywhere."""
    leaks = _leaks_by(contents, "code")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in contents.codes.to_pylist():
        found.setdefault(row["code"], []).append(row)
    return [
        CodeRow(
            code,
            [Cell(row["severity"], _SEVERITY_TONE[row["severity"]]) for row in own],
            f"{sum(row['finding_count'] for row in own):,}",
            money_texts(sums_by_currency(leaks.get(code, []))),
            *FINDING_HELP[code],
        )
        for code, own in found.items()
    ]


def customers_table(contents: ReportContents, labels: dict[str | None, str]) -> PageTable:
    """Customers by how many findings they have.

    Args:
        contents: the run.
        labels: what a customer is called, by customer id.
    """
    columns = [Column("Customer"), *_numbers("Block", "Warn", "Info", "Leaks")]
    leaks = _leaks_by(contents, "customer_id")
    rows = [
        [Cell(labels[row["customer_id"]], leads_to="customer") if row["customer_id"] else Cell("none, but an invoice"),
         *cells(*(f"{row[name]:,}" for name in ("block_count", "warn_count", "info_count")),
                ", ".join(money_texts(sums_by_currency(leaks.get(row["customer_id"], [])))))]
        for row in contents.customers.to_pylist()
    ]  # fmt: skip
    return _cut("Findings by customer", columns, rows)


def margins_table(rows: Iterable[dict[str, Any]], currency: str | None, labels: dict[str | None, str]) -> PageTable:
    """Cost, ERP amount and margin of the customers of one currency, in the order given, with their sum."""
    columns = [Column("Customer"), *_numbers("Cost", "ERP", "Margin", "Margin, %")]
    own = list(rows)
    names = ("cost_amount", "erp_amount", "margin_amount")
    sums = [sums_by_currency((currency, row[name]) for row in own).get(currency) for name in names]
    shown = [
        [Cell(labels.get(row["customer_id"], row["customer_name"] or row["customer_id"] or "")),
         *cells(*(amount_text(row[name], currency) for name in names)),
         Cell(percent_text(percent(row["margin_amount"], row["erp_amount"])),
              "bad" if row["margin_amount"] < 0 else "plain")]
        for row in own
    ]  # fmt: skip
    share = percent(sums[2], sums[1]) if sums[1] and sums[2] is not None else None
    total = cells("All", *(amount_text(one, currency) for one in sums), percent_text(share))
    return _cut(f"Cost, ERP amount and margin by customer, {currency or 'without currency'}", columns, shown, [total])


def loading_table(contents: ReportContents) -> PageTable:
    """How the lines stand in HaloPSA."""
    columns = [Column("Lines"), Column("State"), Column("Currency"), *_numbers("Number", "Amount with tax")]
    rows = []
    for row in contents.loading.to_pylist():
        state, tone = _LOADING_STATE[row["state"]]
        rows.append([
            Cell(_SOURCE[row["source"]]), Cell(state, tone if row["source"] == "invoice_recon" else "plain"),
            *cells(row["currency"] or "", f"{row['line_count']:,}", coin_text(row["total_amount"], row["currency"])),
        ])  # fmt: skip
    return PageTable("How the lines stand in HaloPSA", columns, rows)


def changes_table(contents: ReportContents, labels: dict[str | None, str]) -> PageTable:
    """What this run concluded otherwise than the one before it."""
    columns = [Column("Change"), Column("What"), Column("Customer"), Column("Invoice"),
               *_numbers("Before", "Now"), Column("Currency"), Column("Line")]  # fmt: skip
    rows = [
        [*cells(row["change"], row["code"] or row["what"],
                labels.get(row["customer_id"], row["customer_name"] or row["customer_id"] or ""),
                row["invoice_number"] or "", amount_text(row["previous_amount"], row["currency"]),
                amount_text(row["amount"], row["currency"]), row["currency"] or "", row["line_id"] or "")]
        for row in contents.changes.slice(0, SHOWN_ROWS).to_pylist()
    ]  # fmt: skip
    left_out = sum(contents.change_counts.values()) - len(rows)
    return PageTable("Each change since the last run", columns, rows, left_out=left_out)


def _leaks_by(contents: ReportContents, name: str) -> dict[str | None, list[tuple[str | None, Decimal]]]:
    """What findings cost, each with its currency, by code or customer."""
    leaks: dict[str | None, list[tuple[str | None, Decimal]]] = {}
    for row in contents.leaks.to_pylist():
        leaks.setdefault(row[name], []).append((row["leak_currency"], row["leak_amount"]))
    return leaks


def _cut(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], sums: Sequence[Sequence[Cell]] = ()
) -> PageTable:
    return PageTable(caption, columns, rows[:SHOWN_ROWS], sums, max(0, len(rows) - SHOWN_ROWS))


def _numbers(*headings: str) -> list[Column]:
    return [Column(heading, "number") for heading in headings]
