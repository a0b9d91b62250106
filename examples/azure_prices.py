"""The Azure plan price list of a month: what each meter costs on which day, in US dollars, tier by tier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from examples.customers import Market
from examples.dates import FOREVER, Span
from examples.meters import ALL_METERS, MICROSOFT, MID_MONTH, Meter
from examples.numbers import ZERO

# As the real list prints it: more than a 64-bit integer holds.
TOP_TIER = Decimal("9223372036854780000")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class MeterPrice:
    """One row of the list: the price of one tier of a meter; `tier_end` is where the next tier begins."""

    meter: Meter
    market: Market
    unit_price: Decimal
    tier_start: Decimal
    tier_end: Decimal
    start: datetime
    end: datetime


def meter_prices(market: Market, month: Span) -> list[MeterPrice]:
    """A market's list of a month: rows start on its first day, and again where a price changes in its middle.

    What third parties sell by the meter is no part of it: the marketplace has a list of its own.
    """
    return [
        row for meter in ALL_METERS if meter.product.publisher_name == MICROSOFT
        for row in _rows(meter, market, month)
    ]  # fmt: skip


def _rows(meter: Meter, market: Market, month: Span) -> Iterator[MeterPrice]:
    start = datetime.combine(month.start, time())
    middle = start.replace(day=MID_MONTH)
    if meter.price_on(start) == meter.price_on(middle):
        spans = [(start, FOREVER)]
    else:
        spans = [(start, middle - _SECOND), (middle, FOREVER)]
    for first, last in spans:
        if meter.free_units:
            yield MeterPrice(meter, market, ZERO, ZERO, meter.free_units, first, last)
        yield MeterPrice(meter, market, meter.price_on(first), meter.free_units, TOP_TIER, first, last)
