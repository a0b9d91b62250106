"""Discrepancies of the price lists of several months: rows that are missing, begin too late, or leave a gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from examples.catalogue import COMMERCIAL, MONTH, PAUSED, RAISED, WITHDRAWN, Catalogue, PriceRow
from examples.customers import UNITED_KINGDOM
from examples.dates import Span
from examples.lines import ReconLine
from examples.truth import Planted

_EXCHANGE, _VISIO = COMMERCIAL[6], COMMERCIAL[11]
_GAP = (3, 8)


def plant_lists(catalogue: Catalogue, months: Sequence[Span]) -> Catalogue:
    """The lists that are delivered in place of those of `catalogue`."""
    rows: list[PriceRow] = []
    first, (last, again) = _midnight(months, 0), (_midnight(months, after) for after in _GAP)
    for row in catalogue.rows:
        if is_missing(row):
            continue
        if row.sku is RAISED:
            rows.append(replace(row, start=max(row.start, first)))
        elif row.sku is PAUSED:
            rows.append(replace(row, end=last - timedelta(seconds=1), delisted_on=last.date()))
            rows.append(replace(row, start=again, change="Add"))
        else:
            rows.append(row)
    return Catalogue(rows)


def is_missing(row: PriceRow) -> bool:
    """Whether no list has the row: of a whole SKU, of a SKU in one market, or of one of its terms."""
    in_market = row.sku is _EXCHANGE and row.market == UNITED_KINGDOM
    return row.sku is WITHDRAWN or in_market or (row.sku is _VISIO and (row.term, row.plan) == MONTH)


def list_findings(lines: list[ReconLine], months: Sequence[Span]) -> Iterator[Planted]:
    """The lines of a month that the planted lists do not price."""
    gap = Span(months[_GAP[0]].start, months[_GAP[1] - 1].end)
    for line in lines:
        row, start = line.price_row, line.subscription_start
        if row is None or start is None or line.charge_type == "customerCredit":
            continue
        if is_missing(row):
            note = f"no list of {row.market.country} has {row.sku.title} for {row.term}, {row.plan}"
            yield Planted("PRICE_NOT_FOUND", note, line.invoice_number, line)
        elif row.sku is RAISED and start < months[0].start:
            note = f"the list's first row starts on {months[0].start}"
            yield Planted("PRICE_NOT_EFFECTIVE", note, line.invoice_number, line)
        elif row.sku is PAUSED and start in gap:
            note = f"the lists have no row valid from {gap.start} to {gap.end}"
            yield Planted("PRICE_NOT_EFFECTIVE", note, line.invoice_number, line)


def _midnight(months: Sequence[Span], after: int) -> datetime:
    return datetime.combine(months[after].start, time())
