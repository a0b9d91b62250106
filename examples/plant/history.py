"""Discrepancies that a month shows only against the one before: planted into the portfolio, so that they last.

A subscription that vanishes stays away, seats that changed without a word stay changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from random import Random

from examples.catalogue import MONTHLY_OF_YEAR, PAUSED, RAISED, WITHDRAWN
from examples.dates import Span, cycle
from examples.lines import ReconLine, UsageRow
from examples.meters import BY_ID, MICROSOFT
from examples.portfolio import UNEXPLAINED, Event, Portfolio, Subscription
from examples.truth import Planted

_EACH = 2
_TERM_CYCLES = 12


@dataclass
class History:
    """What was planted into a portfolio.

    Attributes:
        vanished: the day from which the exports leave a subscription out, by subscription.
        changed: the day from which its seats differ, by subscription.
        without_access: days without earned credit, by Azure plan.
    """

    vanished: dict[str, date] = field(default_factory=dict)
    changed: dict[str, date] = field(default_factory=dict)
    without_access: dict[str, frozenset[date]] = field(default_factory=dict)

    @property
    def subscriptions(self) -> frozenset[str]:
        """Subscriptions at which nothing else is to be planted."""
        return frozenset({*self.vanished, *self.changed})


def plant_history(random: Random, portfolio: Portfolio, months: Sequence[Span]) -> History:
    """Plant into a portfolio, in place: two subscriptions of each kind a month from the second on, and Azure plans."""
    history = History()
    quiet = [sub for sub in portfolio.subscriptions if _is_quiet(sub, months[0])]
    random.shuffle(quiet)
    for month in months[1:]:
        for sub, _ in _take(quiet, month, _EACH):
            history.vanished[sub.id] = month.start
            _replace(portfolio, replace(sub, vanishes_on=month.start))
        for place, (sub, on) in enumerate(_take(quiet, month, _EACH)):
            history.changed[sub.id] = on
            seats = sub.seats + 1 + random.randrange(5) if place else max(1, sub.seats - 1 - random.randrange(5))
            _replace(portfolio, replace(sub, events=(Event(on, UNEXPLAINED, seats),)))
    _vanish_purchase(portfolio, months, history)
    for index, month in enumerate(months):
        place = index % len(portfolio.azure_plans)
        plan = portfolio.azure_plans[place]
        day = month.start.replace(day=2 + random.randrange(25))
        plan = replace(plan, without_access=plan.without_access | {day})
        portfolio.azure_plans[place] = plan
        history.without_access[plan.id] = plan.without_access
    return history


def _is_quiet(sub: Subscription, first: Span) -> bool:
    """Whether a subscription was there before the first month and nothing happens to it but renewals."""
    return (
        not sub.events
        and sub.promotion is None
        and sub.last_day is None
        and sub.plan == MONTHLY_OF_YEAR
        and sub.sku not in (WITHDRAWN, RAISED, PAUSED)
        and sub.anchor == sub.start < first.start
    )


def _take(quiet: list[Subscription], month: Span, wanted: int) -> Iterator[tuple[Subscription, date]]:
    """Subscriptions with a cycle that begins in the month and is not the first of a term, with its first day."""
    found = [(sub, on) for sub in quiet if (on := _cycle_start(sub, month)) is not None][:wanted]
    if len(found) < wanted:
        raise ValueError("too few customers for the discrepancies to be planted")
    for sub, on in found:
        quiet.remove(sub)
        yield sub, on


def _cycle_start(sub: Subscription, month: Span) -> date | None:
    for index in count():
        start = cycle(sub.anchor, index, 1).start
        if start >= month.start:
            return start if start in month and index % _TERM_CYCLES else None
    raise AssertionError("cycles never end")


def _replace(portfolio: Portfolio, changed: Subscription) -> None:
    place = next(place for place, sub in enumerate(portfolio.subscriptions) if sub.id == changed.id)
    portfolio.subscriptions[place] = changed


def _vanish_purchase(portfolio: Portfolio, months: Sequence[Span], history: History) -> None:
    """A marketplace subscription vanishes as well, in the middle of the months."""
    month = months[len(months) // 2]
    place = next(
        place for place, item in enumerate(portfolio.other_purchases)
        if not item.is_reservation and item.start < months[0].start
    )  # fmt: skip
    purchase = portfolio.other_purchases[place]
    portfolio.other_purchases[place] = replace(purchase, vanishes_on=month.start)
    history.vanished[purchase.id] = month.start


def history_findings(
    history: History, month: Span, lines: list[ReconLine], usage: list[UsageRow], previous: list[ReconLine]
) -> Iterator[Planted]:
    """What a month shows of the planted history; `previous` are the lines of the month before."""
    for line in previous:
        if history.vanished.get(line.subscription_id) == month.start and line.charge_type != "customerCredit":
            yield Planted("SUBSCRIPTION_DROPPED", "the exports leave it out from now on", "", about=line)
    for line in lines:
        if history.changed.get(line.subscription_id) == line.charge_start and line.charge_type == "cycleCharge":
            note = f"{line.billable_quantity} seats, and no line says why"
            yield Planted("QUANTITY_CHANGED", note, line.invoice_number, line)
    for row in usage:
        if row.usage_date in history.without_access.get(row.subscription_id, ()) and _earns(row):
            note = "the partner has no access on that day"
            yield Planted("PEC_MISSING", note, row.invoice_number, row)


def _earns(row: UsageRow) -> bool:
    meter = BY_ID[row.meter_id]
    charged = row.effective_unit_price > 0
    return meter.earns_credit and charged and meter.product.publisher_name == MICROSOFT
