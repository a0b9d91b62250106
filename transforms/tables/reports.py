"""What the reports show of one run, as tables: read from the warehouse by `connectors.reports.contents`."""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUNS
from transforms.tables.views import OUT_CUSTOMER_MARGIN, OUT_LINES, OUT_PERIOD_CHANGES, OUT_PRICE_CHANGES

TEXT, INTEGER, AMOUNT = Kind.TEXT, Kind.INTEGER, Kind.USAGE_AMOUNT


def _of(table: Table, *names: str) -> tuple[Column, ...]:
    """Columns of a table under their own names."""
    return tuple(table[name] for name in names)


def _without(table: Table, *names: str) -> tuple[Column, ...]:
    """All columns of a table but these."""
    return tuple(column for column in table.columns if column.name not in names)


_LINE_COUNT = Column("line_count", INTEGER, "Lines.", nullable=False)
_CURRENCY = LINES["currency"]
_SUBTOTAL, _TAX, _TOTAL = (
    Column("subtotal_amount", AMOUNT, "Sum of the charges before tax.", unit="currency"),
    Column("tax_amount", AMOUNT, "Sum of the tax.", unit="currency"),
    Column("total_amount", AMOUNT, "Sum of the charges with tax.", unit="currency"),
)
_LEAK = Column("leak_amount", AMOUNT, "Money that is lost by it: charged too much, credit not given, sold below cost. "
               "Empty where nothing is, or where the figures are prices, rates or seats. A line with two findings "
               "counts in both.", unit="leak_currency")  # fmt: skip
_LEAK_CURRENCY = Column("leak_currency", TEXT, "Currency of the leak: a billing currency.")
_COUNTS = (
    Column("block_count", INTEGER, "Findings of severity block.", nullable=False),
    Column("warn_count", INTEGER, "Findings of severity warn.", nullable=False),
    Column("info_count", INTEGER, "Findings of severity info.", nullable=False),
)

REPORT_LINES = Table("report_lines", "The lines of one run.", _without(OUT_LINES, "run_id", "period"))

REPORT_TOTALS = Table(
    "report_totals",
    "What the lines of a run add up to, by source, currency, and whether their invoice is void.",
    (
        *_of(LINES, "source", "currency"),
        Column("is_voided", Kind.BOOLEAN, "Whether these are lines of voided invoices, which do not count.",
               nullable=False),
        _LINE_COUNT, _SUBTOTAL, _TAX, _TOTAL,
    ),
)  # fmt: skip

REPORT_TIEOUT = Table(
    "report_tieout",
    "Every invoice of a run against the sum of its lines, laid out like the invoice: charges, credits, subtotal, tax, "
    "total. An invoice's credit notes are part of it.",
    (
        *_of(INVOICE_TIEOUT, "invoice_number"),
        Column("invoice_date", Kind.DATE, "When it was issued; empty where there is no document."),
        *_of(INVOICE_TIEOUT, "currency"),
        Column("line_count", INTEGER, "Its lines."),
        Column("charge_amount", AMOUNT, "Sum of the lines that charge, before tax. Empty, as the three after it, where "
               "the lines are of several currencies, or the documents were replaced since the run.", unit="currency"),
        Column("credit_amount", AMOUNT, "Sum of the lines that credit, before tax: negative.", unit="currency"),
        Column("subtotal_amount", AMOUNT, "Charges and credits.", unit="currency"),
        Column("tax_amount", AMOUNT, "Sum of the lines' tax.", unit="currency"),
        *_of(INVOICE_TIEOUT, "lines_amount", "invoice_amount", "difference_amount", "status"),
    ),
)  # fmt: skip

REPORT_FINDINGS = Table(
    "report_findings",
    "The findings of a run, the blocking ones first.",
    (
        *_without(FINDINGS, "run_id", "period"),
        *_of(LINES, "sku_name"),
        Column("line_amount", AMOUNT, "Charge with tax of the line; empty for a finding about an invoice.",
               unit="line_currency"),
        Column("line_currency", TEXT, "Billing currency of the line."),
        _LEAK, _LEAK_CURRENCY,
        Column("waived_by", TEXT, "Who granted the waiver that is in force today."),
        Column("waived_until", Kind.DATE, "Its last day, UTC."),
        Column("waiver_reason", TEXT, "Why it was granted."),
    ),
)  # fmt: skip

