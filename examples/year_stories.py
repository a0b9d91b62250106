"""Deals out the portfolio of several months: the stories of a month, spread over them, and those that take longer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from examples import catalogue as listed
from examples.customers import Customer, make_customers, make_partner
from examples.dates import DAY, Span, add_months
from examples.numbers import guid
from examples.portfolio import Event, Portfolio, Promotion
from examples.stories import STORIES, Builder, Story, azure_plan, ordinary_subscriptions, purchase
from examples.year_catalogue import repriced_on

_ROUNDS = 2
_AZURE_EVERY = 3


def make_year_portfolio(random: Random, months: Sequence[Span], count: int) -> Portfolio:
    """A portfolio of `count` customers with something going on in each of these months."""
    portfolio = Portfolio(make_partner(random), make_customers(random, count))
    builder = Builder(random, months[0], portfolio, repriced_on(months))
    for customer in portfolio.customers:
        ordinary_subscriptions(builder, customer)
    turns = [story for _ in range(_ROUNDS) for story in (*STORIES, *_LONG_STORIES)]
    for turn, story in enumerate(turns):
        builder.month = months[turn % len(months)]
        story(builder, portfolio.customers[turn % count])
    builder.month = months[0]
    for story in _FROM_THE_FIRST_MONTH:
        for customer in portfolio.customers[: count // 3]:
            story(builder, customer)
    for index, customer in enumerate(portfolio.customers):
        if index % _AZURE_EVERY == 0:
            azure_plan(builder, customer, index)
    _purchases_in_foreign_currency(builder)
    return portfolio


def _expired(builder: Builder, customer: Customer) -> None:
    """Not renewed: the term ends in the month, and nothing follows."""
    start = builder.day_months_ago(12, 2, 27)
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start,
        last_day=add_months(start, 12) - DAY,
    )  # fmt: skip


def _cancelled_at_once(builder: Builder, customer: Customer) -> None:
    """Bought and given back within the first week."""
    start = builder.day_months_ago(0, 3, 20)
    event = Event(start + timedelta(days=1 + builder.random.randrange(5)), "cancelImmediate")
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, events=(event,))


def _annual_cancelled(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(12, 3, 20)
    event = Event(add_months(start, 12) + timedelta(days=4), "cancelImmediate")
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, start, events=(event,))


def _monthly_cancelled(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(3, 3, 20)
    event = Event(add_months(start, 3) + timedelta(days=3), "cancelImmediate")
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTH, start, events=(event,))


def _annual_seats_removed(builder: Builder, customer: Customer) -> None:
    """Renewed near the month's end; the seats go a few days later, in the next month."""
    start = builder.day_months_ago(12, 27, 28)
    event = Event(add_months(start, 12) + timedelta(days=6), "removeQuantity", 9)
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, start, seats=14, events=(event,))


def _seats_added_under_promotion(builder: Builder, customer: Customer) -> None:
    """The promotion holds for seats added in its term, and ends when the term is renewed."""
    sku, start = builder.pick(listed.COMMERCIAL), builder.day_months_ago(4)
    promotion_id = f"{sku.product_id}:{sku.padded_id}:39NFJQT1PM2S"
    promotion = Promotion(promotion_id, Decimal("0.8"), "20.0% Promotional discount")
    event = Event(builder.event_day(start), "addQuantity", 17)
    builder.subscribe(
        customer, sku, listed.MONTHLY_OF_YEAR, start, seats=13, events=(event,), promotion=promotion
    )


def _promotion_over(builder: Builder, customer: Customer) -> None:
    sku = builder.pick(listed.COMMERCIAL)
    promotion_id = f"{sku.product_id}:{sku.padded_id}:39NFJQT1PL8R"
    promotion = Promotion(promotion_id, Decimal("0.85"), "15.0% Promotional discount")
    builder.subscribe(customer, sku, listed.MONTHLY_OF_YEAR, builder.day_months_ago(12), promotion=promotion)


def _coterminous_with_a_mid_month_end(builder: Builder, customer: Customer) -> None:
    anchor = builder.day_months_ago(5, 18, 26)
    start = builder.day_months_ago(0, 4, 15)
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, anchor=anchor)


def _coterminous_annual(builder: Builder, customer: Customer) -> None:
    anchor = add_months(builder.month.start, -7)
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, builder.day_months_ago(0, 5, 25), anchor=anchor
    )


def _plan_changed_late(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(7)
    event = Event(add_months(start, 7), "changeBillingPlan", plan=listed.ANNUAL)
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, events=(event,))


def _monthly_at_month_end(builder: Builder, customer: Customer) -> None:
    """A monthly term bought on a 31st, renewed on the last days of the shorter months."""
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.MONTH, _a_31st(builder.month.start))


def _annual_at_month_end(builder: Builder, customer: Customer) -> None:
    start = _a_31st(add_months(builder.month.start, -1))
    builder.subscribe(customer, builder.pick(listed.COMMERCIAL), listed.ANNUAL, start)


