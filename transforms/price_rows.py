"""A row of a price list as the matching needs it, and when two prices are the same."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from transforms.money import EXACT, currency_exponent, decimals_of, divide, tidy
from transforms.terms import Cycle

NO_START = datetime.min.replace(tzinfo=UTC)
NO_END = datetime.max.replace(tzinfo=UTC)
#: Terms of reservations, whose lists have no billing plans either.
LONG_TERMS = ["P1Y", "P3Y", "P5Y"]
#: Meters are separated in one way or another.
METER = re.compile(r"[^,;|\s]+")
READ = [
    "product_id", "sku_id", "term_duration", "billing_plan", "market", "currency", "unit_price", "erp_price", "segment",
    "pricing_tier_range_min", "pricing_tier_range_max", "effective_start_date", "effective_end_date",
    "last_updated_date", "meter_ids", "file_sha256", "source_file", "source_row",
]  # fmt: skip


@dataclass(frozen=True)
class PriceRow:
    """One row of a price list; both prices are for the whole term. Ids, market and currency are in upper case.

    Attributes:
        billing_plan: empty in Azure plan lists.
        tier: first and last unit that the row is for; None where the list does not limit them.
        published: newest effective start in its list, which tells the list's age.
        meters: meters that an Azure plan row is for, in lower case; empty where it names none.
    """

    product_id: str
    sku_id: str
    term: str
    billing_plan: str
    market: str
    currency: str
    unit_price: Decimal
    erp_price: Decimal | None
    segment: str
    tier: tuple[Decimal | None, Decimal | None]
    starts: datetime
    ends: datetime
    updated: datetime
    published: datetime
    meters: tuple[str, ...]
    file_sha256: str
    source_file: str
    source_row: int

    def covers(self, first: date, last: date) -> bool:
        """Whether the row is valid at some instant of these days; a line says the day only, not the hour."""
        return self.starts <= _end(last) and self.ends >= _start(first)

    def holds(self, quantity: Decimal | None) -> bool:
        """Whether a quantity is in the row's tier."""
        first, last = self.tier
        return quantity is None or ((first is None or quantity >= first) and (last is None or quantity <= last))

    @property
    def is_of_use(self) -> bool:
        """Whether the row prices what is used, as in an Azure plan list, and no term."""
        return not self.billing_plan and self.term not in LONG_TERMS

    @property
    def origin(self) -> str:
        """Where the row stands and how long it is valid, for a message."""
        starts = "the beginning" if self.starts == NO_START else f"{self.starts:%Y-%m-%d}"
        ends = "open" if self.ends.year == 9999 else f"{self.ends:%Y-%m-%d}"
        return f"{self.source_file} row {self.source_row}, valid {starts} to {ends}"


def per_cycle(price: Decimal, per_term: int) -> Decimal:
    """A whole term's price per charge cycle; where the division does not end, rounded half up to ten decimals.

    In the real list it ends in exact cents for every row (measured: 1,307 P1Y/Monthly, 142 P3Y/Monthly, 164
    P3Y/Annual rows).
    """
    return tidy(divide(price, per_term, max(10, decimals_of(price)), ROUND_HALF_UP))


def full_cycle(price: Decimal, cycle: Cycle) -> Decimal:
    """A prorated price scaled to its full charge cycle; where the division does not end, rounded to ten decimals."""
    places = max(10, decimals_of(price))
    return tidy(divide(EXACT.multiply(price, cycle.full), cycle.billed, places, ROUND_HALF_UP))


def same_unit_price(
    billed: Decimal, term_price: Decimal | None, per_term: int, currency: str, tolerance: Decimal = Decimal(0)
) -> bool:
    """Whether a billed list price is the price list's per charge cycle, as printed.

    Exactly the same, or the same once the list's price is rounded or cut to the decimals the line prints (never
    coarser than the currency's smallest coin), or within the tolerance, a fraction of the list's price.
    """
    if term_price is None:
        return False
    printed = max(currency_exponent(currency), decimals_of(billed))
    if any(billed == divide(term_price, per_term, printed, way) for way in (ROUND_HALF_UP, ROUND_DOWN)):
        return True
    apart = abs(EXACT.subtract(EXACT.multiply(billed, Decimal(per_term)), term_price))
    return bool(tolerance) and apart <= EXACT.multiply(term_price, tolerance)


def published_dates(price_lists: pa.Table) -> dict[tuple[str, str], datetime]:
    """The newest effective start in each list, by its SHA-256 and name (columns of the price list table)."""
    newest = price_lists.group_by(["file_sha256", "source_file"]).aggregate([("effective_start_date", "max")])
    return {
        (row["file_sha256"], row["source_file"]): row["effective_start_date_max"] or NO_START
        for row in newest.to_pylist()
    }


def price_row(row: dict[str, Any], published: dict[tuple[str, str], datetime]) -> PriceRow:
    """A row of a price list (columns `READ`) as the matching needs it; `published` is of `published_dates`."""

    def upper(name: str) -> str:
        return str(row[name] or "").upper()

    # A trial's plan is the text None; an Azure plan list has no plans at all.
    plan = str(row["billing_plan"] or "")
    return PriceRow(
        upper("product_id"), upper("sku_id"), upper("term_duration"), plan, upper("market"), upper("currency"),
        tidy(row["unit_price"]), None if row["erp_price"] is None else tidy(row["erp_price"]),
        str(row["segment"] or ""), (row["pricing_tier_range_min"], row["pricing_tier_range_max"]),
        row["effective_start_date"] or NO_START, row["effective_end_date"] or NO_END,
        row["last_updated_date"] or NO_START, published[row["file_sha256"], row["source_file"]],
        tuple(METER.findall((row["meter_ids"] or "").lower())),
        row["file_sha256"], row["source_file"], row["source_row"],
    )  # fmt: skip


@functools.lru_cache(4096)
def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@functools.lru_cache(4096)
def _end(day: date) -> datetime:
    return datetime.combine(day, time.max, UTC)
