"""Deals out a month's portfolio: every kind of event that a month can show is somebody's story.

The stories are dealt out in turn, so that each occurs whatever the number of customers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from examples import catalogue as listed
from examples.catalogue import Sku
from examples.customers import Customer, make_customers, make_partner
from examples.dates import Span, add_months, cycle
from examples.numbers import guid
from examples.portfolio import AzurePlan, Event, OtherPurchase, Plan, Portfolio, Promotion, Subscription


class Builder:
    """Deals subscriptions out.

    Attributes:
        month: the month whose events are to be seen.
        repriced_on: the day from which the new price of the repriced SKU is valid.
    """

    def __init__(self, random: Random, month: Span, portfolio: Portfolio, repriced_on: date) -> None:
        self.random, self.month, self.portfolio, self.repriced_on = random, month, portfolio, repriced_on

    def order_id(self) -> str:
        return f"{self.random.getrandbits(48):012x}"

    def day_months_ago(self, months: int, earliest: int = 1, latest: int = 28) -> date:
        start = add_months(self.month.start, -months)
        return start.replace(day=earliest + self.random.randrange(latest - earliest + 1))

    def subscribe(
        self,
        customer: Customer,
        sku: Sku,
        plan: Plan,
        start: date,
        *,
        seats: int = 0,
        anchor: date | None = None,
        events: tuple[Event, ...] = (),
        promotion: Promotion | None = None,
        first_charge: str = "new",
        trial_until: date | None = None,
        last_day: date | None = None,
    ) -> None:
        nickname = sku.title if self.random.randrange(4) else f"{sku.title} ({customer.domain.split('.')[0]}, siège)"
        self.portfolio.subscriptions.append(
            Subscription(
                guid(self.random), customer, sku, plan, start, seats or 2 + self.random.randrange(60), nickname,
                self.order_id(), anchor or start, events, promotion, first_charge, trial_until, last_day,
            )
        )

    def event_day(self, start: date, months: int = 1) -> date:
        """A day of the month that is inside a cycle: at least a week before its end, and not its first."""
        days = [self.month.start + timedelta(days=n) for n in range(2, self.month.days - 1)]
        inside = [day for day in days if _days_to_cycle_end(start, day, months) >= 7 and day.day != start.day]
        return self.random.choice(inside)

    def pick(self, skus: tuple[Sku, ...]) -> Sku:
        return skus[self.random.randrange(len(skus))]


def _days_to_cycle_end(anchor: date, day: date, months: int) -> int:
    index = 0
    while cycle(anchor, index, months).end < day:
        index += 1
    return (cycle(anchor, index, months).end - day).days


def make_portfolio(random: Random, month: Span, count: int) -> Portfolio:
    """A portfolio of `count` customers whose events fall into `month`; terms started before it or in it."""
    portfolio = Portfolio(make_partner(random), make_customers(random, count))
    builder = Builder(random, month, portfolio, listed.repriced_on(month.start))
    for customer in portfolio.customers:
        ordinary_subscriptions(builder, customer)
    stories = (*_SOON_DAMAGED, *STORIES)
    for turn in range(max(count, len(stories))):
        stories[turn % len(stories)](builder, portfolio.customers[turn % count])
    for index, customer in enumerate(portfolio.customers):
        if index % 4 != 2:
            azure_plan(builder, customer, index)
    return portfolio


def ordinary_subscriptions(builder: Builder, customer: Customer) -> None:
    """What every customer has: four to six annual terms billed monthly, and a monthly term."""
    own = {"Education": listed.EDUCATION, "Charity": listed.CHARITY}.get(customer.segment, listed.COMMERCIAL)
    for number in range(4 + builder.random.randrange(3)):
        # One in five is renewed in the month itself, twelve months after its start.
        months = 12 if number == 1 else 1 + builder.random.randrange(11)
        builder.subscribe(customer, builder.pick(own), listed.MONTHLY_OF_YEAR, builder.day_months_ago(months))
    builder.subscribe(customer, builder.pick(own), listed.MONTH, builder.day_months_ago(3))


def _bought_now(builder: Builder, customer: Customer) -> None:
    plan = listed.MONTHLY_OF_YEAR if builder.random.randrange(2) else listed.ANNUAL
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), plan, builder.day_months_ago(0))


def _coterminous(builder: Builder, customer: Customer) -> None:
    """Bought mid-month with an end aligned to a month's end: the first cycle is charged in part."""
    start = builder.day_months_ago(0, 6, 18)
    anchor = add_months(builder.month.start, -builder.random.randrange(11))
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, anchor=anchor)


