"""The FOCUS 1.2 view: cost and usage in the columns of the FinOps Open Cost and Usage Specification.

Names, order and meaning are the specification's (version 1.2, dataset Cost and Usage); columns that begin with `x_` are
this project's own. `docs/focus.md` says where each one comes from, and when it is empty.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

_COST, _PRICE = Kind.USAGE_AMOUNT, Kind.USAGE_AMOUNT
_BILLING, _PRICING = "BillingCurrency", "PricingCurrency"


def _text(name: str, meaning: str, nullable: bool = True) -> Column:
    return Column(name, Kind.TEXT, meaning, nullable=nullable)


def _time(name: str, meaning: str) -> Column:
    return Column(name, Kind.TIMESTAMP, meaning, nullable=False)


def _cost(name: str, meaning: str, unit: str = _BILLING) -> Column:
    return Column(name, _COST, meaning, nullable=False, unit=unit)


def _price(name: str, meaning: str, unit: str = _BILLING) -> Column:
    return Column(name, _PRICE, meaning, unit=unit)


OUT_FOCUS = Table(
    "out_focus",
    "The charges of the latest run of each period in the columns of FOCUS 1.2 (see focus.md); on PostgreSQL their "
    "names need double quotes. Charges and taxes of an invoice add up to its reconciliation lines: daily usage stands "
    "for the Azure-plan lines that it is the detail of, never beside them.",
    (
        _text("AvailabilityZone", "Always empty: not in the exports."),
        _cost("BilledCost", "What is invoiced for the charge; tax is a charge of its own."),
        _text("BillingAccountId", "Partner's tenant; empty only where no line of the month names it."),
        _text("BillingAccountName", "Partner's name; where no line of the month has it, the tenant."),
        _text("BillingAccountType", "Partner."),
        _text("BillingCurrency", "Currency of the invoice, ISO 4217."),
        _time("BillingPeriodEnd", "First moment after the billing period, UTC."),
        _time("BillingPeriodStart", "First moment of the billing period, UTC."),
        _text("CapacityReservationId", "Always empty: not in the exports."),
        _text("CapacityReservationStatus", "Always empty: not in the exports."),
        _text("ChargeCategory", "Usage, Purchase, Tax, Credit or Adjustment.", nullable=False),
        _text("ChargeClass", "Correction for a refund of days before the billing period."),
        _text("ChargeDescription", "What is charged, for people.", nullable=False),
        _text("ChargeFrequency", "One-Time, Recurring or Usage-Based.", nullable=False),
        _time("ChargePeriodEnd", "First moment after the days charged for, UTC."),
        _time("ChargePeriodStart", "First moment of the days charged for, UTC."),
        _text("CommitmentDiscountCategory", "Usage for a reservation, Spend for a savings plan."),
        _text("CommitmentDiscountId", "Order of the reservation or savings plan that is bought or covers the usage."),
        _text("CommitmentDiscountName", "Always empty: not in the exports."),
        Column("CommitmentDiscountQuantity", Kind.QUANTITY, "How much of it is bought or used.",
               unit="CommitmentDiscountUnit"),
        _text("CommitmentDiscountStatus", "Used for usage that it covers."),
        _text("CommitmentDiscountType", "Reservation or Savings Plan."),
        _text("CommitmentDiscountUnit", "Unit of that quantity; a currency for a savings plan."),
        Column("ConsumedQuantity", Kind.QUANTITY, "Quantity used.", unit="ConsumedUnit"),
        _text("ConsumedUnit", "Unit of the quantity used."),
        _cost("ContractedCost", "The charge at the partner's price, before credits."),
        _price("ContractedUnitPrice", "Partner's price of a pricing unit."),
        _cost("EffectiveCost", "Cost after all discounts; the same as BilledCost, because nothing can be amortised."),
        _text("InvoiceId", "Invoice; empty in unbilled exports."),
        _text("InvoiceIssuerName", "Microsoft.", nullable=False),
        _cost("ListCost", "The charge at the list price."),
        _price("ListUnitPrice", "ERP price of a pricing unit where the price list has one, else the price before "
               "credits."),
        _text("PricingCategory", "Standard, Committed or Dynamic."),
        _text("PricingCurrency", "Currency of the prices, ISO 4217."),
        _price("PricingCurrencyContractedUnitPrice", "Contracted unit price in the pricing currency.", _PRICING),
        _cost("PricingCurrencyEffectiveCost", "Effective cost in the pricing currency.", _PRICING),
        _price("PricingCurrencyListUnitPrice", "List unit price in the pricing currency.", _PRICING),
        Column("PricingQuantity", Kind.QUANTITY, "Quantity charged for, negative for a refund.", unit="PricingUnit"),
        _text("PricingUnit", "Unit of the quantity charged for."),
        _text("ProviderName", "Microsoft.", nullable=False),
        _text("PublisherName", "Publisher of the product.", nullable=False),
        _text("RegionId", "Azure region."),
        _text("RegionName", "The region's name."),
        _text("ResourceId", "Azure resource, or the order of what is bought."),
        _text("ResourceName", "Name of the Azure resource."),
        _text("ResourceType", "Type of the resource."),
        _text("ServiceCategory", "FOCUS category of the service.", nullable=False),
        _text("ServiceName", "Azure's meter category, else the product.", nullable=False),
        _text("ServiceSubcategory", "FOCUS subcategory of the service.", nullable=False),
        _text("SkuId", "Product and SKU."),
        _text("SkuMeter", "What is counted."),
        _text("SkuPriceDetails", "Term and billing cycle, a JSON object as text."),
        _text("SkuPriceId", "Product, SKU and availability; of usage product, SKU and meter."),
        _text("SubAccountId", "Customer's tenant."),
        _text("SubAccountName", "Customer's name."),
        _text("SubAccountType", "Customer."),
        _text("Tags", "Resource tags, a JSON object as text."),
        _text("x_RunId", "The run.", nullable=False),
        _text("x_LineId", "Line of that run; of an Adjustment one of the lines it is for.", nullable=False),
        _text("x_LineSource", "invoice_recon or daily_usage.", nullable=False),
        _text("x_ChargeType", "Microsoft's charge type."),
        _text("x_SubscriptionId", "Commerce subscription."),
        _text("x_AzureSubscriptionId", "Azure subscription of usage."),
        _text("x_AzureSubscriptionName", "The Azure subscription's name."),
        _text("x_ResourceGroup", "Resource group of usage."),
        _text("x_CustomerDomainName", "Customer's domain."),
        _text("x_ResellerMpnId", "Indirect reseller's MPN id; 0 for direct sales."),
        _text("x_PromotionId", "Promotion that was applied."),
        Column("x_PartnerEarnedCreditPercentage", Kind.RATE, "Partner earned credit of usage.", unit="percent"),
        Column("x_ExchangeRate", Kind.RATE, "Rate from pricing to billing currency.", nullable=False,
               unit="billing currency per pricing currency"),
        _text("x_ListPriceSource", "price_list where ListUnitPrice is the list's ERP price, line where it is the "
              "line's own."),
    ),
)  # fmt: skip
