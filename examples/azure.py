"""Azure plans: the daily usage of a month and the reconciliation lines that sum it up.

Rules (measured in three real months, and documented): EffectiveUnitPrice is 0.85 of UnitPrice where partner earned
credit applies, the whole of it where it does not, 0 inside a free tier, under a reservation and under Azure credit;
BillingPreTaxTotal is EffectiveUnitPrice x Quantity x rate, unrounded. The reconciliation has one line per meter and
credit state, cut to cents twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from itertools import groupby
from random import Random

from examples.dates import DAY, Span
from examples.lines import ReconLine, UsageRow
from examples.meters import BY_ID, FREE_TIER, METERS, RESERVED, Meter
from examples.numbers import EXACT, ONE, ZERO, decimal, subtotal_of_usage, tax_of, truncated
from examples.portfolio import AzurePlan, OtherPurchase
from examples.rates import dollar_rate, rate_day

EARNED = Decimal(15)
PAID_WITH_CREDIT = Decimal("0.85")
APPLIED, NOT_APPLIED, AZURE_CREDIT = "Partner Earned Credit Applied", "Credit Not Applied", "Azure Credit Applied"
EARNED_TEXT = "15.0% Partner earned credit for services managed"
_WHOLE_PLACES = 15
_MACHINE_INFO = '{"ImageType":null,"UsageType":"ComputeHR_SW","VCPUs":4,"Note":"D4as, v5"}'


def usage_rows(
    plan: AzurePlan, month: Span, invoice_number: str, reservation: OtherPurchase | None
) -> list[UsageRow]:
    """The daily usage of one Azure plan in a month, in the order of resources and days."""
    random = Random(f"{plan.seed}/{month.start}")
    resources = Random(plan.seed)
    meters = [FREE_TIER, *sorted(resources.sample(METERS, 6), key=METERS.index)]
    credited = meters[1 + resources.randrange(2)] if plan.has_credit else None
    rows: list[UsageRow] = []
    for meter in meters:
        resource = _Resource(plan, meter, month, invoice_number, resources, random)
        for row in resource.days(is_credited=meter is credited):
            rows.append(row)
            # Exact duplicates are genuine in the real files and must be counted twice.
            if random.randrange(60) == 0:
                rows.append(replace(row))
    if reservation is not None:
        resource = _Resource(plan, RESERVED, month, invoice_number, resources, random)
        rows.extend(resource.reserved_days(reservation))
    return rows


class _Resource:
    """One resource that one meter counts."""

    def __init__(
        self, plan: AzurePlan, meter: Meter, month: Span, invoice_number: str, resources: Random, random: Random
    ) -> None:
        self.plan, self.meter, self.month, self.invoice_number, self.random = plan, meter, month, invoice_number, random
        self.entitlement_id, self.entitlement_name = plan.entitlements[resources.randrange(len(plan.entitlements))]
        self.group = f"rg-{resources.choice(('web', 'data', 'core'))}-{resources.randrange(90):02d}"
        self.name = f"{meter.sub_category.split()[0].lower()}{resources.getrandbits(24):06x}"
        self.tags = resources.choice(("", '{"env":"prod"}', '{"costCentre":"4711, Vertrieb","owner":"Zoë O\'Neil"}'))

    def days(self, *, is_credited: bool) -> Iterator[UsageRow]:
        """A row for nearly every day, and two for the day on which the free tier is used up."""
        used = ZERO
        for number in range(self.month.days):
            quantity = self._quantity()
            if self.meter.varies and self.random.randrange(40) == 0:
                continue
            day = self.month.start + number * DAY
            price = self.meter.price_on(day)
            if is_credited:
                yield self._row(day, price, ZERO, quantity, AZURE_CREDIT, "")
                continue
            earns = self.meter.earns_credit and day not in self.plan.without_access
            credit_type = APPLIED if earns else NOT_APPLIED
            free = min(quantity, max(ZERO, self.meter.free_units - used))
            used += quantity
            if free:
                yield self._row(day, price, ZERO, free, credit_type, "tier 1")
            if quantity > free:
                paid = EXACT.multiply(price, PAID_WITH_CREDIT) if earns else price
                yield self._row(day, price, paid, quantity - free, credit_type, "")

    def reserved_days(self, reservation: OtherPurchase) -> Iterator[UsageRow]:
        """What a reservation covers: quantity only, at no cost, naming the reservation's order."""
        info = {"ReservationOrderId": reservation.reservation_order_id, "VCPUs": 2, "ServiceType": "Standard_D2s_v5"}
        for number in range(self.month.days):
            day = self.month.start + number * DAY
            row = self._row(day, self.meter.price_on(day), ZERO, Decimal(24), NOT_APPLIED, "reserved")
            row.additional_info = json.dumps(info, separators=(",", ":"))
            yield row

    def _quantity(self) -> Decimal:
        usual = self.meter.usual
        millionths = usual // 2 + self.random.randrange(usual) if self.meter.varies else usual
        return Decimal(max(1, millionths)).scaleb(-6)

    def _row(
        self, day: date, unit_price: Decimal, paid: Decimal, quantity: Decimal, credit_type: str, tier: str
    ) -> UsageRow:
        plan, meter, rate = self.plan, self.meter, dollar_rate(self.plan.customer.market, self.month)
        percentage = {APPLIED: EARNED, AZURE_CREDIT: Decimal(100)}.get(credit_type)
        # The real files spell one resource's group in two ways.
        group = self.group.upper() if self.random.randrange(12) == 0 else self.group
        pricing_total = EXACT.multiply(paid, quantity)
        return UsageRow(
            customer=plan.customer,
            invoice_number=self.invoice_number,
            product=meter.product,
            subscription_id=plan.id,
            charge_start=self.month.start,
            charge_end=self.month.end,
            usage_date=day,
            meter_type=meter.meter_type,
            meter_category=meter.category,
            meter_id=meter.id,
            meter_sub_category=meter.sub_category,
            meter_name=meter.name,
            meter_region=meter.region,
            unit=meter.unit,
            location=meter.location,
            service=meter.service,
            resource_group=group,
            resource_uri="/".join(
                ("/subscriptions", self.entitlement_id, "resourceGroups", group, "providers", meter.provider, self.name)
            ),
            unit_price=unit_price,
            effective_unit_price=paid,
            quantity=quantity,
            rate=rate,
            rate_date=rate_day(rate, self.month),
            entitlement_id=self.entitlement_id,
            entitlement_name=self.entitlement_name,
            credit_percentage=percentage,
            earned_credit=EARNED if credit_type == APPLIED else None,
            credit_type=credit_type,
            tags=self.tags,
            additional_info=_MACHINE_INFO if "VM" in meter.sub_category else "",
            line_key=(plan.id, meter.id, credit_type, tier),
            pricing_total=pricing_total,
            billing_total=billing_total(pricing_total, rate),
        )