def _seats_added(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(2 + builder.random.randrange(9))
    seats = 5 + builder.random.randrange(40)
    event = Event(builder.event_day(start), "addQuantity", seats + 1 + builder.random.randrange(9))
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, seats=seats, events=(event,)
    )


def _seats_added_twice(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(4, 1, 2)
    days = [builder.month.start + timedelta(days=6), builder.month.start + timedelta(days=15)]
    events = (Event(days[0], "addQuantity", 15), Event(days[1], "addQuantity", 25))
    builder.subscribe(customer, listed.BEFORE_UPGRADE, listed.MONTHLY_OF_YEAR, start, seats=10, events=events)


def _seats_added_to_annual(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(5)
    event = Event(builder.event_day(start, 12), "addQuantity", 14)
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, start, seats=11, events=(event,))


def _seats_removed(builder: Builder, customer: Customer) -> None:
    """Seats can only be removed in the first seven days of a term."""
    start = builder.day_months_ago(12, 2, 18)
    renewal = add_months(start, 12)
    event = Event(renewal + timedelta(days=3 + builder.random.randrange(4)), "removeQuantity", 8)
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, seats=12, events=(event,)
    )


def _cancelled(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(12, 2, 18)
    event = Event(add_months(start, 12) + timedelta(days=2 + builder.random.randrange(4)), "cancelImmediate")
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, events=(event,))


