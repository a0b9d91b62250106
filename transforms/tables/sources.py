"""The partner exports as tables: one row per delivered row, every delivered column kept.

The two exports of charges are in `invoice_recon` and `daily_usage`; here are price lists and invoice documents, the
files themselves, and the rows that could not be read. Names follow Microsoft's price sheet and invoice resource.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.provenance import PERIOD, provenance

TEXT, DATE, TIMESTAMP = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP
AMOUNT, USAGE_AMOUNT, PRICE, QUANTITY = Kind.AMOUNT, Kind.USAGE_AMOUNT, Kind.PRICE, Kind.QUANTITY

#: The column with the billing currency, by kind of export.
BILLING_CURRENCY = {"invoice_recon": "currency", "daily_usage": "billing_currency"}

PRICE_LIST = Table(
    "src_price_list",
    "One row of a price list: what a product costs for a whole term in one market, currency and segment. "
    "Every list ever loaded is kept, because a term is priced by the list that was valid when it started.",
    (
        Column(
            "change_indicator", TEXT, "Whether the row was added or changed this month.", sources=("ChangeIndicator",)
        ),
        Column("product_title", TEXT, "Product's title.", sources=("ProductTitle",), halo=("producttitle",)),
        Column(
            "product_id", TEXT, "Product.", required=True, nullable=False, sources=("ProductId",), halo=("productid",)
        ),
        Column(
            "sku_id",
            TEXT,
            "SKU in its canonical form.",
            required=True,
            nullable=False,
            sources=("SkuId",),
            halo=("skuid",),
        ),
        Column("sku_title", TEXT, "SKU's title.", sources=("SkuTitle",), halo=("skutitle",)),
        Column("publisher", TEXT, "Publisher.", sources=("Publisher",), halo=("publisher",)),
        Column("sku_description", TEXT, "SKU's description.", sources=("SkuDescription",), halo=("skudescription",)),
        Column("unit_of_measure", TEXT, "Unit.", sources=("UnitOfMeasure",), halo=("unitofmeasure",)),
        Column(
            "term_duration",
            TEXT,
            "Term: P1M, P1Y, P3Y …; empty for consumption.",
            sources=("TermDuration",),
            halo=("termduration",),
        ),
        Column(
            "billing_plan",
            TEXT,
            "How a term is billed: Monthly, Annual, Triennial, None.",
            sources=("BillingPlan",),
            halo=("billingplan",),
        ),
        Column("market", TEXT, "Country the row is for.", required=True, sources=("Market",), halo=("market",)),
        Column("currency", TEXT, "Currency of both prices.", required=True, sources=("Currency",), halo=("currency",)),
        Column(
            "unit_price",
            PRICE,
            "Partner's price for the whole term.",
            required=True,
            nullable=False,
            sources=("UnitPrice",),
            halo=("unitprice",),
            unit="currency",
        ),
        Column(
            "pricing_tier_range_min",
            QUANTITY,
            "First unit of the tier.",
            sources=("PricingTierRangeMin",),
            halo=("pricingtierrangemin",),
            unit="units",
        ),
        Column(
            "pricing_tier_range_max",
            QUANTITY,
            "Last unit of the tier.",
            sources=("PricingTierRangeMax",),
            halo=("pricingtierrangemax",),
            unit="units",
        ),
        Column(
            "effective_start_date",
            TIMESTAMP,
            "From when the row is valid, UTC.",
            required=True,
            sources=("EffectiveStartDate",),
            halo=("effectivestartdate",),
        ),
        Column(
            "effective_end_date",
            TIMESTAMP,
            "Until when, inclusive, UTC; the year 9999 for open.",
            required=True,
            sources=("EffectiveEndDate",),
            halo=("effectiveenddate",),
        ),
        Column("tags", TEXT, "Tags, separated by semicolons.", sources=("Tags",), halo=("tags",)),
        Column(
            "erp_price",
            PRICE,
            "Estimated retail price for the whole term.",
            sources=("ERP Price", "ERPPrice"),
            halo=("erp_price",),
            unit="currency",
        ),
        Column(
            "segment",
            TEXT,
            "Commercial, Education, Charity, Government; empty in Azure lists.",
            sources=("Segment",),
            halo=("segment",),
        ),
        Column("previous_values", TEXT, "Values before a change, as published.", sources=("PreviousValues",)),
        Column("last_updated_date", TIMESTAMP, "When the row was last changed, UTC.", sources=("LastUpdatedDate",)),
        Column("meter_ids", TEXT, "Meters of an Azure-plan row.", sources=("MeterIds", "MeterId")),
        Column("meter_type", TEXT, "Meter's type.", sources=("MeterType",)),
        *provenance(),
    ),
    key=("file_sha256", "source_file", "source_row"),
    bulk=True,
)

INVOICES = Table(
    "src_invoices",
    "One invoice document: an invoice, a credit note (adjustment_note) or a voided invoice (void_note).",
    (
        PERIOD,
        Column("invoice_number", TEXT, "Invoice's id.", required=True, nullable=False, sources=("id",), halo=("id",)),
        Column(
            "invoice_date",
            TIMESTAMP,
            "When it was issued, UTC.",
            required=True,
            sources=("invoiceDate",),
            halo=("invoicedate",),
        ),
        Column("billing_period_start_date", DATE, "First day billed.", sources=("billingPeriodStartDate",)),
        Column("billing_period_end_date", DATE, "Last day billed.", sources=("billingPeriodEndDate",)),
        Column(
            "total_charges",
            AMOUNT,
            "Total of the document.",
            required=True,
            nullable=False,
            sources=("totalCharges",),
            halo=("totalcharges",),
            unit="currency_code",
        ),
        Column(
            "paid_amount",
            AMOUNT,
            "Paid so far; negative when a payment was received.",
            sources=("paidAmount",),
            halo=("paidamount",),
            unit="currency_code",
        ),
        Column(
            "currency_code",
            TEXT,
            "Currency.",
            required=True,
            nullable=False,
            sources=("currencyCode",),
            halo=("currencycode",),
        ),
        Column("currency_symbol", TEXT, "Currency's symbol.", sources=("currencySymbol",), halo=("currencysymbol",)),
        Column(
            "pdf_download_link",
            TEXT,
            "Short-lived link to the document.",
            sources=("pdfDownloadLink",),
            halo=("pdfdownloadlink",),
        ),
        Column("tax_receipts", TEXT, "Tax receipts, JSON as text.", sources=("taxReceipts",), halo=("taxreceipts",)),
        Column(
            "invoice_details",
            TEXT,
            "Links to line items, JSON as text.",
            sources=("invoiceDetails",),
            halo=("invoicedetails",),
        ),
        Column(
            "document_type",
            TEXT,
            "invoice, adjustment_note or void_note.",
            sources=("documentType",),
            halo=("documenttype",),
        ),
        Column(
            "invoice_type",
            TEXT,
            "OneTime (new commerce) or Recurring (legacy).",
            sources=("invoiceType",),
            halo=("invoicetype",),
        ),
        Column("amends_of", TEXT, "Invoice that this document corrects.", sources=("amendsOf",)),
        Column("state", TEXT, "State of the document.", sources=("state", "status")),
        Column("links", TEXT, "Links, JSON as text.", sources=("links",), halo=("links",)),
        Column("attributes", TEXT, "Attributes, JSON as text.", sources=("attributes",)),
        *provenance(),
    ),
    key=("invoice_number",),
    indexes=(("period",),),
)

SOURCE_FILES = Table(
    "source_files",
    "One delivered file, or one member of a delivered archive, known by its content.",
    (
        Column("file_sha256", TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", TEXT, "Name; for an archive `archive!member`.", nullable=False),
        Column("kind", TEXT, "invoice_recon, daily_usage, price_list or invoices.", nullable=False),
        Column("row_count", Kind.INTEGER, "Records read.", nullable=False),
        Column("rejected_count", Kind.INTEGER, "Records put in quarantine.", nullable=False),
        Column("byte_count", Kind.INTEGER, "Size as delivered.", nullable=False),
        Column("landed_as", TEXT, "Where the untouched copy is kept, below the landing zone.", nullable=False),
        Column("landed_at", TIMESTAMP, "When it was first seen, UTC.", nullable=False),
        Column("pruned_at", TIMESTAMP, "When the copy was removed by `landing prune`, UTC; empty while it is kept."),
    ),
    key=("file_sha256", "source_file"),
)

QUARANTINE = Table(
    "quarantine",
    "One source row that could not be read: kept as delivered until the file is mended.",
    (
        Column("file_sha256", TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", TEXT, "Name of the file.", nullable=False),
        Column(
            "source_row", Kind.INTEGER, "Row in the file, counted like `source_row` of the sources.", nullable=False
        ),
        Column("kind", TEXT, "What the file is.", nullable=False),
        Column("period", TEXT, "Billing period the row was counted to.", nullable=False),
        Column("invoice_number", TEXT, "Invoice, where it could be read."),
        Column("reason", TEXT, "What is wrong with it, and how to mend it.", nullable=False),
        Column("raw_text", TEXT, "The row as delivered.", nullable=False),
        Column("subtotal", USAGE_AMOUNT, "The row's charge before tax, where it could be read.", unit="currency"),
        Column("total", USAGE_AMOUNT, "The row's charge with tax, where it could be read.", unit="currency"),
        Column("currency", TEXT, "Currency of these amounts."),
    ),
    key=("period", "file_sha256", "source_file", "source_row"),
)

SOURCE_TABLES = (SOURCE_FILES, INVOICE_RECON, DAILY_USAGE, PRICE_LIST, INVOICES, QUARANTINE)
