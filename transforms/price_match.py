"""Which row of the price lists a licence line is priced by.

Key (reference §3.1): product, SKU, term, plan, market (the customer's country), currency (the pricing currency); the
segment is not in the reconciliation file and comes from the policy, from the only row there is, or from the only
segment whose price matches. The price is the one valid when the term started or was renewed. Of several rows that
cover that instant the one that ends first applies, then the one updated last, then the one that starts last
(documented: a transaction of 2 November belongs to the row that ends on 3 November).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

import pyarrow as pa

from transforms.money import currency_exponent, decimals_of, divide, tidy

Outcome = Literal["priced", "not_found", "not_effective"]
_NO_START = datetime.min.replace(tzinfo=UTC)
_NO_END = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PriceKey(NamedTuple):
    """What a list row is for; `market` is empty where the export does not name the customer's country."""

    product_id: str
    sku_id: str
    term: str
    plan: str
    market: str
    currency: str


class PriceQuestion(NamedTuple):
    """A line's question to the price lists; equal questions have equal answers and are asked once.

    `unit_price` is the line's own list price per charge cycle, `segment` what the policy says of the customer.
    """

    key: PriceKey
    on: date | None
    per_term: int
    unit_price: Decimal | None
    segment: str | None


@dataclass(frozen=True)
class PriceRow:
    """One row of a price list; both prices are for the whole term."""

    unit_price: Decimal
    erp_price: Decimal | None
    segment: str
    starts: datetime
    ends: datetime
    updated: datetime
    file_sha256: str
    source_file: str
    source_row: int


@dataclass(frozen=True)
class PriceAnswer:
    """The row that applies, or why there is none; `nearest` is then a row of the key, for the message."""

    outcome: Outcome
    row: PriceRow | None = None
    segment_source: str = ""
    nearest: PriceRow | None = None


class PriceBook:
    """All price lists ever loaded, asked by key and instant."""

    def __init__(self, price_lists: pa.Table) -> None:
        """Index the rows of `price_lists`, a table of the price list's columns."""
        self._rows: dict[PriceKey, list[PriceRow]] = defaultdict(list)
        self._markets: dict[PriceKey, set[str]] = defaultdict(set)
        wanted = [
            "product_id", "sku_id", "term_duration", "billing_plan", "market", "currency", "unit_price", "erp_price",
            "segment", "effective_start_date", "effective_end_date", "last_updated_date", "file_sha256", "source_file",
            "source_row",
        ]  # fmt: skip
        for row in price_lists.select(wanted).to_pylist():
            self._add(row)

    def _add(self, row: dict[str, object]) -> None:
        names = ("product_id", "sku_id", "term_duration", "billing_plan", "market", "currency")
        key = PriceKey._make(str(row[name] or "").upper() for name in names)
        priced = PriceRow(
            tidy(row["unit_price"]),  # type: ignore[arg-type]
            None if row["erp_price"] is None else tidy(row["erp_price"]),  # type: ignore[arg-type]
            str(row["segment"] or ""),
            row["effective_start_date"] or _NO_START,  # type: ignore[arg-type]
            row["effective_end_date"] or _NO_END,  # type: ignore[arg-type]
            row["last_updated_date"] or _NO_START,  # type: ignore[arg-type]
            str(row["file_sha256"]),
            str(row["source_file"]),
            int(str(row["source_row"])),
        )
        self._rows[key].append(priced)
        self._markets[key._replace(market="")].add(key.market)

    def answer(self, question: PriceQuestion, default_segment: str) -> PriceAnswer:
        """Find the row that a line is priced by."""
        rows = self._candidates(question.key)
        if question.segment is not None:
            rows = [row for row in rows if row.segment in (question.segment, "")] or rows
        if not rows:
            return PriceAnswer("not_found")
        if question.on is None:
            covering = rows
        else:
            instant = datetime(question.on.year, question.on.month, question.on.day, tzinfo=UTC)
            covering = [row for row in rows if row.starts <= instant <= row.ends]
        if not covering:
            return PriceAnswer("not_effective", nearest=max(rows, key=lambda row: row.starts))
        by_segment = {row.segment: row for row in sorted(covering, key=_precedence, reverse=True)}
        segment, source = _choose_segment(by_segment, question, default_segment)
        return PriceAnswer("priced", by_segment[segment], source)

    def _candidates(self, key: PriceKey) -> list[PriceRow]:
        key = PriceKey._make(part.upper() for part in key)
        if key.market:
            return self._rows.get(key, [])
        markets: Iterable[str] = self._markets.get(key, ())
        return [row for market in sorted(markets) for row in self._rows[key._replace(market=market)]]


def _precedence(row: PriceRow) -> tuple[datetime, int, int, str, int]:
    """Sort key that puts the row that applies first: ends first, updated last, starts last."""
    return (row.ends, -_moment(row.updated), -_moment(row.starts), row.file_sha256, row.source_row)


def _moment(at: datetime) -> int:
    return (at - _NO_START) // _MICROSECOND


def _choose_segment(
    rows: dict[str, PriceRow], question: PriceQuestion, default_segment: str
) -> tuple[str, str]:
    """Which segment a line is priced in, and how that is known."""
    if question.segment is not None and question.segment in rows:
        return question.segment, "policy"
    if len(rows) == 1:
        return next(iter(rows)), "only"
    if question.unit_price is not None:
        matching = [
            segment
            for segment, row in rows.items()
            if same_unit_price(question.unit_price, row.unit_price, question.per_term, question.key.currency)
        ]
        if len(matching) == 1:
            return matching[0], "price"
    if default_segment in rows:
        return default_segment, "default"
    return min(rows), "default"


def per_cycle(price: Decimal, per_term: int) -> Decimal:
    """A whole term's price per charge cycle; where the division does not end, rounded half up to ten decimals.

    In the real list it ends in exact cents for every row (measured: 1,307 P1Y/Monthly, 142 P3Y/Monthly, 164
    P3Y/Annual rows).
    """
    return tidy(divide(price, per_term, max(10, decimals_of(price)), ROUND_HALF_UP))


def same_unit_price(billed: Decimal, term_price: Decimal, per_term: int, currency: str) -> bool:
    """Whether a billed list price is the price list's per charge cycle, as printed.

    Exactly the same, or the same once the list's price is rounded or cut to the decimals the line prints (never
    coarser than the currency's smallest coin).
    """
    printed = max(currency_exponent(currency), decimals_of(billed))
    return any(billed == divide(term_price, per_term, printed, way) for way in (ROUND_HALF_UP, ROUND_DOWN))