def _a_31st(before: date) -> date:
    """The last 31st before a day."""
    day = before - DAY
    while day.day != 31:
        day -= DAY
    return day


def _seats_added_and_upgraded(builder: Builder, customer: Customer) -> None:
    """More seats in one month, another product two months later."""
    start = builder.day_months_ago(3, 1, 5)
    first = start.replace(day=12)
    events = (
        Event(first, "addQuantity", 12),
        Event(add_months(first, 2), "convert", sku=listed.AFTER_UPGRADE),
    )
    builder.subscribe(customer, listed.BEFORE_UPGRADE, listed.MONTHLY_OF_YEAR, start, seats=9, events=events)


def _seats_added_twice_in_a_day(builder: Builder, customer: Customer) -> None:
    """And once more on the first day of a cycle."""
    start = builder.day_months_ago(4, 3, 9)
    events = (
        Event(add_months(start, 4), "addQuantity", 12),
        Event(builder.month.start.replace(day=19), "addQuantity", 15),
        Event(builder.month.start.replace(day=19), "addQuantity", 21),
    )
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, seats=10, events=events
    )


def _seats_removed_on_the_day_of_renewal(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(12, 3, 25)
    event = Event(add_months(start, 12), "removeQuantity", 6)
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, seats=11, events=(event,)
    )


def _seats_moved(builder: Builder, customer: Customer) -> None:
    """Some seats are upgraded to a subscription that is there already; its cycles begin on other days."""
    reference_id = guid(builder.random)
    on = builder.month.start.replace(day=15)
    for sku, seats, moved, earliest in ((listed.BEFORE_UPGRADE, 20, 12, 2), (listed.AFTER_UPGRADE, 5, 13, 20)):
        event = Event(on, "moveQuantity", moved, reference_id=reference_id)
        start = builder.day_months_ago(5, earliest, earliest + 5)
        builder.subscribe(customer, sku, listed.MONTHLY_OF_YEAR, start, seats=seats, events=(event,))


def _renewed_as_something_else(builder: Builder, customer: Customer) -> None:
    """Another product, another billing plan and fewer seats, all from the renewal on."""
    start = builder.day_months_ago(12)
    event = Event(add_months(start, 12), "renew", 7, sku=listed.COMMERCIAL[2], plan=listed.ANNUAL)
    builder.subscribe(customer, listed.COMMERCIAL[1], listed.MONTHLY_OF_YEAR, start, seats=9, events=(event,))
    fewer = Event(add_months(start, 12), "renew", 4)
    builder.subscribe(
        customer, builder.pick(listed.COMMERCIAL), listed.MONTHLY_OF_YEAR, start, seats=9, events=(fewer,)
    )


def _trial_made_longer(builder: Builder, customer: Customer) -> None:
    start = builder.day_months_ago(1)
    event = Event(add_months(start, 1), "extendTerm")
    builder.subscribe(customer, listed.TRIALS[1], listed.TRIAL, start, seats=25, events=(event,))


def _no_longer_sold(builder: Builder, customer: Customer) -> None:
    """Leaves the lists in the midst of the term, whose price holds, and cannot be renewed."""
    start = builder.day_months_ago(2, 2, 27)
    builder.subscribe(
        customer, listed.WITHDRAWN, listed.MONTHLY_OF_YEAR, start, last_day=add_months(start, 12) - DAY
    )


def _raised_in_mid_term(builder: Builder, customer: Customer) -> None:
    """The list's price rises in the midst of the term; UnitPrice stays until the renewal."""
    builder.subscribe(customer, listed.RAISED, listed.MONTHLY_OF_YEAR, builder.day_months_ago(5))


def _bought_in_mid_year(builder: Builder, customer: Customer) -> None:
    start = add_months(builder.day_months_ago(0, 2, 24), 4)
    builder.subscribe(customer, listed.PAUSED, listed.MONTHLY_OF_YEAR, start)


def _purchases_in_foreign_currency(builder: Builder) -> None:
    """Reservations and marketplace subscriptions of customers whose billing currency is not the dollar."""
    for customer in builder.portfolio.customers:
        if customer.market.currency != "USD":
            purchase(builder, customer, is_reservation=False)
            purchase(builder, customer, is_reservation=True)


_LONG_STORIES: tuple[Story, ...] = (
    _expired, _cancelled_at_once, _annual_cancelled, _monthly_cancelled, _annual_seats_removed,
    _seats_added_under_promotion, _promotion_over, _coterminous_with_a_mid_month_end, _coterminous_annual,
    _plan_changed_late, _monthly_at_month_end, _annual_at_month_end, _seats_added_and_upgraded,
    _seats_added_twice_in_a_day, _seats_removed_on_the_day_of_renewal, _seats_moved, _renewed_as_something_else,
    _trial_made_longer,
)  # fmt: skip
_FROM_THE_FIRST_MONTH: tuple[Story, ...] = (_no_longer_sold, _raised_in_mid_term, _bought_in_mid_year)
