"""What a run concludes: the run itself, its priced lines, its findings and its invoice tie-out."""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

TEXT, DATE, TIMESTAMP, INTEGER = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.INTEGER

_RUN_ID = Column("run_id", TEXT, "The run.", nullable=False)
_PERIOD = Column("period", TEXT, "Billing period, YYYY-MM.", nullable=False)

RUNS = Table(
    "runs",
    "One reconciliation run of one billing period; every run is kept.",
    (
        _RUN_ID,
        _PERIOD,
        Column("status", TEXT, "reconciled, awaiting_approval, loaded, billed or failed.", nullable=False),
        Column("scope", TEXT, "Customers and invoices an ad hoc run was limited to, as JSON; empty for a full run."),
        Column("started_at", TIMESTAMP, "When it started, UTC.", nullable=False),
        Column("finished_at", TIMESTAMP, "When it ended, UTC."),
        Column("code_version", TEXT, "Version of csp-billing.", nullable=False),
        Column("policy_digest", TEXT, "SHA-256 of the policy it was judged by.", nullable=False),
        Column("policy", TEXT, "That policy, as JSON.", nullable=False),
        Column(
            "content_digest",
            TEXT,
            "SHA-256 of the lines and findings as reconciled: equal results have equal digests.",
            nullable=False,
        ),
        Column("line_count", INTEGER, "Lines of the run.", nullable=False),
        Column("invoice_count", INTEGER, "Invoice documents of the period.", nullable=False),
        Column("blocking_count", INTEGER, "Findings of severity block.", nullable=False),
        Column("loaded_digest", TEXT, "SHA-256 of `content_digest` and of the findings that loading added; empty where "
               "it added none."),
    ),
    key=("run_id",),
    indexes=(("period",),),
)

