"""Which row of an Azure plan price list a metered charge is priced by.

Key: product, SKU, market and currency, and the meter where both name one (several meters can share a SKU, measured).
Prices of pay-as-you-go change on any day, so the price is that of the day of use, and for a line that sums up a month
any price of that month. Tiers are counted over a month and not seen on a day's line: any tier's price is right.

A line is only asked about when an Azure plan list of its month is loaded for its market and currency, because each
list holds the prices of its month alone.
"""

from __future__ import annotations

import re
from calendar import month_abbr, month_name
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.periods import last_day, month_of
from transforms.price_match import PriceAnswer, precedence
from transforms.price_rows import LONG_TERMS, PriceRow
from transforms.terms import Cycle
from transforms.texts import where

_LONG = pa.array(LONG_TERMS)
WHOLE = Cycle("", "", 1, 1, 1)
_NUMBERED = re.compile(r"(?<!\d)(20\d\d)[-_]?(0[1-9]|1[0-2])(?:[-_]?[0-3]\d)?(?!\d)")
_NAMED = re.compile(rf"(?<![a-z])(?:{'|'.join([*month_name[1:], *month_abbr[1:]])})(?![a-z])", re.IGNORECASE)


class AzureQuestion(NamedTuple):
    """A metered charge's question to the price lists: what was used, from when to when, at which list price."""

    product_id: str
    sku_id: str
    market: str
    currency: str
    meter_id: str
    first: date | None
    last: date | None
    unit_price: Decimal | None

    @property
    def tolerance(self) -> Decimal:
        """Azure prices are the same everywhere."""
        return Decimal(0)

    @property
    def wanted(self) -> str:
        """What is looked for, for a message."""
        return f"{self.product_id}:{self.sku_id} {self.market} {self.currency} (Azure plan)"

    @property
    def moment(self) -> str:
        """When the price was fixed, for a message."""
        days = f"{self.first} to {self.last}" if self.first != self.last else f"on {self.first}"
        return f"the use was {days}"


@dataclass(frozen=True)
class AzureLists:
    """The Azure plan lists of one month: their files (SHA-256 and name), and the markets and currencies they list."""

    files: frozenset[tuple[str, str]]
    markets: frozenset[tuple[str, str]]

    def speak_of(self, market: str, currency: str) -> bool:
        """Whether one of them lists a market (any, where it is empty) and currency."""
        return any(currency.upper() == listed and market.upper() in ("", place) for place, listed in self.markets)


class AzurePriceBook:
    """The Azure plan lists of one month, asked by key and days."""

    def __init__(self, rows: Iterable[PriceRow], lists: AzureLists) -> None:
        """Index those of the price list rows that are of the month's lists."""
        self._rows: dict[tuple[str, str, str], list[PriceRow]] = defaultdict(list)
        for row in rows:
            if row.is_of_use and (row.file_sha256, row.source_file) in lists.files:
                self._rows[row.product_id, row.sku_id, row.currency].append(row)

    def answer(self, question: AzureQuestion) -> PriceAnswer:
        """Find the row that a metered charge is priced by: the one whose price it shows, else the first in order."""
        key = (question.product_id.upper(), question.sku_id.upper(), question.currency.upper())
        rows = [row for row in self._rows.get(key, ()) if question.market.upper() in ("", row.market)]
        rows = [row for row in rows if not row.meters or question.meter_id.lower() in row.meters] or rows
        if not rows:
            return PriceAnswer("not_found")
        first, last = question.first or date.min, question.last or date.max
        covering = sorted(
            (row for row in rows if row.covers(first, last)),
            key=lambda row: (-(row.tier[0] or 0), precedence(row, question.first)),
        )
        if not covering:
            return PriceAnswer("not_effective", nearest=max(rows, key=lambda row: row.starts))
        answers = [PriceAnswer("priced", row, WHOLE) for row in covering]
        return next((one for one in answers if one.matches(question.unit_price, question.currency)), answers[0])


def azure_lists_of(period: str, price_lists: pa.Table, delivered: Collection[str]) -> AzureLists:
    """Find the Azure plan lists of a month among all price lists.

    Its rows must be valid on a day of the month. The month in the file's name decides (`…2025-11…`, `Nov_…`); without
    one the newest effective start in it, which is the month's as a rule, or that an older looking list was delivered
    with the month's exports.

    Args:
        period: the month.
        price_lists: rows of every list ever loaded; Azure plan lists have no billing plans, and no terms
            as the lists of reservations do.
        delivered: SHA-256 of the lists that came with the month's exports.
    """
    long_term = where(price_lists.column("term_duration"), lambda terms: pc.is_in(pc.utf8_upper(terms), _LONG))
    told = {name: np.asarray(pc.is_valid(price_lists.column(name))) for name in (
        "billing_plan", "meter_ids", "meter_type")}  # fmt: skip
    metered = told["meter_ids"] | told["meter_type"]
    product = where(price_lists.column("product_id"), lambda ids: pc.starts_with(pc.utf8_upper(ids), "DZH318Z0"))
    azure = price_lists.filter(pa.array(~told["billing_plan"] & ~long_term & (metered | product)))
    newest = azure.group_by(["file_sha256", "source_file"]).aggregate([("effective_start_date", "max")]).to_pylist()
    files = {
        (row["file_sha256"], row["source_file"]) for row in newest
        if _is_of(period, row["source_file"], row["effective_start_date_max"], row["file_sha256"] in delivered)
    }  # fmt: skip
    first = pa.scalar(datetime.combine(date.fromisoformat(f"{period}-01"), time(), UTC), pa.timestamp("us", "UTC"))
    last = pa.scalar(datetime.combine(last_day(period), time.max, UTC), pa.timestamp("us", "UTC"))
    starts, ends = azure.column("effective_start_date"), azure.column("effective_end_date")
    valid = pc.and_(pc.less_equal(starts, last).fill_null(True), pc.greater_equal(ends, first).fill_null(True))
    listed = azure.filter(valid).group_by(["file_sha256", "source_file", "market", "currency"]).aggregate([])
    own = [row for row in listed.to_pylist() if (row["file_sha256"], row["source_file"]) in files]
    return AzureLists(
        frozenset((row["file_sha256"], row["source_file"]) for row in own),
        frozenset(((row["market"] or "").upper(), (row["currency"] or "").upper()) for row in own),
    )


def _is_of(period: str, name: str, newest: datetime | None, is_delivered: bool) -> bool:
    published = "" if newest is None else month_of(newest)
    numbered, named = _NUMBERED.findall(name), _NAMED.findall(name)
    if numbered:
        return period in {"-".join(found) for found in numbered}
    # A month's name does not tell the year; a list that was kept from another year has only older rows.
    if named and month_abbr[int(period[5:])].lower() not in {found[:3].lower() for found in named}:
        return False
    if is_delivered:
        return published <= period
    return published[:4] == period[:4] and published <= period if named else published == period
