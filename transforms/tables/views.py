"""The warehouse's views for analysts, as tables: a stable promise, the same on every engine.

The SQL is in `sql/views`, one file for each; a test holds its columns against these declarations.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.approvals import APPROVALS, WAIVED_COLUMNS, WAIVERS
from transforms.tables.commerce import ECOMMERCE_ORDERS
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.loading import HALO_POSTINGS
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUNS
from transforms.tables.sources import PRICE_LIST

TEXT, DATE, USAGE_AMOUNT, PRICE = Kind.TEXT, Kind.DATE, Kind.USAGE_AMOUNT, Kind.PRICE


def _of(table: Table, *names: str) -> tuple[Column, ...]:
    """Columns of a table under their own names."""
    return tuple(table[name] for name in names)


OUT_RUNS = Table(
    "out_runs",
    "Every run.",
    _of(RUNS, "run_id", "period", "status", "started_at", "finished_at", "code_version", "policy_digest"),
)

LATEST_RUNS = Table(
    "latest_runs",
    "The run that counts for each period: its latest full run that did not fail. Join it where only these are wanted.",
    (RUNS["period"], Column("run_id", TEXT, "Its run.", nullable=False)),
)

OUT_FINDINGS = Table(
    "out_findings",
    "Every finding of every run; pick a run, or join `latest_runs` for those that count.",
    _of(
        FINDINGS,
        "run_id", "period", "code", "severity", "invoice_number", "customer_id", "customer_name", "subscription_id",
        "product_id", "sku_id", "line_id", "expected_amount", "actual_amount", "difference_amount", "currency",
        "message", "source_file", "source_row",
    ),
)  # fmt: skip

OUT_LINES = Table(
    "out_lines",
    "The lines of the latest run of each period, with what became of them in HaloPSA. Add up one source, never both: "
    "daily usage is the detail of Azure-plan lines of the reconciliation.",
    (
        *_of(
            LINES,
            "line_id", "run_id", "period", "source", "invoice_number", "customer_id", "customer_name",
            "subscription_id", "product_id", "sku_id", "sku_name", "charge_type", "charge_start_on", "charge_end_on",
            "quantity", "unit_price", "effective_unit_price", "list_unit_price", "erp_unit_price", "subtotal_amount",
            "tax_amount", "total_amount", "currency", "erp_amount", "margin_amount", "rounding_rule",
        ),
        Column("halo_id", Kind.INTEGER, "The line's id in HaloPSA, once posted."),
        Column("is_billed", Kind.BOOLEAN, "Whether it is marked as billed there.", nullable=False),
        *_of(LINES, "source_file", "source_row"),
    ),
)  # fmt: skip

OUT_INVOICE_TIEOUT = Table(
    "out_invoice_tieout",
    "Every invoice of every run against the sum of its lines; pick a run, or join `latest_runs` for those that count.",
    INVOICE_TIEOUT.columns,
)

OUT_CUSTOMER_MARGIN = Table(
    "out_customer_margin",
    "What a customer costs and would bring at ERP prices, by period and currency, in the latest run. Reconciliation "
    "lines only; a line without an ERP price counts into neither side, so that both sides are the same charges, and a "
    "voided invoice's lines do not count.",
    (
        *_of(LINES, "period", "customer_id"),
        Column("customer_name", TEXT, "Customer's name; the last in the alphabet where lines differ."),
        Column("currency", TEXT, "Billing currency."),
        Column("cost_amount", USAGE_AMOUNT, "Sum of the charges before tax.", unit="currency"),
        Column("erp_amount", USAGE_AMOUNT, "Sum of the same charges at ERP price.", unit="currency"),
        Column("margin_amount", USAGE_AMOUNT, "ERP amount less cost.", unit="currency"),
        Column("margin_pct", Kind.RATE, "Margin in percent of the ERP amount, rounded to 4 decimals, half away from "
               "zero; empty where the ERP amount is 0.", unit="percent"),
    ),
)  # fmt: skip

OUT_PRICE_CHANGES = Table(
    "out_price_changes",
    "Where a price changed from one price list to the next: one row per product, SKU, term, plan, market, currency, "
    "segment and tier whose unit or ERP price differs from that of the row before it. Rows follow one another by "
    "effective start, then by the age of their list, told by its newest effective start.",
    (
        *_of(
            PRICE_LIST,
            "product_id", "sku_id", "product_title", "sku_title", "publisher", "term_duration", "billing_plan",
            "market", "currency", "segment", "pricing_tier_range_min", "effective_start_date",
        ),
        Column("previous_unit_price", PRICE, "Partner's price for the whole term until then.", unit="currency"),
        Column("unit_price", PRICE, "Partner's price for the whole term from then on.", unit="currency"),
        Column("unit_price_change", PRICE, "New less previous.", unit="currency"),
        Column("previous_erp_price", PRICE, "ERP price for the whole term until then.", unit="currency"),
        Column("erp_price", PRICE, "ERP price for the whole term from then on.", unit="currency"),
        Column("erp_price_change", PRICE, "New less previous; empty where either is.", unit="currency"),
        Column("previous_source_file", TEXT, "List of the previous price."),
        *_of(PRICE_LIST, "source_file", "source_row"),
    ),
)  # fmt: skip

OUT_SUBSCRIPTIONS = Table(
    "out_subscriptions",
    "Each subscription as its last charge left it: the last line that charges and does not refund, by period, charge "
    "start and order date. Its quantity is the seats at that time, never a sum. An Azure plan is one row, too.",
    (
        *_of(
            INVOICE_RECON,
            "subscription_id", "customer_id", "customer_name", "subscription_description", "product_id", "product_name",
            "sku_id", "sku_name", "publisher_name", "term_and_billing_cycle", "billing_frequency",
        ),
        Column("term_start_on", DATE, "Start of the term: purchase or renewal."),
        Column("term_end_on", DATE, "Last day of the term."),
        Column("quantity", Kind.QUANTITY, "Seats or units of the last charge.", unit="seats or units"),
        *_of(INVOICE_RECON, "unit_price", "effective_unit_price", "pricing_currency"),
        Column("first_period", TEXT, "First billing period with a line of it."),
        Column("last_period", TEXT, "Last billing period with a line of it."),
        Column("last_charge_type", TEXT, "What happened last, refunds and cancellations included."),
        Column("last_charge_end_on", DATE, "Last day charged for so far."),
    ),
)  # fmt: skip

OUT_HALO_LOAD = Table(
    "out_halo_load",
    "What was posted to HaloPSA and how it stands.",
    _of(HALO_POSTINGS, "run_id", "entity", "natural_key", "halo_id", "state", "attempts", "last_error"),
)

OUT_PERIOD_CHANGES = Table(
    "out_period_changes",
    "What the latest full run of a period concluded otherwise than the full run before it: lines and findings that are "
    "new, gone or changed.",
    (
        *_of(RUNS, "period", "run_id"),
        Column("previous_run_id", TEXT, "The run it is compared with.", nullable=False),
        Column("what", TEXT, "line or finding.", nullable=False),
        Column("change", TEXT, "new, gone or changed.", nullable=False),
        Column("code", TEXT, "Code of a finding."),
        *_of(FINDINGS, "line_id", "invoice_number", "customer_id", "customer_name", "subscription_id"),
        Column("previous_amount", USAGE_AMOUNT, "A line's total, or what a finding said there is, before.",
               unit="currency"),
        Column("amount", USAGE_AMOUNT, "The same now.", unit="currency"),
        Column("currency", TEXT, "Currency of both."),
    ),
)  # fmt: skip

OUT_ORDERS = Table(
    "out_orders",
    "E-commerce orders as HaloPSA has them, deleted ones included, and what is wrong with each.",
    (
        *_of(
            ECOMMERCE_ORDERS,
            "halo_url", "order_id", "integration_name", "integration_id", "shop_name", "order_number", "third_party_id",
            "third_party_url", "third_party_customer_id", "status", "status2", "ordered_at", "month", "is_cancelled",
            "ticket_id", "linked_ticket_ids",
        ),
        Column("is_linked", Kind.BOOLEAN, "Whether it is linked to a ticket.", nullable=False),
        Column("problem", TEXT, "without_ticket: not cancelled, and no ticket is linked; cancelled_but_linked; empty "
               "where nothing is wrong or the order is deleted."),
        *_of(ECOMMERCE_ORDERS, "first_seen_at", "changed_at", "deleted_at"),
    ),
)  # fmt: skip

OUT_APPROVALS = Table(
    "out_approvals",
    "Every decision about a run's results.",
    (
        *_of(
            APPROVALS,
            "approval_id", "run_id", "period", "decision", "decided_by", "decided_at", "note", "blocking_count",
            "content_digest", "recorded_by",
        ),
        Column("is_in_force", Kind.BOOLEAN, "Whether it is the last decision about the content of the period's latest "
               "run.", nullable=False),
    ),
)  # fmt: skip

OUT_WAIVERS = Table(
    "out_waivers",
    "Every waiver of a finding.",
    (
        *_of(WAIVERS, "waiver_id", "finding_id", "period", *WAIVED_COLUMNS, "reason"),
        Column("waived_by", TEXT, "Who granted it.", nullable=False),
        Column("waived_at", Kind.TIMESTAMP, "When, UTC.", nullable=False),
        WAIVERS["valid_until"],
        Column("ended_by", TEXT, "Who ended it before its last day."),
        Column("ended_at", Kind.TIMESTAMP, "When, UTC."),
        Column("end_reason", TEXT, "Why."),
        Column("state", TEXT, "in_force, expired or ended, today (UTC).", nullable=False),
        Column("is_found", Kind.BOOLEAN, "Whether the latest run of its period has the finding, with the same figures.",
               nullable=False),
    ),
)  # fmt: skip

OUT_OPEN_FINDINGS = Table(
    "out_open_findings",
    "The findings that block, of every run: of severity block, and no waiver is in force for them today (UTC).",
    _of(
        FINDINGS,
        "run_id", "period", "finding_id", "code", "invoice_number", "customer_id", "customer_name", "subscription_id",
        "product_id", "sku_id", "line_id", "expected_amount", "actual_amount", "difference_amount", "currency",
        "message",
    ),
)  # fmt: skip

#: In the order in which they are created.
VIEWS: tuple[Table, ...] = (
    OUT_RUNS,
    LATEST_RUNS,
    OUT_FINDINGS,
    OUT_LINES,
    OUT_INVOICE_TIEOUT,
    OUT_CUSTOMER_MARGIN,
    OUT_PRICE_CHANGES,
    OUT_SUBSCRIPTIONS,
    OUT_HALO_LOAD,
    OUT_PERIOD_CHANGES,
    OUT_ORDERS,
    OUT_APPROVALS,
    OUT_WAIVERS,
    OUT_OPEN_FINDINGS,
    OUT_FOCUS,
)
