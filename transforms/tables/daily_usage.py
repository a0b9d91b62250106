"""Daily rated usage: the detail of the Azure-plan lines of an invoice.

Names and types follow Microsoft's attribute lists for new commerce; the alternative source names are those of the
2023 portal files, today's files and the camelCase API.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.charge_columns import LINE_ID, charge_dates, exchange, what, who
from transforms.tables.provenance import PERIOD, provenance

TEXT, DATE, USAGE_AMOUNT, PRICE, QUANTITY, RATE = (
    Kind.TEXT,
    Kind.DATE,
    Kind.USAGE_AMOUNT,
    Kind.PRICE,
    Kind.QUANTITY,
    Kind.RATE,
)

DAILY_USAGE = Table(
    "src_daily_usage",
    "One line of new-commerce daily rated usage: one resource, meter and day.",
    (
        LINE_ID,
        PERIOD,
        *who(),
        *what(),
        *charge_dates(),
        Column("usage_date", DATE, "Day of the usage.", required=True, sources=("UsageDate",), halo=("usagedate",)),
        Column("meter_type", TEXT, "Meter's type.", sources=("MeterType",), halo=("metertype",)),
        Column("meter_category", TEXT, "Meter's category.", sources=("MeterCategory",), halo=("metercategory",)),
        Column("meter_id", TEXT, "Meter.", sources=("MeterId",), halo=("meterid",)),
        Column(
            "meter_sub_category",
            TEXT,
            "Meter's subcategory.",
            sources=("MeterSubCategory",),
            halo=("metersubcategory",),
        ),
        Column("meter_name", TEXT, "Meter's name.", sources=("MeterName",), halo=("metername",)),
        Column("meter_region", TEXT, "Meter's region.", sources=("MeterRegion",), halo=("meterregion",)),
        Column("unit", TEXT, "Unit of measure.", sources=("Unit", "UnitOfMeasure"), halo=("unit",)),
        Column(
            "resource_location",
            TEXT,
            "Where the resource runs.",
            sources=("ResourceLocation",),
            halo=("resourcelocation",),
        ),
        Column("consumed_service", TEXT, "Azure service.", sources=("ConsumedService",), halo=("consumedservice",)),
        Column("resource_group", TEXT, "Resource group.", sources=("ResourceGroup",), halo=("resourcegroup",)),
        Column("resource_uri", TEXT, "Resource.", sources=("ResourceURI",), halo=("resourceuri",)),
        Column("charge_type", TEXT, "Usage, or what the older API calls new.", sources=("ChargeType",)),
        Column(
            "unit_price", PRICE, "List price of a unit.", required=True, sources=("UnitPrice",), unit="pricing_currency"
        ),
        Column(
            "quantity",
            QUANTITY,
            "Units used.",
            required=True,
            sources=("Quantity",),
            halo=("quantity",),
            unit="unit_type",
        ),
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
        Column(
            "billing_currency",
            TEXT,
            "Billing currency.",
            required=True,
            sources=("BillingCurrency",),
            halo=("currency", "billingcurrency"),
        ),
        Column(
            "pricing_pre_tax_total",
            USAGE_AMOUNT,
            "Charge before tax in the pricing currency.",
            sources=("PricingPreTaxTotal",),
            halo=("pricingpretaxtotal",),
            unit="pricing_currency",
        ),
        Column(
            "pricing_currency", TEXT, "Currency of the prices.", sources=("PricingCurrency",), halo=("pricingcurrency",)
        ),
        Column("service_info1", TEXT, "Service information 1.", sources=("ServiceInfo1",), halo=("serviceinfo1",)),
        Column("service_info2", TEXT, "Service information 2.", sources=("ServiceInfo2",), halo=("serviceinfo2",)),
        Column("tags", TEXT, "Resource tags, JSON as text.", sources=("Tags",), halo=("tags",)),
        Column(
            "additional_info",
            TEXT,
            "Additional information, JSON as text.",
            sources=("AdditionalInfo",),
            halo=("additionalinfo",),
        ),
        Column(
            "effective_unit_price",
            PRICE,
            "Price of a unit after credits and tiers.",
            sources=("EffectiveUnitPrice",),
            halo=("unitprice", "effectiveunitprice"),
            unit="pricing_currency",
        ),
        *exchange(),
        Column("entitlement_id", TEXT, "Azure subscription.", sources=("EntitlementId",), halo=("entitlementid",)),
        Column(
            "entitlement_description",
            TEXT,
            "Azure subscription's name.",
            sources=("EntitlementDescription",),
            halo=("entitlementdescription",),
        ),
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
        Column(
            "benefit_id",
            TEXT,
            "Reservation or savings plan that covered the usage.",
            sources=("BenefitId",),
            halo=("benefitid",),
        ),
        Column("benefit_order_id", TEXT, "Its order.", sources=("BenefitOrderId",), halo=("benefitorderid",)),
        Column("benefit_type", TEXT, "Its kind.", sources=("BenefitType",), halo=("benefittype",)),
        *provenance(),
    ),
    key=("line_id",),
    indexes=(("source_row",),),
    bulk=True,
    partition_by="period",
)
