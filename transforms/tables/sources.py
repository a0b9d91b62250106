"""The partner exports as tables: one row per delivered row, every delivered column kept.

Names and types follow Microsoft's attribute lists for new commerce (billed reconciliation, daily rated usage,
price sheet, invoice resource); the alternative source names are those of the 2023 portal files, today's files and
the camelCase API. Each table ends with the same provenance columns.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

TEXT, DATE, TIMESTAMP = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP
AMOUNT, USAGE_AMOUNT, PRICE, QUANTITY, RATE = Kind.AMOUNT, Kind.USAGE_AMOUNT, Kind.PRICE, Kind.QUANTITY, Kind.RATE


_PERIOD = Column("period", TEXT, "Billing period, YYYY-MM, of the row's invoice.", nullable=False)


def _provenance() -> tuple[Column, ...]:
    """Where a row came from; `extra_columns` keeps what the export has beyond the declared columns."""
    return (
        Column("extra_columns", TEXT, "Columns of the export that are not declared here, as a JSON object of texts."),
        Column("file_sha256", TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", TEXT, "Name of the file; for an archive `archive!member`.", nullable=False),
        Column(
            "source_row",
            Kind.INTEGER,
            "Row in the file as a spreadsheet counts it: the header is row 1, the first record row 2; "
            "for JSON and Parquet the ordinal of the record, from 1.",
            nullable=False,
        ),
    )


_LINE_ID = Column(
    "line_id",
    TEXT,
    "Stable identity of the charge: a digest of what the charge is, without its amounts, and of its occurrence "
    "among identical ones. The same charge keeps it when it is delivered again, also with other amounts.",
    nullable=False,
)


def _who(tier2: str = "Tier2MpnId") -> tuple[Column, ...]:
    """The columns that open both line exports."""
    return (
        Column("partner_id", TEXT, "Partner's Microsoft tenant.", sources=("PartnerId",), halo=("partnerid",)),
        Column("partner_name", TEXT, "Partner's name.", sources=("PartnerName",), halo=("partnername",)),
        Column(
            "customer_id",
            TEXT,
            "Customer's Microsoft tenant; the key of a customer, because names repeat.",
            required=True,
            sources=("CustomerId",),
            halo=("customerid",),
        ),
        Column("customer_name", TEXT, "Customer's name.", sources=("CustomerName",), halo=("customername",)),
        Column(
            "customer_domain_name",
            TEXT,
            "Customer's domain.",
            sources=("CustomerDomainName",),
            halo=("customerdomainname",),
        ),
        Column(
            "customer_country",
            TEXT,
            "Customer's country, the price list's Market.",
            sources=("CustomerCountry",),
            halo=("customercountry",),
        ),
        Column(
            "invoice_number",
            TEXT,
            "Microsoft invoice; empty in unbilled exports.",
            sources=("InvoiceNumber",),
            halo=("invoicenumber",),
        ),
        Column("mpn_id", TEXT, "Partner's MPN id.", sources=("MpnId",), halo=("mpnid",)),
        Column(
            "tier2_mpn_id",
            TEXT,
            "Indirect reseller's MPN id; 0 for direct sales.",
            sources=(tier2, "ResellerMpnId"),
        ),
    )


def _what() -> tuple[Column, ...]:
    """Product columns, the same in both line exports."""
    return (
        Column("product_id", TEXT, "Product.", required=True, sources=("ProductId",)),
        Column(
            "sku_id",
            TEXT,
            "SKU of the product in its canonical form: upper case, at least four characters.",
            required=True,
            sources=("SkuId",),
            halo=("skuid",),
        ),
        Column("availability_id", TEXT, "Availability.", sources=("AvailabilityId",), halo=("availabilityid",)),
        Column("sku_name", TEXT, "SKU's name.", sources=("SkuName",), halo=("skuname",)),
        Column("product_name", TEXT, "Product's name.", sources=("ProductName",), halo=("productname",)),
        Column(
            "publisher_name",
            TEXT,
            "Publisher; Microsoft or Microsoft Corporation is first party.",
            sources=("PublisherName", "ProviderName"),
            halo=("publishername",),
        ),
        Column("publisher_id", TEXT, "Publisher's id.", sources=("PublisherId", "ProviderId"), halo=("publisherid",)),
        Column(
            "subscription_description",
            TEXT,
            "Subscription's nickname; `Azure plan` marks pay-as-you-go.",
            sources=("SubscriptionDescription",),
            halo=("subscriptiondescription",),
        ),
        Column(
            "subscription_id",
            TEXT,
            "Commerce subscription.",
            required=True,
            sources=("SubscriptionId",),
            halo=("subscriptionid",),
        ),
    )


def _charge_dates() -> tuple[Column, ...]:
    return (
        Column(
            "charge_start_date",
            DATE,
            "First day charged for.",
            required=True,
            sources=("ChargeStartDate",),
            halo=("chargestartdate",),
        ),
        Column(
            "charge_end_date",
            DATE,
            "Last day charged for, inclusive; empty for perpetual licences.",
            sources=("ChargeEndDate",),
            halo=("chargeenddate",),
        ),
    )


def _exchange() -> tuple[Column, ...]:
    return (
        Column(
            "pc_to_bc_exchange_rate",
            RATE,
            "Rate from pricing to billing currency; 1 when they are the same.",
            sources=("PCToBCExchangeRate",),
            halo=("pctobcexchangerate",),
            unit="billing currency per pricing currency",
        ),
        Column(
            "pc_to_bc_exchange_rate_date",
            DATE,
            "Day of that rate.",
            sources=("PCToBCExchangeRateDate",),
            halo=("pctobcexchangeratedate",),
        ),
    )


INVOICE_RECON = Table(
    "src_invoice_recon",
    "One line of a new-commerce invoice reconciliation: every charge of an invoice.",
    (
        _LINE_ID,
        _PERIOD,
        *_who(),
        Column("order_id", TEXT, "Order; may name two, `old, new`.", sources=("OrderId",), halo=("orderid",)),
        Column("order_date", TIMESTAMP, "When the order was placed, UTC.", sources=("OrderDate",), halo=("orderdate",)),
        *_what(),
        Column(
            "charge_type",
            TEXT,
            "What happened: new, renew, cycleCharge, addQuantity, removeQuantity, cancelImmediate, convert …",
            required=True,
            sources=("ChargeType",),
        ),
        Column(
            "unit_price",
            PRICE,
            "List price of the charge cycle; informative, the effective unit price drives the cost.",
            required=True,
            sources=("UnitPrice",),
            unit="pricing_currency",
        ),
        Column("quantity", QUANTITY, "Purchased units.", sources=("Quantity",), unit="seats or units"),
        Column(
            "subtotal",
            AMOUNT,
            "Charge before tax.",
            required=True,
            sources=("Subtotal",),
            halo=("subtotal",),
            unit="currency",
        ),
        Column("tax_total", AMOUNT, "Tax; may be 0 although the invoice has tax.", required=True,
               sources=("TaxTotal",), halo=("taxtotal",), unit="currency"),
        Column("total", AMOUNT, "Charge with tax.", required=True, sources=("Total", "TotalForCustomer"),
               halo=("total",), unit="currency"),
        Column(
            "currency",
            TEXT,
            "Billing currency.",
            required=True,
            sources=("Currency",),
            halo=("currency", "billingcurrency"),
        ),
        Column(
            "price_adjustment_description",
            TEXT,
            "Discounts and adjustments, a JSON array as text.",
            sources=("PriceAdjustmentDescription",),
            halo=("priceadjustmentdescription",),
        ),
        *_charge_dates(),
        Column(
            "term_and_billing_cycle",
            TEXT,
            "Term and billing cycle as free text.",
            required=True,
            sources=("TermAndBillingCycle",),
            halo=("termandbillingcycle",),
        ),
        Column(
            "effective_unit_price",
            PRICE,
            "Price per unit after proration, discounts and credits.",
            required=True,
            sources=("EffectiveUnitPrice",),
            halo=("unitprice", "effectiveunitprice"),
            unit="pricing_currency",
        ),
        Column("unit_type", TEXT, "Unit of a quantity.", sources=("UnitType",), halo=("unittype",)),
        Column("alternate_id", TEXT, "Alternate id.", sources=("AlternateId",), halo=("alternateid",)),
        Column(
            "billable_quantity",
            QUANTITY,
            "Units charged for.",
            required=True,
            sources=("BillableQuantity",),
            halo=("quantity", "billablequantity"),
            unit="seats or units",
        ),
        Column(
            "billing_frequency",
            TEXT,
            "Monthly or Annual; empty for one-time charges.",
            sources=("BillingFrequency",),
            halo=("billingfrequency",),
        ),
        Column("pricing_currency", TEXT, "Currency of the prices.", sources=("PricingCurrency",),
               halo=("pricingcurrency",)),
        *_exchange(),
        Column(
            "meter_description",
            TEXT,
            "Meter of an Azure-plan line.",
            sources=("MeterDescription",),
            halo=("metername", "meterdescription"),
        ),
        Column(
            "reservation_order_id",
            TEXT,
            "Order of a reservation or savings plan.",
            sources=("ReservationOrderId",),
            halo=("reservationorderid",),
        ),
        Column(
            "credit_reason_code",
            TEXT,
            "Why a credit was given.",
            sources=("CreditReasonCode",),
            halo=("credittype", "creditreasoncode"),
        ),
        Column(
            "subscription_start_date",
            DATE,
            "Start of the term: purchase or renewal.",
            sources=("SubscriptionStartDate",),
            halo=("subscriptionstartdate",),
        ),
        Column(
            "subscription_end_date",
            DATE,
            "Last day of the term.",
            sources=("SubscriptionEndDate",),
            halo=("subscriptionenddate",),
        ),
        Column(
            "reference_id",
            TEXT,
            "Links the lines of one event; a GUID, since 2026 also a JSON object.",
            sources=("ReferenceId",),
            halo=("referenceid",),
        ),
        Column("product_qualifiers", TEXT, "Qualifiers such as Trial or Add-on, a JSON array as text.",
               sources=("ProductQualifiers",)),
        Column("promotion_id", TEXT, "Promotion that was applied.", sources=("PromotionId",), halo=("promotionid",)),
        Column("product_category", TEXT, "Microsoft's category of the product.", sources=("ProductCategory",)),
        *_provenance(),
    ),
    key=("line_id",),
    indexes=(("period",),),
    bulk=True,
)

DAILY_USAGE = Table(
    "src_daily_usage",
    "One line of new-commerce daily rated usage: one resource, meter and day.",
    (
        _LINE_ID,
        _PERIOD,
        *_who(),
        *_what(),
        *_charge_dates(),
        Column("usage_date", DATE, "Day of the usage.", required=True, sources=("UsageDate",), halo=("usagedate",)),
        Column("meter_type", TEXT, "Meter's type.", sources=("MeterType",), halo=("metertype",)),
        Column("meter_category", TEXT, "Meter's category.", sources=("MeterCategory",), halo=("metercategory",)),
        Column("meter_id", TEXT, "Meter.", sources=("MeterId",), halo=("meterid",)),
        Column("meter_sub_category", TEXT, "Meter's subcategory.", sources=("MeterSubCategory",),
               halo=("metersubcategory",)),
        Column("meter_name", TEXT, "Meter's name.", sources=("MeterName",), halo=("metername",)),
        Column("meter_region", TEXT, "Meter's region.", sources=("MeterRegion",), halo=("meterregion",)),
        Column("unit", TEXT, "Unit of measure.", sources=("Unit", "UnitOfMeasure"), halo=("unit",)),
        Column("resource_location", TEXT, "Where the resource runs.", sources=("ResourceLocation",),
               halo=("resourcelocation",)),
        Column("consumed_service", TEXT, "Azure service.", sources=("ConsumedService",), halo=("consumedservice",)),
        Column("resource_group", TEXT, "Resource group.", sources=("ResourceGroup",), halo=("resourcegroup",)),
        Column("resource_uri", TEXT, "Resource.", sources=("ResourceURI",), halo=("resourceuri",)),
        Column("charge_type", TEXT, "Usage, or what the older API calls new.", sources=("ChargeType",)),
        Column("unit_price", PRICE, "List price of a unit.", required=True, sources=("UnitPrice",),
               unit="pricing_currency"),
        Column("quantity", QUANTITY, "Units used.", required=True, sources=("Quantity",), halo=("quantity",),
               unit="unit_type"),
        Column("unit_type", TEXT, "Unit of the quantity.", sources=("UnitType",), halo=("unittype",)),
        Column(
            "billing_pre_tax_total",
            USAGE_AMOUNT,
            "Charge before tax in the billing currency, not rounded to cents.",
            required=True,
            sources=("BillingPreTaxTotal",),
            halo=("subtotal", "total", "billingpretaxtotal"),
            unit="billing_currency",
        ),
        Column("billing_currency", TEXT, "Billing currency.", required=True, sources=("BillingCurrency",),
               halo=("currency", "billingcurrency")),
        Column("pricing_pre_tax_total", USAGE_AMOUNT, "Charge before tax in the pricing currency.",
               sources=("PricingPreTaxTotal",), halo=("pricingpretaxtotal",), unit="pricing_currency"),
        Column("pricing_currency", TEXT, "Currency of the prices.", sources=("PricingCurrency",),
               halo=("pricingcurrency",)),
        Column("service_info1", TEXT, "Service information 1.", sources=("ServiceInfo1",), halo=("serviceinfo1",)),
        Column("service_info2", TEXT, "Service information 2.", sources=("ServiceInfo2",), halo=("serviceinfo2",)),
        Column("tags", TEXT, "Resource tags, JSON as text.", sources=("Tags",), halo=("tags",)),
        Column("additional_info", TEXT, "Additional information, JSON as text.", sources=("AdditionalInfo",),
               halo=("additionalinfo",)),
        Column(
            "effective_unit_price",
            PRICE,
            "Price of a unit after credits and tiers.",
            sources=("EffectiveUnitPrice",),
            halo=("unitprice", "effectiveunitprice"),
            unit="pricing_currency",
        ),
        *_exchange(),
        Column("entitlement_id", TEXT, "Azure subscription.", sources=("EntitlementId",), halo=("entitlementid",)),
        Column("entitlement_description", TEXT, "Azure subscription's name.", sources=("EntitlementDescription",),
               halo=("entitlementdescription",)),
        Column(
            "partner_earned_credit_percentage",
            RATE,
            "Partner earned credit, in percent also where the API gives a fraction.",
            sources=("PartnerEarnedCreditPercentage", "RateOfPartnerEarnedCredit"),
            halo=("partnerearnedcreditpercentage",),
            unit="percent",
            fraction_sources=("RateOfPartnerEarnedCredit",),
        ),
        Column(
            "credit_percentage",
            RATE,
            "Credit, in percent also where the API gives a fraction.",
            sources=("CreditPercentage", "RateOfCredit"),
            halo=("creditpercentage",),
            unit="percent",
            fraction_sources=("RateOfCredit",),
        ),
        Column("credit_type", TEXT, "Which credit was applied.", sources=("CreditType",), halo=("credittype",)),
        Column("benefit_id", TEXT, "Reservation or savings plan that covered the usage.", sources=("BenefitId",),
               halo=("benefitid",)),
        Column("benefit_order_id", TEXT, "Its order.", sources=("BenefitOrderId",), halo=("benefitorderid",)),
        Column("benefit_type", TEXT, "Its kind.", sources=("BenefitType",), halo=("benefittype",)),
        *_provenance(),
    ),
    key=("line_id",),
    indexes=(("period",),),
    bulk=True,
)

PRICE_LIST = Table(
    "src_price_list",
    "One row of a price list: what a product costs for a whole term in one market, currency and segment. "
    "Every list ever loaded is kept, because a term is priced by the list that was valid when it started.",
    (
        Column("change_indicator", TEXT, "Whether the row was added or changed this month.",
               sources=("ChangeIndicator",)),
        Column("product_title", TEXT, "Product's title.", sources=("ProductTitle",), halo=("producttitle",)),
        Column("product_id", TEXT, "Product.", required=True, nullable=False, sources=("ProductId",),
               halo=("productid",)),
        Column("sku_id", TEXT, "SKU in its canonical form.", required=True, nullable=False, sources=("SkuId",),
               halo=("skuid",)),
        Column("sku_title", TEXT, "SKU's title.", sources=("SkuTitle",), halo=("skutitle",)),
        Column("publisher", TEXT, "Publisher.", sources=("Publisher",), halo=("publisher",)),
        Column("sku_description", TEXT, "SKU's description.", sources=("SkuDescription",), halo=("skudescription",)),
        Column("unit_of_measure", TEXT, "Unit.", sources=("UnitOfMeasure",), halo=("unitofmeasure",)),
        Column("term_duration", TEXT, "Term: P1M, P1Y, P3Y …; empty for consumption.", sources=("TermDuration",),
               halo=("termduration",)),
        Column("billing_plan", TEXT, "How a term is billed: Monthly, Annual, Triennial, None.",
               sources=("BillingPlan",), halo=("billingplan",)),
        Column("market", TEXT, "Country the row is for.", required=True, sources=("Market",), halo=("market",)),
        Column("currency", TEXT, "Currency of both prices.", required=True, sources=("Currency",), halo=("currency",)),
        Column("unit_price", PRICE, "Partner's price for the whole term.", required=True, nullable=False,
               sources=("UnitPrice",), halo=("unitprice",), unit="currency"),
        Column("pricing_tier_range_min", QUANTITY, "First unit of the tier.", sources=("PricingTierRangeMin",),
               halo=("pricingtierrangemin",), unit="units"),
        Column("pricing_tier_range_max", QUANTITY, "Last unit of the tier.", sources=("PricingTierRangeMax",),
               halo=("pricingtierrangemax",), unit="units"),
        Column("effective_start_date", TIMESTAMP, "From when the row is valid, UTC.", required=True,
               sources=("EffectiveStartDate",), halo=("effectivestartdate",)),
        Column("effective_end_date", TIMESTAMP, "Until when, inclusive, UTC; the year 9999 for open.", required=True,
               sources=("EffectiveEndDate",), halo=("effectiveenddate",)),
        Column("tags", TEXT, "Tags, separated by semicolons.", sources=("Tags",), halo=("tags",)),
        Column("erp_price", PRICE, "Estimated retail price for the whole term.", sources=("ERP Price", "ERPPrice"),
               halo=("erp_price",), unit="currency"),
        Column("segment", TEXT, "Commercial, Education, Charity, Government; empty in Azure lists.",
               sources=("Segment",), halo=("segment",)),
        Column("previous_values", TEXT, "Values before a change, as published.", sources=("PreviousValues",)),
        Column("last_updated_date", TIMESTAMP, "When the row was last changed, UTC.", sources=("LastUpdatedDate",)),
        Column("meter_ids", TEXT, "Meters of an Azure-plan row.", sources=("MeterIds", "MeterId")),
        Column("meter_type", TEXT, "Meter's type.", sources=("MeterType",)),
        *_provenance(),
    ),
    key=("file_sha256", "source_file", "source_row"),
    bulk=True,
)

INVOICES = Table(
    "src_invoices",
    "One invoice document: an invoice, a credit note (adjustment_note) or a voided invoice (void_note).",
    (
        _PERIOD,
        Column("invoice_number", TEXT, "Invoice's id.", required=True, nullable=False, sources=("id",), halo=("id",)),
        Column("invoice_date", TIMESTAMP, "When it was issued, UTC.", required=True, sources=("invoiceDate",),
               halo=("invoicedate",)),
        Column("billing_period_start_date", DATE, "First day billed.", sources=("billingPeriodStartDate",)),
        Column("billing_period_end_date", DATE, "Last day billed.", sources=("billingPeriodEndDate",)),
        Column("total_charges", AMOUNT, "Total of the document.", required=True, nullable=False,
               sources=("totalCharges",), halo=("totalcharges",), unit="currency_code"),
        Column("paid_amount", AMOUNT, "Paid so far; negative when a payment was received.", sources=("paidAmount",),
               halo=("paidamount",), unit="currency_code"),
        Column("currency_code", TEXT, "Currency.", required=True, nullable=False, sources=("currencyCode",),
               halo=("currencycode",)),
        Column("currency_symbol", TEXT, "Currency's symbol.", sources=("currencySymbol",), halo=("currencysymbol",)),
        Column("pdf_download_link", TEXT, "Short-lived link to the document.", sources=("pdfDownloadLink",),
               halo=("pdfdownloadlink",)),
        Column("tax_receipts", TEXT, "Tax receipts, JSON as text.", sources=("taxReceipts",), halo=("taxreceipts",)),
        Column("invoice_details", TEXT, "Links to line items, JSON as text.", sources=("invoiceDetails",),
               halo=("invoicedetails",)),
        Column("document_type", TEXT, "invoice, adjustment_note or void_note.", sources=("documentType",),
               halo=("documenttype",)),
        Column("invoice_type", TEXT, "OneTime (new commerce) or Recurring (legacy).", sources=("invoiceType",),
               halo=("invoicetype",)),
        Column("amends_of", TEXT, "Invoice that this document corrects.", sources=("amendsOf",)),
        Column("state", TEXT, "State of the document.", sources=("state", "status")),
        Column("links", TEXT, "Links, JSON as text.", sources=("links",), halo=("links",)),
        Column("attributes", TEXT, "Attributes, JSON as text.", sources=("attributes",)),
        *_provenance(),
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
        Column("landed_as", TEXT, "Where the untouched copy is kept, below the working folder.", nullable=False),
        Column("landed_at", TIMESTAMP, "When it was first seen, UTC.", nullable=False),
    ),
    key=("file_sha256", "source_file"),
)

QUARANTINE = Table(
    "quarantine",
    "One source row that could not be read: kept as delivered until the file is mended.",
    (
        Column("file_sha256", TEXT, "SHA-256 of the file as delivered.", nullable=False),
        Column("source_file", TEXT, "Name of the file.", nullable=False),
        Column("source_row", Kind.INTEGER, "Row in the file, counted like `source_row` of the sources.",
               nullable=False),
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
