"""Print a month in the exact shapes of the real files: headers, order, dates, numbers, encodings.

Reconciliation: 47 columns, CSV, UTF-8 with BOM, CRLF, dates M/D/YYYY. Daily usage: 55 columns, gzip, UTF-8 with BOM,
CRLF, dates MM/DD/YYYY, zero as `0.00E+00`. Price lists: licences in 21 columns, the Azure plan in 18, UTF-8 with BOM,
LF, ISO dates with seven digits, unpadded SkuIds; the portal delivers them zipped. The same data gives the same bytes:
archives carry no clock.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from examples.azure_prices import MeterPrice
from examples.catalogue import PriceRow
from examples.customers import Partner
from examples.dates import month_day_year, padded_month_day_year, seven_digits
from examples.lines import ReconLine, UsageRow
from examples.numbers import as_usage_prints, plain


def _names(header: str) -> list[str]:
    return header.split(",")


RECON_HEADER = _names(
    "PartnerId,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,InvoiceNumber,MpnId,Tier2MpnId,OrderId,"
    "OrderDate,ProductId,SkuId,AvailabilityId,SkuName,ProductName,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,"
    "Currency,PriceAdjustmentDescription,PublisherName,PublisherId,SubscriptionDescription,SubscriptionId,"
    "ChargeStartDate,ChargeEndDate,TermAndBillingCycle,EffectiveUnitPrice,UnitType,AlternateId,BillableQuantity,"
    "BillingFrequency,PricingCurrency,PCToBCExchangeRate,PCToBCExchangeRateDate,MeterDescription,ReservationOrderId,"
    "CreditReasonCode,SubscriptionStartDate,SubscriptionEndDate,ReferenceId,ProductQualifiers,PromotionId,"
    "ProductCategory"
)
USAGE_HEADER = _names(
    "PartnerId,PartnerName,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,MpnId,Tier2MpnId,InvoiceNumber,"
    "ProductId,SkuId,AvailabilityId,SkuName,ProductName,PublisherName,PublisherId,SubscriptionDescription,"
    "SubscriptionId,ChargeStartDate,ChargeEndDate,UsageDate,MeterType,MeterCategory,MeterId,MeterSubCategory,MeterName,"
    "MeterRegion,Unit,ResourceLocation,ConsumedService,ResourceGroup,ResourceURI,ChargeType,UnitPrice,Quantity,UnitType,"
    "BillingPreTaxTotal,BillingCurrency,PricingPreTaxTotal,PricingCurrency,ServiceInfo1,ServiceInfo2,Tags,"
    "AdditionalInfo,EffectiveUnitPrice,PCToBCExchangeRate,PCToBCExchangeRateDate,EntitlementId,EntitlementDescription,"
    "PartnerEarnedCreditPercentage,CreditPercentage,CreditType,BenefitId,BenefitOrderId,BenefitType"
)
PRICE_HEADER = _names(
    "ChangeIndicator,ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,"
    "BillingPlan,Market,Currency,UnitPrice,PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,"
    "Tags,ERP Price,Segment,PreviousValues"
)


AZURE_PRICE_HEADER = _names(
    "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,Market,Currency,UnitPrice,"
    "PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,MeterIds,MeterType,Tags"
)


def write_recon(path: Path, partner: Partner, lines: Sequence[ReconLine]) -> None:
    """Write the invoice reconciliation."""
    path.write_bytes(_csv(RECON_HEADER, (recon_fields(partner, line) for line in lines), "\r\n"))


def write_usage(path: Path, partner: Partner, rows: Sequence[UsageRow]) -> None:
    """Write the daily rated usage, gzipped."""
    path.write_bytes(gzip.compress(_csv(USAGE_HEADER, (usage_fields(partner, row) for row in rows), "\r\n"), mtime=0))


def write_price_list(path: Path, rows: Sequence[PriceRow]) -> None:
    """Write a market's licence price list, zipped where the path ends so."""
    _write_list(path, _csv(PRICE_HEADER, (price_fields(row) for row in rows), "\n"))


