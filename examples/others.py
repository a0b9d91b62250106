"""Monthly charges outside the licence price list: reservations of Azure capacity and marketplace subscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from fractions import Fraction
from random import Random

from examples.dates import DAY, Span, add_months, cycle
from examples.lines import Product, ReconLine
from examples.numbers import guid, subtotal_of_licence, tax_of
from examples.portfolio import OtherPurchase
from examples.rates import dollar_rate, rate_day


@dataclass(frozen=True)
class _Offer:
    product: Product
    price: Decimal
    term_text: str
    description: str


_RESERVATION = _Offer(
    Product("DZH318Z0XR01", "00K7", "DZH318Z0XB01", "Reserved VM Instance, Standard_D2s_v5, EU West, 1 Year",
            "Reserved VM Instance", "Microsoft", "", "Azure reservation"),
    Decimal("51.93"), "One-year term duration", "VM Reservation, Standard_D2s_v5, 1 Year",
)  # fmt: skip
_MARKETPLACE = _Offer(
    Product("DZH318Z0XR02", "0001", "DZH318Z0XB02", "Mail Archive - Medium Plan", "Skylark Mail Archive",
            "Skylark Data, Inc", "66540417", "Marketplace"),
    Decimal("139"), "1 Year Subscription", "Skylark Mail Archive",
)  # fmt: skip


def other_lines(purchase: OtherPurchase, month: Span, invoice_number: str) -> list[ReconLine]:
    """The charge of a purchase whose cycle begins in `month`; priced in US dollars like all of Azure."""
    index = 0
    while (billed := cycle(purchase.start, index, 1)).end < month.start or billed.start < month.start:
        index += 1
    if billed.start > month.end or (purchase.vanishes_on is not None and billed.start >= purchase.vanishes_on):
        return []
    offer = _RESERVATION if purchase.is_reservation else _MARKETPLACE
    customer, years = purchase.customer, index // 12
    term = Span(add_months(purchase.start, 12 * years), add_months(purchase.start, 12 * years + 12) - DAY)
    quantity, rate = Decimal(purchase.quantity), dollar_rate(customer.market, month)
    subtotal = subtotal_of_licence(Fraction(offer.price), quantity, rate)
    tax_total = tax_of(subtotal, customer.tax_rate)
    charge_type = "cycleCharge" if index % 12 else ("renew" if index else "new")
    return [
        ReconLine(
            customer=customer,
            invoice_number=invoice_number,
            order_id=purchase.order_id,
            order_date=datetime.combine(term.start, time(9, 30, 12, 604592)),
            product=offer.product,
            charge_type=charge_type,
            unit_price=offer.price,
            effective_unit_price=offer.price,
            billable_quantity=quantity,
            quantity=quantity,
            subtotal=subtotal,
            tax_total=tax_total,
            total=subtotal + tax_total,
            subscription_id=purchase.id,
            description=offer.description,
            charge_start=billed.start,
            charge_end=billed.end,
            subscription_start=term.start,
            subscription_end=term.end,
            term_text=offer.term_text,
            frequency="Monthly",
            pricing_currency="USD",
            rate=rate,
            rate_date=rate_day(rate, month),
            reservation_order_id=purchase.reservation_order_id,
            reference_id=guid(Random(f"{purchase.id}/{index}")),
        )
    ]
