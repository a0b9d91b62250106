"""The licence lines of a month, rendered from the history of each subscription."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import count
from random import Random

from examples.catalogue import CYCLE_MONTHS, RAISED, TERM_MONTHS, WITHDRAWN, Catalogue, PriceRow, Sku
from examples.dates import DAY, Span, add_months, cycle
from examples.lines import Product, ReconLine
from examples.numbers import (
    CENT,
    decimal,
    guid,
    printed_licence_price,
    printed_seat_change_price,
    subtotal_of_licence,
    subtotal_of_seat_change,
    tax_of,
)
from examples.portfolio import UNEXPLAINED, Event, Plan, Subscription

TERM_TEXTS = {
    "P1M": "One-Month commitment for monthly billing",
    "P1Y": "One-Year commitment for monthly/yearly billing",
    "P3Y": "Three-3 Years commitment for monthly/3 Years/yearly billing",
}
TRIAL_TEXT = "One-Month commitment for trial"
_SEAT_CHANGES = ("addQuantity", "removeQuantity", "moveQuantity")
_NO_PAIR = (UNEXPLAINED, "renew", "changeBillingPlan")


@dataclass(frozen=True)
class _Standing:
    """How a subscription stands: what it is, how many seats, its term, and what it is priced by."""

    sku: Sku
    plan: Plan
    seats: int
    term: Span
    price: PriceRow


def licence_lines(subscription: Subscription, prices: Catalogue, span: Span) -> list[ReconLine]:
    """The lines of one subscription whose charge begins in `span`, in the order of the events, on no invoice yet."""
    renderer = _Renderer(subscription, prices)
    lines = renderer.trial() if subscription.sku.erp == 0 else renderer.history(span.end)
    gone = subscription.vanishes_on or span.end + DAY
    return [line for line in lines if line.charge_start in span and line.charge_start < gone]


class _Renderer:
    def __init__(self, subscription: Subscription, prices: Catalogue) -> None:
        self.subscription, self.prices = subscription, prices
        # What is random about a line depends on its subscription alone, so that every rendering gives the same.
        self.random = Random(subscription.id)

    def history(self, until: date) -> Iterator[ReconLine]:
        """All lines from the subscription's start to `until`."""
        sub = self.subscription
        sku, plan, seats = sub.sku, sub.plan, sub.seats
        for number in count():
            whole = cycle(sub.anchor, number, TERM_MONTHS[plan[0]])
            term = Span(max(whole.start, sub.start), whole.end)
            if term.start > until or (sub.last_day is not None and term.start > sub.last_day):
                return
            renewed = next((e for e in sub.events if e.charge_type == "renew" and e.on == term.start), None)
            if renewed is not None:
                sku, plan, seats = renewed.sku or sku, renewed.plan or plan, renewed.seats or seats
            now = _Standing(sku, plan, seats, term, self._price(sku, plan, term.start))
            for line, standing in self._term(now, whole.start, number, until):
                if line is not None:
                    yield line
                if standing is None:
                    return
                sku, plan, seats = standing.sku, standing.plan, standing.seats

    def _term(
        self, now: _Standing, anchor: date, number: int, until: date
    ) -> Iterator[tuple[ReconLine | None, _Standing | None]]:
        """The lines of one term, each with the standing after it (None: cancelled)."""
        index, events = 0, [e for e in self.subscription.events if e.on in now.term]
        while (full := cycle(anchor, index, CYCLE_MONTHS[now.plan[1]])).start <= min(now.term.end, until):
            index += 1
            if full.end < now.term.start:
                continue
            billed = Span(max(full.start, now.term.start), min(full.end, now.term.end))
            change = next((e for e in events if e.charge_type == "changeBillingPlan" and e.on == billed.start), None)
            if change is not None:
                now = replace(now, plan=change.plan or now.plan)
                now = replace(now, price=self._price(now.sku, now.plan, now.term.start))
                yield self._plan_change(now, Span(billed.start, now.term.end), anchor), now
                return
            unexplained = next((e for e in events if e.charge_type == UNEXPLAINED and e.on == billed.start), None)
            if unexplained is not None:
                now = replace(now, seats=unexplained.seats)
            charge = self._cycle_charge(now, billed, full, number)
            yield charge, now
            ordered = charge.order_date
            for event in (e for e in events if e.on in billed and e.on <= until and e.charge_type not in _NO_PAIR):
                rest = Span(event.on, billed.end)
                for line, standing in self._event(now, event, rest, full, number, ordered):
                    ordered = line.order_date
                    yield line, standing
                    if standing is None:
                        return
                    now = standing

    def _cycle_charge(self, now: _Standing, billed: Span, full: Span, number: int) -> ReconLine:
        sub = self.subscription
        if billed.start != now.term.start:
            charge_type = "cycleCharge"
        elif number == 0:
            charge_type = sub.first_charge
        else:
            charge_type = "renew"
        exact = self._paid(now, number) * billed.days / full.days
        line = self._promoted(self._line(now, charge_type, billed, exact, now.seats), number)
        line.is_full_cycle, line.is_last = billed == full, billed.end == sub.last_day
        return line

    def _paid(self, now: _Standing, number: int) -> Fraction:
        """What a seat costs for a whole cycle: the list price, less the promotion in the first term."""
        price, promotion = now.price.unit_price_per_cycle, self.subscription.promotion
        if promotion is None or number:
            return Fraction(price)
        return Fraction((price * promotion.share).quantize(CENT, ROUND_HALF_UP))

    def _promoted(self, line: ReconLine, number: int) -> ReconLine:
        """The line, naming the promotion of its term."""
        promotion = self.subscription.promotion
        if promotion is not None and not number:
            line.promotion_id, line.adjustment = promotion.id, json.dumps([promotion.text])
        return line

    def _event(
        self, now: _Standing, event: Event, rest: Span, full: Span, number: int, ordered: datetime
    ) -> Iterator[tuple[ReconLine, _Standing | None]]:
        """A refund of the old and, unless cancelled, a charge of the new; both with one ReferenceId and OrderDate.

        `ordered` is when the event before was ordered: of several events on one day the later is ordered later.
        """
        share = Fraction(rest.days, full.days)
        exact = -self._paid(now, number) * share
        refund = self._promoted(self._line(now, event.charge_type, rest, exact, now.seats), number)
        refund.order_date = max(refund.order_date, ordered + timedelta(minutes=7))
        refund.reference_id = event.reference_id or refund.reference_id
        if event.charge_type == "cancelImmediate":
            yield refund, None
            return
        after = replace(now, seats=event.seats or now.seats)
        if event.sku is not None:
            term = Span(event.on, now.term.end)
            after = replace(after, sku=event.sku, term=term, price=self._price(event.sku, now.plan, event.on))
        exact = self._paid(after, number) * share
        charge = self._promoted(self._line(after, event.charge_type, rest, exact, after.seats), number)
        charge.reference_id, charge.order_date = refund.reference_id, refund.order_date
        # The file is not in chronological order: the charge may come before the refund.
        pair = [refund, charge] if self.random.randrange(3) else [charge, refund]
        yield pair[0], after
        yield pair[1], after

    def _plan_change(self, now: _Standing, rest: Span, anchor: date) -> ReconLine:
        """Monthly to annual: the remaining months at the annual price (documented: 250 x 11/12)."""
        elapsed = next(n for n in range(1, 12) if add_months(anchor, n) >= rest.start)
        exact = Fraction(now.price.unit_price_per_cycle) * (12 - elapsed) / 12
        return self._line(now, "changeBillingPlan", rest, exact, now.seats)

    def _line(self, now: _Standing, charge_type: str, billed: Span, exact: Fraction, seats: int) -> ReconLine:
        sub, customer = self.subscription, self.subscription.customer
        quantity = Decimal(seats)
        wide = bool(self.random.randrange(2))
        if charge_type in _SEAT_CHANGES:
            subtotal = subtotal_of_seat_change(exact, quantity)
            printed = printed_seat_change_price(exact, quantity, subtotal, wide)
        else:
            subtotal = subtotal_of_licence(exact, quantity)
            printed = printed_licence_price(exact, wide)
        tax_total = tax_of(subtotal, customer.tax_rate)
        return ReconLine(
            customer=customer,
            invoice_number="",
            order_id=sub.order_id,
            order_date=self._order_date(now, charge_type, billed),
            product=licence_product(now.sku),
            charge_type=charge_type,
            unit_price=now.price.unit_price_per_cycle,
            effective_unit_price=printed,
            billable_quantity=quantity,
            quantity=quantity,
            subtotal=subtotal,
            tax_total=tax_total,
            total=subtotal + tax_total,
            subscription_id=sub.id,
            description=sub.nickname,
            charge_start=billed.start,
            charge_end=billed.end,
            subscription_start=now.term.start,
            subscription_end=now.term.end,
            term_text=TERM_TEXTS[now.plan[0]],
            frequency=now.plan[1],
            pricing_currency=customer.market.currency,
            rate_date=billed.start.replace(day=1),
            reference_id=guid(self.random),
            price_row=now.price,
        )

    def _order_date(self, now: _Standing, charge_type: str, billed: Span) -> datetime:
        """An event has its own order date; a cycle charge that of the purchase or renewal."""
        day = now.term.start if charge_type in ("cycleCharge", "renew", "new") else billed.start
        moment = timedelta(seconds=self.random.randrange(86_400), microseconds=self.random.randrange(1_000_000))
        return datetime.combine(day, time()) + moment

    def _price(self, sku: Sku, plan: Plan, on: date) -> PriceRow:
        return self.prices.price(sku, *plan, self.subscription.customer.market, on)

    def trial(self) -> Iterator[ReconLine]:
        """A trial's lines, all at 0: one at its start, one when it is made longer, two when it becomes paid."""
        sub = self.subscription
        term = Span(sub.start, add_months(sub.start, 1) - DAY)
        now = _Standing(sub.sku, sub.plan, sub.seats, term, self._price(sub.sku, sub.plan, sub.start))
        charges = [("new", term)]
        for event in sub.events:
            term = Span(sub.start, add_months(sub.start, 2) - DAY)
            charges.append((event.charge_type, Span(event.on, term.end)))
        if sub.trial_until is not None:
            charges += [("convert", Span(sub.trial_until, term.end))] * 2
        for charge_type, billed in charges:
            now = replace(now, term=Span(sub.start, max(now.term.end, billed.end)))
            line = self._line(now, charge_type, billed, Fraction(0), sub.seats)
            line.term_text, line.frequency, line.qualifiers = TRIAL_TEXT, "", '["Trial"]'
            yield line