def write_azure_price_list(path: Path, rows: Sequence[MeterPrice]) -> None:
    """Write a market's Azure plan price list, zipped where the path ends so."""
    _write_list(path, _csv(AZURE_PRICE_HEADER, (azure_price_fields(row) for row in rows), "\n"))


def _write_list(path: Path, content: bytes) -> None:
    if path.suffix != ".zip":
        path.write_bytes(content)
        return
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo(path.with_suffix(".csv").name, (2025, 1, 1, 0, 0, 0))
        archive.writestr(member, content, zipfile.ZIP_DEFLATED)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]], line_end: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def recon_fields(partner: Partner, line: ReconLine) -> list[str]:
    """The printed fields of a reconciliation line, in the header's order."""
    customer, product = line.customer, line.product
    values = {
        "PartnerId": partner.id,
        "CustomerId": customer.id,
        "CustomerName": customer.name,
        "CustomerDomainName": customer.domain,
        "CustomerCountry": customer.market.country,
        "InvoiceNumber": line.invoice_number,
        "MpnId": partner.mpn_id,
        "Tier2MpnId": customer.tier2_mpn_id,
        "OrderId": line.order_id,
        "OrderDate": seven_digits(line.order_date),
        "ProductId": product.product_id,
        "SkuId": product.sku_id,
        "AvailabilityId": product.availability_id,
        "SkuName": product.sku_name,
        "ProductName": product.product_name,
        "ChargeType": line.charge_type,
        "UnitPrice": plain(line.unit_price),
        "Quantity": plain(line.quantity),
        "Subtotal": plain(line.subtotal),
        "TaxTotal": plain(line.tax_total),
        "Total": plain(line.total),
        "Currency": line.currency or customer.market.currency,
        "PriceAdjustmentDescription": line.adjustment,
        "PublisherName": product.publisher_name,
        "PublisherId": product.publisher_id,
        "SubscriptionDescription": line.description,
        "SubscriptionId": line.subscription_id,
        "ChargeStartDate": month_day_year(line.charge_start),
        "ChargeEndDate": month_day_year(line.charge_end),
        "TermAndBillingCycle": line.term_text,
        "EffectiveUnitPrice": plain(line.effective_unit_price),
        "UnitType": line.unit_type,
        "AlternateId": line.order_id,
        "BillableQuantity": plain(line.billable_quantity),
        "BillingFrequency": line.frequency,
        "PricingCurrency": line.pricing_currency,
        "PCToBCExchangeRate": plain(line.rate),
        "PCToBCExchangeRateDate": month_day_year(line.rate_date),
        "MeterDescription": line.meter,
        "ReservationOrderId": line.reservation_order_id,
        "CreditReasonCode": line.credit_reason,
        "SubscriptionStartDate": month_day_year(line.subscription_start),
        "SubscriptionEndDate": month_day_year(line.subscription_end),
        "ReferenceId": line.reference_id,
        "ProductQualifiers": line.qualifiers,
        "PromotionId": line.promotion_id,
        "ProductCategory": product.category,
    }
    fields = [(values | line.damage)[name] for name in RECON_HEADER]
    return fields[: line.cut_after] if line.cut_after else fields