REPORT_CODES = Table(
    "report_codes",
    "How many findings there are of each code.",
    (
        *_of(FINDINGS, "code", "severity"),
        Column("finding_count", INTEGER, "Findings.", nullable=False),
        Column("customer_count", INTEGER, "Customers that they are about.", nullable=False),
    ),
)

REPORT_CUSTOMERS = Table(
    "report_customers",
    "How many findings each customer has; one row without a customer for those about invoices and files.",
    (
        *_of(LINES, "customer_id"),
        OUT_CUSTOMER_MARGIN["customer_name"],
        Column("finding_count", INTEGER, "Findings.", nullable=False),
        *_COUNTS,
    ),
)

REPORT_LEAKS = Table(
    "report_leaks",
    "What findings cost, by code, customer and currency.",
    (
        *_of(FINDINGS, "code", "severity"),
        *_of(LINES, "customer_id"),
        OUT_CUSTOMER_MARGIN["customer_name"],
        Column("finding_count", INTEGER, "Findings that cost something.", nullable=False),
        _LEAK, _LEAK_CURRENCY,
    ),
)  # fmt: skip

REPORT_MARGINS = Table(
    "report_margins",
    "Cost, ERP amount and margin of each customer by currency, by the rules of out_customer_margin.",
    _without(OUT_CUSTOMER_MARGIN, "period"),
)

REPORT_CHANGES = Table(
    "report_changes",
    "What a full run concluded otherwise than the full run of its period before it.",
    _without(OUT_PERIOD_CHANGES, "period", "run_id", "previous_run_id"),
)

REPORT_PRICE_CHANGES = Table(
    "report_price_changes",
    "Prices that changed in the period or later, of what lines of the run are priced by: same product, SKU, term, "
    "plan, market, currency and segment.",
    (*OUT_PRICE_CHANGES.columns, Column("line_count", INTEGER, "Lines of the run that are priced so.", nullable=False)),
)

REPORT_TREND = Table(
    "report_trend",
    "Reconciliation lines of each period's latest run by currency; voided invoices do not count.",
    (
        *_of(RUNS, "period"),
        _CURRENCY, _LINE_COUNT, _SUBTOTAL, _TOTAL,
        *_of(OUT_CUSTOMER_MARGIN, "cost_amount", "erp_amount", "margin_amount", "margin_pct"),
    ),
)  # fmt: skip

REPORT_TREND_RUNS = Table(
    "report_trend_runs",
    "Each period's latest run and how many findings it has.",
    (*_of(RUNS, "period", "run_id", "status", "started_at", "line_count"), *_COUNTS),
)

REPORT_LOADING = Table(
    "report_loading",
    "How the lines of a run stand in HaloPSA. Only one source stands for Azure-plan charges there, so the other's are "
    "not loaded.",
    (
        *_of(LINES, "source", "currency"),
        Column("state", TEXT, "intended, posted, billed or rejected as in the posting ledger; not_loaded where it has "
               "nothing; voided and without_invoice for lines that are never loaded.", nullable=False),
        _LINE_COUNT, _TOTAL,
    ),
)  # fmt: skip

REPORT_STAKES = Table(
    "report_stakes",
    "How many findings there are of each code, and what they cost; a row of its own for each currency.",
    (
        *_of(FINDINGS, "code", "severity"),
        Column("finding_count", INTEGER, "Findings.", nullable=False),
        Column("waived_count", INTEGER, "Those of them that a waiver is in force for today.", nullable=False),
        _LEAK, _LEAK_CURRENCY,
    ),
)  # fmt: skip

REPORT_UNBILLED = Table(
    "report_unbilled",
    "What of a run's charges cannot be billed through HaloPSA as things are.",
    (
        Column("reason", TEXT, "no_document: lines whose invoice has no document; no_invoice: lines that name none; "
               "no_lines: documents without lines; short: documents of more than their lines; unreadable: rows in "
               "quarantine, whose amounts are not known; refused: lines that HaloPSA or its limits refused.",
               nullable=False),
        *_of(LINES, "invoice_number", "currency"),
        _LINE_COUNT, _TOTAL,
    ),
)  # fmt: skip