def _upgraded(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(3)
    event = Event(builder.event_day(start), "convert", sku=listed.AFTER_UPGRADE)
    builder.subscribe(customer, listed.BEFORE_UPGRADE, listed.MONTHLY_OF_YEAR, start, events=(event,))


def _plan_changed(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(1)
    event = Event(add_months(start, 1), "changeBillingPlan", plan=listed.ANNUAL)
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, events=(event,))


def _trial(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(0)
    builder.subscribe(customer, listed.TRIALS[1], listed.TRIAL, start, seats=25)


def _trial_bought(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(1, 12, 26)
    bought = builder.month.start + timedelta(days=4 + builder.random.randrange(5))
    builder.subscribe(customer, listed.TRIALS[0], listed.TRIAL, start, seats=25, trial_until=bought)
    builder.subscribe(
        customer, listed.COMMERCIAL[2], listed.MONTHLY_OF_YEAR, bought, seats=25, first_charge="convert"
    )


def _promoted(builder: Builder, customer: Customer) -> None:
    sku = builder.pick(listed.COMMERCIAL)
    promotion_id = f"{sku.product_id}:{sku.padded_id}:39NFJQT1PL8R"
    promotion = Promotion(promotion_id, Decimal("0.85"), "15.0% Promotional discount")
    builder.subscribe(
        customer, sku, listed.MONTHLY_OF_YEAR, builder.day_months_ago(1 + builder.random.randrange(8)),
        promotion=promotion,
    )


def _three_years(builder: Builder, customer: Customer) -> None:
    long = tuple(sku for sku in listed.COMMERCIAL if listed.TRIENNIAL in sku.plans)
    builder.subscribe(customer, builder.pick(long), listed.THREE_MONTHLY, builder.day_months_ago(20), seats=12)
    builder.subscribe(customer, builder.pick(long), listed.THREE_ANNUAL, builder.day_months_ago(24), seats=7)
    builder.subscribe(customer, builder.pick(long), listed.TRIENNIAL, builder.day_months_ago(36), seats=5)


def _month_end(builder: Builder, customer: Customer) -> None:
    """Bought on a 31st, so that its cycles end where the months are shorter."""
    lasts = [add_months(builder.month.start, 1 - months) - timedelta(days=1) for months in range(1, 12)]
    start = builder.random.choice([day for day in lasts if day.day == 31])
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start)


def _annual_renewed(builder: Builder, customer: Customer) -> None:
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, builder.day_months_ago(12))


def _around_the_repricing(builder: Builder, customer: Customer) -> None:
    """Three terms: under the old price, in the days when both rows are valid, and under the new price."""
    switch = builder.repriced_on
    for start in (switch - timedelta(days=40), switch + timedelta(days=1), switch + timedelta(days=9)):
        builder.subscribe(customer, listed.REPRICED, listed.MONTHLY_OF_YEAR, start)


def _two_segments(builder: Builder, customer: Customer) -> None:
    segment = 1 if customer.segment == "Charity" else 0
    builder.subscribe(customer, listed.SHARED[segment], listed.MONTHLY_OF_YEAR, builder.day_months_ago(6))


def _charity_of_two_segments(builder: Builder, customer: Customer) -> None:
    charities = [c for c in builder.portfolio.customers if c.segment == "Charity"]
    if charities:
        builder.subscribe(charities[0], listed.SHARED[1], listed.MONTHLY_OF_YEAR, builder.day_months_ago(7))
    builder.subscribe(customer, listed.SHARED[0], listed.MONTHLY_OF_YEAR, builder.day_months_ago(4))


def _soon_withdrawn(builder: Builder, customer: Customer) -> None:
    builder.subscribe(customer, listed.WITHDRAWN, listed.MONTHLY_OF_YEAR, builder.day_months_ago(7))


def _soon_raised(builder: Builder, customer: Customer) -> None:
    builder.subscribe(customer, listed.RAISED, listed.MONTHLY_OF_YEAR, builder.day_months_ago(5))


def _reserved(builder: Builder, customer: Customer) -> None:
    purchase(builder, customer, is_reservation=True)


def _marketplace(builder: Builder, customer: Customer) -> None:
    purchase(builder, customer, is_reservation=False)


def purchase(builder: Builder, customer: Customer, *, is_reservation: bool) -> None:
    """A reservation or a marketplace subscription, bought four months ago."""
    builder.portfolio.other_purchases.append(
        OtherPurchase(
            guid(builder.random), customer, builder.order_id(), is_reservation, builder.day_months_ago(4),
            1 + builder.random.randrange(3), guid(builder.random) if is_reservation else "",
        )
    )


def azure_plan(builder: Builder, customer: Customer, index: int) -> None:
    """An Azure plan with one or two Azure subscriptions; every fifth customer has credit."""
    random = builder.random
    names = ("Production", "Dev/Test, EU", "Backup & DR")
    entitlements = tuple((guid(random), names[n]) for n in range(1 + random.randrange(2)))
    builder.portfolio.azure_plans.append(
        AzurePlan(
            guid(random), customer, builder.order_id(), builder.month.start - timedelta(days=200), entitlements,
            index % 5 == 0, guid(random),
        )
    )


Story = Callable[[Builder, Customer], None]
_SOON_DAMAGED: tuple[Story, ...] = (
    _soon_withdrawn, _soon_withdrawn, _soon_withdrawn, _soon_raised, _soon_raised, _soon_raised,
)  # fmt: skip
STORIES: tuple[Story, ...] = (
    _coterminous, _seats_added, _seats_removed, _promoted, _cancelled, _upgraded,
    _reserved, _reserved, _trial, _trial_bought, _three_years, _marketplace,
    _bought_now, _seats_added_twice, _plan_changed, _two_segments, _month_end, _around_the_repricing,
    _annual_renewed, _seats_added_to_annual, _charity_of_two_segments, _seats_added, _coterminous, _bought_now,
)
