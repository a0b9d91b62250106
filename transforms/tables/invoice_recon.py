"""The new-commerce invoice reconciliation: every charge of an invoice.

Names and types follow Microsoft's attribute lists for new commerce; the alternative source names are those of the
2023 portal files, today's files and the camelCase API.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.charge_columns import LINE_ID, charge_dates, exchange, what, who
from transforms.tables.provenance import PERIOD, provenance

TEXT, DATE, TIMESTAMP, AMOUNT, PRICE, QUANTITY = (
    Kind.TEXT,
    Kind.DATE,
    Kind.TIMESTAMP,
    Kind.AMOUNT,
    Kind.PRICE,
    Kind.QUANTITY,
)

INVOICE_RECON = Table(
    "src_invoice_recon",
    "One line of a new-commerce invoice reconciliation: every charge of an invoice.",
    (
        LINE_ID,
        PERIOD,
        *who(),
        Column("order_id", TEXT, "Order; may name two, `old, new`.", sources=("OrderId",), halo=("orderid",)),
        Column("order_date", TIMESTAMP, "When the order was placed, UTC.", sources=("OrderDate",), halo=("orderdate",)),
        *what(),
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
        Column(
            "tax_total",
            AMOUNT,
            "Tax; may be 0 although the invoice has tax.",
            required=True,
            sources=("TaxTotal",),
            halo=("taxtotal",),
            unit="currency",
        ),
        Column(
            "total",
            AMOUNT,
            "Charge with tax.",
            required=True,
            sources=("Total", "TotalForCustomer"),
            halo=("total",),
            unit="currency",
        ),
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
        *charge_dates(),
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
        Column(
            "pricing_currency", TEXT, "Currency of the prices.", sources=("PricingCurrency",), halo=("pricingcurrency",)
        ),
        *exchange(),
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
        Column(
            "product_qualifiers",
            TEXT,
            "Qualifiers such as Trial or Add-on, a JSON array as text.",
            sources=("ProductQualifiers",),
        ),
        Column("promotion_id", TEXT, "Promotion that was applied.", sources=("PromotionId",), halo=("promotionid",)),
        Column("product_category", TEXT, "Microsoft's category of the product.", sources=("ProductCategory",)),
        *provenance(),
    ),
    key=("line_id",),
    indexes=(("source_row",), ("subscription_id",)),
    bulk=True,
    partition_by="period",
)