def licence_product(sku: Sku) -> Product:
    """The product columns of a licence; Microsoft's publisher name is the one of licences."""
    availability = f"CFQ7TTC0{Random(sku.product_id + sku.sku_id).getrandbits(16):04X}"
    return Product(
        sku.product_id, sku.padded_id, availability, sku.title, sku.product_title, "Microsoft Corporation", "",
        sku.category,
    )


def service_credit_lines(lines: list[ReconLine], invoice_number: str) -> list[ReconLine]:
    """Credits for two licences' cycle before this month's, at a quarter of the price, under a credit note's number."""
    candidates = [
        line for line in lines
        if line.charge_type == "cycleCharge" and line.is_full_cycle and not line.promotion_id
        and line.subscription_start is not None and line.subscription_start <= add_months(line.charge_start, -1)
        and line.frequency == "Monthly" and line.price_row is not None
        and line.price_row.sku not in (WITHDRAWN, RAISED)
    ]
    first = candidates[0]
    other = next((line for line in candidates if line.customer != first.customer), candidates[-1])
    return [_service_credit(line, invoice_number) for line in (first, other)]


def _service_credit(line: ReconLine, invoice_number: str) -> ReconLine:
    price = -decimal(Fraction(line.unit_price) / 4, 4)
    subtotal = subtotal_of_seat_change(Fraction(price), line.billable_quantity)
    tax_total = tax_of(subtotal, line.customer.tax_rate)
    return replace(
        line,
        invoice_number=invoice_number,
        charge_type="customerCredit",
        effective_unit_price=price,
        subtotal=subtotal,
        tax_total=tax_total,
        total=subtotal + tax_total,
        charge_start=add_months(line.charge_start, -1),
        charge_end=line.charge_start - DAY,
        credit_reason="Service Level Agreement Credit",
        reference_id=guid(Random(line.reference_id)),
        is_full_cycle=False,
        damage={},
    )
