"""Term, billing plan and charge cycle of a licence line.

`TermAndBillingCycle` is free text that names the term but seldom the plan ("One-Year commitment for monthly/yearly
billing"), so the plan comes from BillingFrequency or from how long the charge is. A charge cycle runs from the
anniversary day of the term to the day before the next one, clipped to the end of short months: an annual term
bought on 31 January is billed 31 January to 27 February, 28 February to 30 March … (documented).
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

#: Months of a term and of a billing plan.
TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36, "P5Y": 60}
PLAN_MONTHS = {"Monthly": 1, "Annual": 12, "Triennial": 36}

_TERM_TEXTS = (
    *((re.compile(rf"\b{term.lower()}\b"), term) for term in TERM_MONTHS),
    (re.compile(r"\b(three|3)\b[ -]*(3 )?[ -]*year"), "P3Y"),
    (re.compile(r"\b(five|5)\b[ -]*(5 )?[ -]*year"), "P5Y"),
    (re.compile(r"\b(one|1)\b[ -]*year"), "P1Y"),
    (re.compile(r"\b(one|1)\b[ -]*month"), "P1M"),
)
_FREQUENCIES = {
    "monthly": "Monthly",
    "annual": "Annual",
    "annually": "Annual",
    "yearly": "Annual",
    "triennial": "Triennial",
    "3 years": "Triennial",
    "three years": "Triennial",
}


class Cycle(NamedTuple):
    """Term and charge cycle of a line, as a price list row would be for it.

    Attributes:
        term: term duration as the price list writes it.
        plan: billing plan as the price list writes it.
        per_term: charge cycles in a whole term; the price list's price covers all of them.
        billed: days charged for, both ends included; months of a charge that is prorated by months.
        full: days (months) of the whole charge cycle; more than `billed` where the charge is prorated.
        fee: what is added to the list price, as a fraction of it.
        unit: what `billed` and `full` count.
    """

    term: str
    plan: str
    per_term: int
    billed: int
    full: int
    fee: Decimal = Decimal(0)
    unit: str = "days"


class ChargeDates(NamedTuple):
    """The dates of a line: the days charged for and the term, ends inclusive.

    `by_months` says that a part of a longer cycle is charged by whole months, as after a change of the billing plan
    (documented: 250 × 11/12 for an annual plan after one month).
    """

    charge_start: date | None
    charge_end: date | None
    term_start: date | None
    term_end: date | None
    by_months: bool = False


def cycles_of(text: str, frequency: str, dates: ChargeDates, fee: Decimal = Decimal(0)) -> tuple[Cycle, ...]:
    """Work out term, plan and cycle of a licence line; empty where text and dates name no term.

    Where nothing names the billing plan every plan of the term is possible; the likeliest, by the length of the charge,
    stands first.

    Args:
        text: TermAndBillingCycle in lower case.
        frequency: BillingFrequency in lower case, may be empty.
        dates: the line's dates.
        fee: fee of an Extended Service Term as a fraction, 0 where the line is in none. Such a term goes on month by
            month at the monthly price with the fee on it; where no monthly term is listed, at a month's share of the
            annual one (documented by resellers only, reference §2.7). Whether the list price already has the fee on
            it, as an Extended Service Term's own SKU does, is for the price to tell.
    """
    term = _term(text, dates)
    if fee:
        own = [(term, plan) for plan in _plans(text, frequency, term, dates)] if term else []
        offers = [("P1M", "Monthly"), *own, ("P1Y", "Monthly"), ("P1Y", "Annual")]
        return tuple(_cycle(offer, 1, dates, share) for share in (fee, Decimal(0)) for offer in dict.fromkeys(offers))
    if term is None:
        return ()
    return tuple(
        _cycle((term, plan), PLAN_MONTHS[plan], dates, fee) for plan in _plans(text, frequency, term, dates)
    )


def _cycle(offer: tuple[str, str], months: int, dates: ChargeDates, fee: Decimal) -> Cycle:
    term, plan = offer
    per_term = max(1, TERM_MONTHS[term] // months)
    start, end = dates.charge_start, dates.charge_end
    if start is None or end is None or end < start:
        return Cycle(term, plan, per_term, 1, 1, fee)
    if dates.by_months and (charged := _whole_months(start, end)):
        return Cycle(term, plan, per_term, charged, max(charged, months), fee, "months")
    billed = (end - start).days + 1
    return Cycle(term, plan, per_term, billed, max(billed, _cycle_days(start, end, dates, months)), fee)


def _whole_months(start: date, end: date) -> int:
    """Months from the first to the last day, both included; 0 where they are no whole ones."""
    after = end + timedelta(days=1)
    count = _months_between(start, after)
    return count if add_months(after, -count) == start or add_months(start, count) == after else 0


def _term(text: str, dates: ChargeDates) -> str | None:
    for pattern, term in _TERM_TEXTS:
        if pattern.search(text):
            return term
    start, end = dates.term_start, dates.term_end
    if start is None or end is None or end < start:
        return None
    days = (end - start).days + 1
    return "P1M" if days <= 31 else "P1Y" if days <= 366 else "P3Y" if days <= 3 * 366 else "P5Y"


def _plans(text: str, frequency: str, term: str, dates: ChargeDates) -> list[str]:
    """The billing plan that is named, else all that the term can have, the likeliest first."""
    if term == "P1M":
        return ["Monthly"]
    named = _FREQUENCIES.get(frequency)
    if named is None and "/" not in text:
        named = next((plan for word, plan in _FREQUENCIES.items() if f"for {word} billing" in text), None)
    possible = [plan for plan in PLAN_MONTHS if PLAN_MONTHS[plan] <= TERM_MONTHS[term]]
    if named is not None:
        return [named if named in possible else "Annual"]
    start, end = dates.charge_start, dates.charge_end
    days = (end - start).days + 1 if start and end else 31
    likeliest = "Monthly" if days <= 31 else "Annual" if days <= 366 else "Triennial"
    return sorted(possible, key=lambda plan: (plan != likeliest, PLAN_MONTHS[plan]))


def _cycle_days(charge_start: date, charge_end: date, dates: ChargeDates, months: int) -> int:
    """Days of the cycle that the charge ends with.

    Cycles are counted from the term's start; where the charge does not end with one of them the term is coterminous
    with another and its cycles are counted back from its end; where the dates tell neither, the cycle is the month
    (or years) up to the charge's end.
    """
    after = charge_end + timedelta(days=1)
    if dates.term_start is not None and dates.term_start <= charge_start:
        passed = _months_between(dates.term_start, after)
        if passed % months == 0 and add_months(dates.term_start, passed) == after:
            return (after - add_months(dates.term_start, passed - months)).days
    if dates.term_end is not None and dates.term_end >= charge_end:
        anchor = dates.term_end + timedelta(days=1)
        left = _months_between(after, anchor)
        if left % months == 0 and add_months(anchor, -left) == after:
            return (after - add_months(anchor, -left - months)).days
    return (after - add_months(after, -months)).days


def add_months(day: date, months: int) -> date:
    """The same day of another month, clipped to that month's end, and to the calendar's first and last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        return date.min if months < 0 else date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _months_between(start: date, end: date) -> int:
    return (end.year - start.year) * 12 + end.month - start.month
