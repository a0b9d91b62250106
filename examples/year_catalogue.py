"""The price lists of several months: prices change, products come and go, and each list shows what its month sells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from examples import catalogue as listed
from examples.catalogue import Catalogue, PriceRow, Sku, lasting_row, prices_of
from examples.customers import MARKETS, Market
from examples.dates import Span

# Months after the first one; a shorter stretch of months sees less.
_ADDED, _DELISTED, _RAISED_AFTER, _REPRICED_AFTER = 2, 3, 4, 5
_RAISED_BY, _CUT_TO = Decimal("1.08"), Decimal("0.95")
_OVERLAP = timedelta(days=2, hours=6, minutes=57, seconds=30)


@dataclass(frozen=True)
class _Offer:
    sku: Sku
    term: str
    plan: str
    market: Market


def make_year_catalogue(months: Sequence[Span]) -> Catalogue:
    """Price rows whose history runs through these months.

    Before the first month no price changes, because the lists that would show it are not among the exports.
    """
    rows: list[PriceRow] = []
    for market in MARKETS:
        for index, sku in enumerate(listed.ALL_SKUS):
            for term, plan in sku.plans:
                offer = _Offer(sku, term, plan, market)
                row = lasting_row(sku, term, plan, market, months[0].start, index)
                rows.extend(_history(offer, row, months, index))
    return Catalogue(rows)


def repriced_on(months: Sequence[Span]) -> date:
    """The day from which the new price of the repriced SKU is valid; the old row ends two days later."""
    return _start(months, _REPRICED_AFTER)


def _history(offer: _Offer, row: PriceRow, months: Sequence[Span], index: int) -> list[PriceRow]:
    sku = offer.sku
    if sku is listed.WITHDRAWN:
        return [replace(row, delisted_on=_start(months, _DELISTED))]
    if sku is listed.LISTED_ONLY[1]:
        return [replace(row, start=datetime.combine(_start(months, _ADDED), time()), change="Add")]
    if sku is listed.REPRICED:
        return _overlapping(offer, row, months)
    if offer.plan == "None" or sku is listed.PAUSED:
        return [row]
    after = _RAISED_AFTER if sku is listed.RAISED else 1 + index % (len(months) - 1)
    return _changed(offer, row, _start(months, after), _CUT_TO if index % 4 == 3 else _RAISED_BY)


def _changed(offer: _Offer, row: PriceRow, on: date, factor: Decimal) -> list[PriceRow]:
    """The list of that month has a new row in place of the old one; neither says when the old price ended."""
    sku = offer.sku
    unit, erp = prices_of(replace(sku, erp=sku.erp * factor), offer.term, offer.plan, offer.market)
    new = replace(
        row, unit_price=unit, erp_price=erp, start=datetime.combine(on, time()), change="Change",
        previous=(row.unit_price, row.erp_price),
    )  # fmt: skip
    return [replace(row, delisted_on=on), new]


def _overlapping(offer: _Offer, row: PriceRow, months: Sequence[Span]) -> list[PriceRow]:
    """The list of the change has the old row too, which then ends two days after the new one has begun."""
    on = repriced_on(months)
    before = replace(offer.sku, erp=listed.REPRICED_BEFORE)
    unit, erp = prices_of(before, offer.term, offer.plan, offer.market)
    old = replace(row, unit_price=unit, erp_price=erp)
    start = datetime.combine(on, time())
    return [
        replace(old, delisted_on=on),
        replace(old, end=start + _OVERLAP, delisted_on=_start(months, _REPRICED_AFTER + 1)),
        replace(row, start=start, change="Change", previous=(unit, erp)),
    ]


def _start(months: Sequence[Span], after: int) -> date:
    """First day of the month so many months after the first, or of the last one."""
    return months[min(after, len(months) - 1)].start