def usage_fields(partner: Partner, row: UsageRow) -> list[str]:
    """The printed fields of a usage row, in the header's order; what real files leave empty is empty."""
    customer, product = row.customer, row.product
    values = dict.fromkeys(USAGE_HEADER, "") | {
        "PartnerId": partner.id,
        "PartnerName": partner.name,
        "CustomerId": customer.id,
        "CustomerName": customer.name,
        "CustomerDomainName": customer.domain,
        "CustomerCountry": customer.market.country,
        "InvoiceNumber": row.invoice_number,
        "ProductId": product.product_id,
        "SkuId": product.sku_id,
        "AvailabilityId": product.availability_id,
        "SkuName": product.sku_name,
        "ProductName": product.product_name,
        "PublisherName": product.publisher_name,
        "PublisherId": product.publisher_id,
        "SubscriptionId": row.subscription_id,
        "ChargeStartDate": padded_month_day_year(row.charge_start),
        "ChargeEndDate": padded_month_day_year(row.charge_end),
        "UsageDate": padded_month_day_year(row.usage_date),
        "MeterType": row.meter_type,
        "MeterCategory": row.meter_category,
        "MeterId": row.meter_id,
        "MeterSubCategory": row.meter_sub_category,
        "MeterName": row.meter_name,
        "MeterRegion": row.meter_region,
        "Unit": row.unit,
        "ResourceLocation": row.location,
        "ConsumedService": row.service,
        "ResourceGroup": row.resource_group,
        "ResourceURI": row.resource_uri,
        "ChargeType": "Usage",
        "UnitPrice": as_usage_prints(row.unit_price),
        "Quantity": as_usage_prints(row.quantity),
        "UnitType": row.unit,
        "BillingPreTaxTotal": as_usage_prints(row.billing_total),
        "BillingCurrency": row.currency or customer.market.currency,
        "PricingPreTaxTotal": as_usage_prints(row.pricing_total),
        "PricingCurrency": "USD",
        "Tags": row.tags,
        "AdditionalInfo": row.additional_info,
        "EffectiveUnitPrice": as_usage_prints(row.effective_unit_price),
        "PCToBCExchangeRate": plain(row.rate),
        "PCToBCExchangeRateDate": padded_month_day_year(row.rate_date),
        "EntitlementId": row.entitlement_id,
        "EntitlementDescription": row.entitlement_name,
        "PartnerEarnedCreditPercentage": _optional(row.earned_credit),
        "CreditPercentage": _optional(row.credit_percentage),
        "CreditType": row.credit_type,
        "BenefitType": "Charge",
    }
    return [(values | row.damage)[name] for name in USAGE_HEADER]


def price_fields(row: PriceRow) -> list[str]:
    """The printed fields of a price row; PreviousValues is a dict as Python prints it, like in the real sheet."""
    sku = row.sku
    previous = ""
    if row.previous is not None:
        unit_price, erp_price = row.previous
        previous = str({"ERP Price": plain(erp_price), "UnitPrice": plain(unit_price)})
    values = dict.fromkeys(PRICE_HEADER, "") | {
        "ChangeIndicator": row.change,
        "ProductTitle": sku.product_title,
        "ProductId": sku.product_id,
        "SkuId": sku.sku_id,
        "SkuTitle": sku.title,
        "Publisher": "Microsoft Corporation",
        "SkuDescription": f'{sku.product_title} per user, formerly "{sku.product_title} Plan", naïvely put.',
        "TermDuration": row.term,
        "BillingPlan": row.plan,
        "Market": row.market.country,
        "Currency": row.market.currency,
        "UnitPrice": plain(row.unit_price),
        "EffectiveStartDate": seven_digits(row.start),
        "EffectiveEndDate": seven_digits(row.end),
        "Tags": "License;Trial" if row.plan == "None" else "License",
        "ERP Price": plain(row.erp_price),
        "Segment": sku.segment,
        "PreviousValues": previous,
    }
    return [values[name] for name in PRICE_HEADER]


def azure_price_fields(row: MeterPrice) -> list[str]:
    """The printed fields of an Azure plan price row."""
    product = row.meter.product
    values = dict.fromkeys(AZURE_PRICE_HEADER, "") | {
        "ProductTitle": product.product_name,
        "ProductId": product.product_id,
        "SkuId": product.sku_id,
        "SkuTitle": product.sku_name,
        "Publisher": product.publisher_name,
        "SkuDescription": row.meter.name,
        "UnitOfMeasure": row.meter.unit,
        "Market": row.market.country,
        "Currency": "USD",
        "UnitPrice": plain(row.unit_price),
        "PricingTierRangeMin": plain(row.tier_start),
        "PricingTierRangeMax": plain(row.tier_end),
        "EffectiveStartDate": seven_digits(row.start),
        "EffectiveEndDate": seven_digits(row.end),
        "MeterIds": row.meter.id,
        "MeterType": row.meter.meter_type,
    }
    return [values[name] for name in AZURE_PRICE_HEADER]


def _optional(value: Decimal | None) -> str:
    return "" if value is None else plain(value)