RUN_FILES = Table(
    "run_files",
    "Which files a run was made from.",
    (
        _RUN_ID,
        Column("file_sha256", TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", TEXT, "Name of the file.", nullable=False),
        Column("kind", TEXT, "What the file is.", nullable=False),
    ),
    key=("run_id", "file_sha256", "source_file"),
)

LINES = Table(
    "lines",
    "One billed line of a run with what the price list says of it: reconciliation lines, and daily usage lines as "
    "the detail of the Azure-plan lines among them. Add up one source, never both.",
    (
        Column("line_id", TEXT, "Stable identity of the charge.", nullable=False),
        _RUN_ID,
        _PERIOD,
        Column("source", TEXT, "invoice_recon or daily_usage.", nullable=False),
        Column("invoice_number", TEXT, "Microsoft invoice."),
        Column("customer_id", TEXT, "Customer's tenant."),
        Column("customer_name", TEXT, "Customer's name."),
        Column("subscription_id", TEXT, "Commerce subscription."),
        Column("product_id", TEXT, "Product."),
        Column("sku_id", TEXT, "SKU."),
        Column("sku_name", TEXT, "SKU's name."),
        Column("charge_type", TEXT, "What happened."),
        Column("charge_start_on", DATE, "First day charged for; the usage date for usage."),
        Column("charge_end_on", DATE, "Last day charged for, inclusive."),
        Column("quantity", Kind.QUANTITY, "Billable quantity.", unit="seats or units"),
        Column("unit_price", Kind.PRICE, "List price as billed, per charge cycle.", unit="pricing currency"),
        Column("effective_unit_price", Kind.PRICE, "Effective unit price as billed.", unit="pricing currency"),
        Column(
            "list_unit_price", Kind.PRICE, "The price list's partner price per charge cycle.", unit="pricing currency"
        ),
        Column("erp_unit_price", Kind.PRICE, "The price list's ERP price per charge cycle.", unit="pricing currency"),
        Column("subtotal_amount", Kind.USAGE_AMOUNT, "Charge before tax.", unit="currency"),
        Column("tax_amount", Kind.USAGE_AMOUNT, "Tax.", unit="currency"),
        Column("total_amount", Kind.USAGE_AMOUNT, "Charge with tax.", unit="currency"),
        Column("currency", TEXT, "Billing currency."),
        Column("erp_amount", Kind.USAGE_AMOUNT, "The same charge at ERP price, prorated alike.", unit="currency"),
        Column("margin_amount", Kind.USAGE_AMOUNT, "ERP amount less charge before tax.", unit="currency"),
        Column("segment", TEXT, "Segment the line was priced in."),
        Column(
            "segment_source",
            TEXT,
            "Where the segment comes from: policy, only (the list has no other), price "
            "(the only one whose price matches) or default.",
        ),
        Column("price_file_sha256", TEXT, "Price list that the line was priced by."),
        Column("price_source_file", TEXT, "Its name."),
        Column("price_source_row", INTEGER, "Its row."),
        Column("expected_subtotal_amount", Kind.USAGE_AMOUNT, "Charge before tax as recomputed by the nearest rounding "
               "rule; empty where it cannot be.", unit="currency"),
        Column("difference_amount", Kind.USAGE_AMOUNT, "Charge before tax less the recomputed one.", unit="currency"),
        Column("rounding_rule", TEXT, "Rounding rule that explains the charge: A, B or C; U for usage that is price × "
               "quantity × rate; empty where none does."),
        Column("source_file", TEXT, "File the line came from.", nullable=False),
        Column("source_row", INTEGER, "Row in that file.", nullable=False),
    ),
    key=("run_id", "line_id"),
    indexes=(("line_id",), ("run_id",), ("customer_id",), ("invoice_number",)),
    bulk=True,
    partition_by="period",
)

FINDINGS = Table(
    "findings",
    "One discrepancy that a run found.",
    (
        _RUN_ID,
        _PERIOD,
        Column("code", TEXT, "Finding code.", nullable=False),
        Column("severity", TEXT, "block, warn or info.", nullable=False),
        Column("invoice_number", TEXT, "Invoice."),
        Column("customer_id", TEXT, "Customer's tenant."),
        Column("customer_name", TEXT, "Customer's name."),
        Column("subscription_id", TEXT, "Commerce subscription."),
        Column("product_id", TEXT, "Product."),
        Column("sku_id", TEXT, "SKU."),
        Column("line_id", TEXT, "Line; empty for a finding about an invoice."),
        Column(
            "expected_amount",
            Kind.PRICE,
            "What it should be: an amount or a price, as the message says.",
            unit="currency",
        ),
        Column("actual_amount", Kind.PRICE, "What it is.", unit="currency"),
        Column("difference_amount", Kind.PRICE, "Actual less expected.", unit="currency"),
        Column("currency", TEXT, "Currency of these three."),
        Column("message", TEXT, "The finding in a sentence, with its figures.", nullable=False),
        Column("source_file", TEXT, "File."),
        Column("source_row", INTEGER, "Row in that file."),
        Column("finding_id", TEXT, "Identity of the finding with its figures: the same in every run that comes to it; "
               "empty for runs of versions that had none."),
    ),
    indexes=(("run_id", "code"), ("period", "code")),
)

INVOICE_TIEOUT = Table(
    "invoice_tieout",
    "One invoice of a run against the sum of its lines.",
    (
        _RUN_ID,
        _PERIOD,
        Column("invoice_number", TEXT, "Invoice.", nullable=False),
        Column("currency", TEXT, "Currency."),
        Column("invoice_amount", Kind.USAGE_AMOUNT, "Invoice total less its credit notes.", unit="currency"),
        Column("lines_amount", Kind.USAGE_AMOUNT, "Sum of the lines' totals.", unit="currency"),
        Column("difference_amount", Kind.USAGE_AMOUNT, "Lines less invoice.", unit="currency"),
        Column(
            "status", TEXT, "matched, tax_only, mismatch, invoice_not_found, without_lines or voided.", nullable=False
        ),
    ),
    key=("run_id", "invoice_number"),
)

RESULT_TABLES = (RUNS, RUN_FILES, LINES, FINDINGS, INVOICE_TIEOUT)
