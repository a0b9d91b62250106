"""A row of a price list as the matching needs it, and when two prices are the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.integers import Integers
from transforms.money import EXACT, currency_exponent, decimals_of, divide, tidy
from transforms.terms import Cycle

NO_START = datetime.min.replace(tzinfo=UTC)
NO_END = datetime.max.replace(tzinfo=UTC)
#: At how many decimals, at least, a price per charge cycle ends.
CYCLE_DECIMALS = 10
#: Terms of reservations, whose lists have no billing plans either.
LONG_TERMS = ["P1Y", "P3Y", "P5Y"]
#: Meters are separated in one way or another.
METER = re.compile(r"[^,;|\s]+")
READ = [
    "product_id", "sku_id", "term_duration", "billing_plan", "market", "currency", "unit_price", "erp_price", "segment",
    "pricing_tier_range_min", "pricing_tier_range_max", "effective_start_date", "effective_end_date",
    "last_updated_date", "meter_ids", "file_sha256", "source_file", "source_row",
]  # fmt: skip


class PriceRow(NamedTuple):
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
        """Whether the row is valid at some instant of these days (UTC); a line says the day only, not the hour."""
        return self.starts.date() <= last and self.ends.date() >= first

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
    return tidy(divide(price, per_term, max(CYCLE_DECIMALS, decimals_of(price)), ROUND_HALF_UP))


def full_cycle(price: Decimal, cycle: Cycle) -> Decimal:
    """A prorated price scaled to its full charge cycle; where the division does not end, rounded to ten decimals."""
    places = max(CYCLE_DECIMALS, decimals_of(price))
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
    apart = abs(EXACT.subtract(EXACT.multiply(billed, Decimal(per_term)), term_price))
    if not apart:
        return True
    printed = max(currency_exponent(currency), decimals_of(billed))
    # Rounding moves no price by a whole unit of the last decimal; to divide is dear.
    if apart < EXACT.multiply(Decimal(1).scaleb(-printed), Decimal(per_term)) and any(
        billed == divide(term_price, per_term, printed, way) for way in (ROUND_HALF_UP, ROUND_DOWN)
    ):
        return True
    return bool(tolerance) and apart <= EXACT.multiply(term_price, tolerance)


class PriceRows:
    """The rows of price lists as the matching needs them, each made when it is asked for."""

    def __init__(self, table: pa.Table) -> None:
        """Take rows of price lists, columns `READ`."""
        self._table = table
        newest = table.group_by(["file_sha256", "source_file"]).aggregate([("effective_start_date", "max")])
        self._published = {
            (row["file_sha256"], row["source_file"]): row["effective_start_date_max"] or NO_START
            for row in newest.to_pylist()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return PriceRows, (self._table,)

    @property
    def published(self) -> list[datetime]:
        """The newest effective start in each list."""
        return list(self._published.values())

    def at(self, places: Integers) -> list[PriceRow]:
        """The rows at these places."""
        column = {name: made.at(places) for name, made in self._made.items()}
        tiers = zip(column["pricing_tier_range_min"], column["pricing_tier_range_max"], strict=True)
        files = zip(column["file_sha256"], column["source_file"], strict=True)
        return list(map(
            PriceRow, column["product_id"], column["sku_id"], column["term_duration"], column["billing_plan"],
            column["market"], column["currency"], column["unit_price"], column["erp_price"], column["segment"], tiers,
            column["effective_start_date"], column["effective_end_date"], column["last_updated_date"],
            map(self._published.__getitem__, files), column["meter_ids"], column["file_sha256"], column["source_file"],
            self._source_rows[places].tolist(),
        ))  # fmt: skip

    @cached_property
    def _made(self) -> dict[str, _Made]:
        return {name: _Made(self._table.column(name), make) for name, make in _MAKE.items()}

    @cached_property
    def _source_rows(self) -> Integers:
        return np.asarray(self._table.column("source_row"))


class _Made:
    """A column of which each distinct value is made once, when a row that has it is first asked for.

    Arrow takes a microsecond for a text of an encoded column and three for an instant (measured), for every row.
    """

    def __init__(self, column: pa.ChunkedArray, make: Callable[[Any], Any]) -> None:
        array = column.combine_chunks().dictionary_encode()
        self._values, none = array.dictionary, len(array.dictionary)
        self._codes = np.asarray(array.indices.fill_null(none))
        self._make = make
        self._made: dict[int, Any] = {none: make(None)}

    def at(self, places: Integers) -> list[Any]:
        codes, made = self._codes[places].tolist(), self._made
        for code in codes:
            if code not in made:
                made[code] = self._make(self._values[code].as_py())
        return [made[code] for code in codes]


def _upper(text: str | None) -> str:
    return (text or "").upper()


def _text(text: str | None) -> str:
    return text or ""


def _number(number: Decimal | None) -> Decimal | None:
    return None if number is None else tidy(number)


def _start(instant: datetime | None) -> datetime:
    return instant or NO_START


#: What a column's values are made into; of `billing_plan` a trial's is the text None, an Azure plan list has none.
_MAKE: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("product_id", "sku_id", "term_duration", "market", "currency"), _upper),
    **dict.fromkeys(("billing_plan", "segment", "file_sha256", "source_file"), _text),
    **dict.fromkeys(("unit_price", "erp_price", "pricing_tier_range_min", "pricing_tier_range_max"), _number),
    **dict.fromkeys(("effective_start_date", "last_updated_date"), _start),
    "effective_end_date": lambda instant: instant or NO_END,
    "meter_ids": lambda meters: tuple(METER.findall((meters or "").lower())),
}  # fmt: skip
