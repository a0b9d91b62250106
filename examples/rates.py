"""The exchange rates of each month, from US dollars to a market's billing currency."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random

from examples.customers import Market
from examples.dates import Span
from examples.numbers import EXACT, ONE

_DRIFT = 150
_DIGITS = Decimal("1e-9")


def dollar_rate(market: Market, month: Span) -> Decimal:
    """The rate that everything priced in dollars has in a month: up to 1.5 percent around the market's usual one."""
    if market.dollar_rate == ONE:
        return ONE
    drift = Random(f"{market.country}/{month.start}").randrange(-_DRIFT, _DRIFT + 1)
    return EXACT.multiply(market.dollar_rate, ONE + Decimal(drift).scaleb(-4)).quantize(_DIGITS)


def rate_day(rate: Decimal, month: Span) -> date:
    """The day of an exchange rate: two business days before the month's end before; the 1st where there is none."""
    if rate == ONE:
        return month.start
    day, left = month.start, 2
    while left:
        day -= timedelta(days=1)
        left -= day.weekday() < 5
    return day