def billing_total(pricing_total: Decimal, rate: Decimal) -> Decimal:
    """In the billing currency: exact where the rate is 1, else to fifteen decimals."""
    if rate == ONE:
        return pricing_total
    return decimal(Fraction(pricing_total) * Fraction(rate), _WHOLE_PLACES)


def azure_lines(plan: AzurePlan, rows: list[UsageRow], month: Span) -> list[ReconLine]:
    """One reconciliation line per meter and credit state of the plan's usage, and the credit lines that offset it."""
    lines: list[ReconLine] = []
    for key, group in groupby(sorted(rows, key=lambda row: row.line_key), key=lambda row: row.line_key):
        if key[3] == "reserved":
            continue
        days = list(group)
        charge = _meter_line(plan, days, month, is_first_tier=key[3] == "tier 1")
        lines.append(charge)
        if key[2] == AZURE_CREDIT:
            lines.append(_credit_of(charge))
    return lines


def _meter_line(plan: AzurePlan, days: list[UsageRow], month: Span, *, is_first_tier: bool) -> ReconLine:
    row, customer = days[0], plan.customer
    quantity = sum((day.quantity for day in days), ZERO)
    price = _line_price(days, quantity)
    subtotal = subtotal_of_usage(price, quantity, row.rate)
    tax_total = tax_of(subtotal, customer.tax_rate)
    texts = [EARNED_TEXT] * (row.credit_type == APPLIED) + ["100.0% Tier 1 Discount"] * is_first_tier
    product = row.product
    return ReconLine(
        customer=customer,
        invoice_number=row.invoice_number,
        order_id=plan.order_id,
        order_date=datetime.combine(plan.ordered_on, time()),
        product=replace(product, sku_id=product.sku_id.zfill(4)),
        charge_type="new",
        # The list price of the day that the line's charge begins with, whatever days of the month had usage.
        unit_price=BY_ID[row.meter_id].price_on(month.start),
        effective_unit_price=price,
        billable_quantity=quantity,
        quantity=ONE,
        subtotal=subtotal,
        tax_total=tax_total,
        total=subtotal + tax_total,
        subscription_id=plan.id,
        description="Azure plan",
        charge_start=month.start,
        charge_end=month.end,
        adjustment=json.dumps(texts, separators=(",", ":")) if texts else "",
        unit_type=row.unit,
        pricing_currency="USD",
        rate=row.rate,
        rate_date=row.rate_date,
        meter=f"{row.meter_category} - {row.meter_name}" + (f" - {row.meter_region}" if row.meter_region else ""),
    )


def _line_price(days: list[UsageRow], quantity: Decimal) -> Decimal:
    """The days' price; where they differ the quotient, with as many digits as it takes to multiply back."""
    # What credit pays for is charged at the list price, and credited on a line of its own.
    paid = [day.unit_price if day.credit_type == AZURE_CREDIT else day.effective_unit_price for day in days]
    if len(set(paid)) == 1:
        return paid[0]
    total = sum((Fraction(price) * Fraction(day.quantity) for price, day in zip(paid, days, strict=True)), Fraction(0))
    for places in range(10, 23):
        price = decimal(total / Fraction(quantity), places, ROUND_CEILING)
        if truncated(Fraction(price) * Fraction(quantity)) == truncated(total):
            return price
    raise ArithmeticError(f"no price of 22 decimals gives {total} for {quantity} units")


def _credit_of(charge: ReconLine) -> ReconLine:
    """Azure credit: the charge once more, negative."""
    return replace(
        charge,
        charge_type="customerCredit",
        effective_unit_price=-charge.effective_unit_price,
        subtotal=-charge.subtotal,
        tax_total=-charge.tax_total,
        total=-charge.total,
        credit_reason="Azure Credit Offer",
        damage={},
    )
