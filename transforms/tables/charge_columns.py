"""Columns that both exports of charges have: whose charge it is, of what, for when, at which exchange rate.

Names and types follow Microsoft's attribute lists for new commerce; the alternative source names are those of the
2023 portal files, today's files and the camelCase API.
"""

from __future__ import annotations

from transforms.columns import Column, Kind

LINE_ID = Column(
    "line_id",
    Kind.TEXT,
    "Stable identity of the charge: a digest of what the charge is, without its amounts, and of its occurrence "
    "among identical ones. The same charge keeps it when it is delivered again, also with other amounts.",
    nullable=False,
)


def who(tier2: str = "Tier2MpnId") -> tuple[Column, ...]:
    """The columns that open both line exports."""
    return (
        Column("partner_id", Kind.TEXT, "Partner's Microsoft tenant.", sources=("PartnerId",), halo=("partnerid",)),
        Column("partner_name", Kind.TEXT, "Partner's name.", sources=("PartnerName",), halo=("partnername",)),
        Column(
            "customer_id",
            Kind.TEXT,
            "Customer's Microsoft tenant; the key of a customer, because names repeat.",
            required=True,
            sources=("CustomerId",),
            halo=("customerid",),
        ),
        Column("customer_name", Kind.TEXT, "Customer's name.", sources=("CustomerName",), halo=("customername",)),
        Column(
            "customer_domain_name",
            Kind.TEXT,
            "Customer's domain.",
            sources=("CustomerDomainName",),
            halo=("customerdomainname",),
        ),
        Column(
            "customer_country",
            Kind.TEXT,
            "Customer's country, the price list's Market.",
            sources=("CustomerCountry",),
            halo=("customercountry",),
        ),
        Column(
            "invoice_number",
            Kind.TEXT,
            "Microsoft invoice; empty in unbilled exports.",
            sources=("InvoiceNumber",),
            halo=("invoicenumber",),
        ),
        Column("mpn_id", Kind.TEXT, "Partner's MPN id.", sources=("MpnId",), halo=("mpnid",)),
        Column(
            "tier2_mpn_id",
            Kind.TEXT,
            "Indirect reseller's MPN id; 0 for direct sales.",
            sources=(tier2, "ResellerMpnId"),
        ),
    )


def what() -> tuple[Column, ...]:
    """Product columns, the same in both line exports."""
    return (
        Column("product_id", Kind.TEXT, "Product.", required=True, sources=("ProductId",)),
        Column(
            "sku_id",
            Kind.TEXT,
            "SKU of the product in its canonical form: upper case, at least four characters.",
            required=True,
            sources=("SkuId",),
            halo=("skuid",),
        ),
        Column("availability_id", Kind.TEXT, "Availability.", sources=("AvailabilityId",), halo=("availabilityid",)),
        Column("sku_name", Kind.TEXT, "SKU's name.", sources=("SkuName",), halo=("skuname",)),
        Column("product_name", Kind.TEXT, "Product's name.", sources=("ProductName",), halo=("productname",)),
        Column(
            "publisher_name",
            Kind.TEXT,
            "Publisher; Microsoft or Microsoft Corporation is first party.",
            sources=("PublisherName", "ProviderName"),
            halo=("publishername",),
        ),
        Column(
            "publisher_id", Kind.TEXT, "Publisher's id.", sources=("PublisherId", "ProviderId"), halo=("publisherid",)
        ),
        Column(
            "subscription_description",
            Kind.TEXT,
            "Subscription's nickname; `Azure plan` marks pay-as-you-go.",
            sources=("SubscriptionDescription",),
            halo=("subscriptiondescription",),
        ),
        Column(
            "subscription_id",
            Kind.TEXT,
            "Commerce subscription.",
            required=True,
            sources=("SubscriptionId",),
            halo=("subscriptionid",),
        ),
    )


def charge_dates() -> tuple[Column, ...]:
    return (
        Column(
            "charge_start_date",
            Kind.DATE,
            "First day charged for.",
            required=True,
            sources=("ChargeStartDate",),
            halo=("chargestartdate",),
        ),
        Column(
            "charge_end_date",
            Kind.DATE,
            "Last day charged for, inclusive; empty for perpetual licences.",
            sources=("ChargeEndDate",),
            halo=("chargeenddate",),
        ),
    )


def exchange() -> tuple[Column, ...]:
    return (
        Column(
            "pc_to_bc_exchange_rate",
            Kind.RATE,
            "Rate from pricing to billing currency; 1 when they are the same.",
            sources=("PCToBCExchangeRate",),
            halo=("pctobcexchangerate",),
            unit="billing currency per pricing currency",
        ),
        Column(
            "pc_to_bc_exchange_rate_date",
            Kind.DATE,
            "Day of that rate.",
            sources=("PCToBCExchangeRateDate",),
            halo=("pctobcexchangeratedate",),
        ),
    )
