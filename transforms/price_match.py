"""Which row of the price lists a licence line is priced by.

Key (reference §3.1): product, SKU, term, plan, market (the customer's country), currency (the pricing currency), and
the tier where the list has tiers; the segment is not in the reconciliation file and comes from the policy, from the
only row there is, or from the only segment whose price matches. The price is the one valid when the term started or
was renewed. Of several rows that cover that day the one that ends first applies, then the one updated last, then the
one that starts last (documented: a transaction of 2 November belongs to the row that ends on 3 November), then the one
of the list that was in force.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from transforms.money import EXACT
from transforms.price_rows import NO_END, NO_START, PriceRow, same_unit_price
from transforms.terms import Cycle

Outcome = Literal["priced", "not_found", "not_effective"]


class PriceQuestion(NamedTuple):
    """A line's question to the price lists; equal questions have equal answers and are asked once.

    Attributes:
        market: the customer's country; empty where the export does not name it.
        cycles: the terms and plans it may be sold in, the likeliest first; one whose price matches counts first.
        on: the day the price was fixed: start or renewal of the term.
        charged_on: first day charged for.
        unit_price: the line's own list price per charge cycle.
        quantity: billed units, where the product has tiers.
        segment: what the policy says of the customer.
        tolerance: what the unit price may differ by, as a fraction of the list price.
    """

    product_id: str
    sku_id: str
    market: str
    currency: str
    cycles: tuple[Cycle, ...]
    on: date | None
    charged_on: date | None
    unit_price: Decimal | None
    quantity: Decimal | None
    segment: str | None
    tolerance: Decimal = Decimal(0)

    @property
    def wanted(self) -> str:
        """What is looked for, for a message."""
        terms = " or ".join(dict.fromkeys(f"{cycle.term}/{cycle.plan}" for cycle in self.cycles)) or "an unknown term"
        return f"{self.product_id}:{self.sku_id} {terms} {self.market} {self.currency}"

    @property
    def moment(self) -> str:
        """When the price was fixed, for a message."""
        return f"the term started on {self.on}"


class PriceAnswer(NamedTuple):
    """The row that applies, or why there is none.

    Attributes:
        cycle: term, plan and cycle that the row is for; a price per charge cycle is the row's with the cycle's fee,
            divided by the cycles in the term.
        segment_source: how the segment is known.
        current: the row of the day charged for, where it is another one than the term is priced by.
        nearest: a row of the key, where none covers the day.
        place: which of the cycles that were asked for it is.
    """

    outcome: Outcome
    row: PriceRow | None = None
    cycle: Cycle | None = None
    segment_source: str = ""
    current: PriceRow | None = None
    nearest: PriceRow | None = None
    place: int = 0

    def matches(self, unit_price: Decimal | None, currency: str, tolerance: Decimal = Decimal(0)) -> bool:
        """Whether a billed list price is this row's per charge cycle."""
        return self._is_price_of(self.row, unit_price, currency, tolerance)

    def matches_current(self, unit_price: Decimal | None, currency: str, tolerance: Decimal = Decimal(0)) -> bool:
        """Whether a billed list price is that of the day charged for: shown, but not what is charged (documented)."""
        return self._is_price_of(self.current, unit_price, currency, tolerance)

    def _is_price_of(
        self, row: PriceRow | None, unit_price: Decimal | None, currency: str, tolerance: Decimal
    ) -> bool:
        if row is None or unit_price is None or self.cycle is None:
            return False
        price = with_fee(row.unit_price, self.cycle)
        return same_unit_price(unit_price, price, self.cycle.per_term, currency, tolerance)


class PriceBook:
    """The licence price lists ever loaded, asked by key and day."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        """Index the rows of licence price lists; those of Azure plan lists are left out."""
        self._rows: dict[tuple[str, ...], list[PriceRow]] = defaultdict(list)
        self._markets: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for row in rows:
            if row.billing_plan:
                key = (row.product_id, row.sku_id, row.term, row.billing_plan.upper(), row.currency)
                self._rows[*key, row.market].append(row)
                self._markets[key].add(row.market)

    def answer(self, question: PriceQuestion, default_segment: str) -> PriceAnswer:
        """Find the row that a line is priced by."""
        best = PriceAnswer("not_found")
        for place, cycle in enumerate(question.cycles):
            rows = self._candidates(question, cycle)
            if not rows:
                continue
            answer = _judge(rows, question, cycle, default_segment)._replace(cycle=cycle, place=place)
            # A segment that the price told was matched for that.
            if answer.segment_source == "price" or answer.matches(
                question.unit_price, question.currency, question.tolerance
            ):
                return answer
            if _RANKS[answer.outcome] > _RANKS[best.outcome]:
                best = answer
        return best

    def _candidates(self, question: PriceQuestion, cycle: Cycle) -> list[PriceRow]:
        key = (
            question.product_id.upper(), question.sku_id.upper(), cycle.term, cycle.plan.upper(),
            question.currency.upper(),
        )  # fmt: skip
        if question.market:
            return self._rows.get((*key, question.market.upper()), [])
        return [row for market in sorted(self._markets.get(key, ())) for row in self._rows[*key, market]]


_RANKS: dict[Outcome, int] = {"not_found": 0, "not_effective": 1, "priced": 2}


def with_fee(price: Decimal, cycle: Cycle) -> Decimal:
    """A list price with the fee of an Extended Service Term on it; the price itself where there is none."""
    return EXACT.multiply(price, 1 + cycle.fee) if cycle.fee else price


def precedence(row: PriceRow, on: date | None) -> tuple[Any, ...]:
    """Sort key that puts the row that applies first: ends first, updated last, starts last, of the list in force.

    In force is the newest list that is not newer than the day, else the oldest that is.
    """
    newer = on is not None and row.published.date() > on
    age = row.published - NO_START if newer else NO_END - row.published
    return (row.ends, NO_END - row.updated, NO_END - row.starts, newer, age, row.file_sha256, row.source_row)


def _judge(rows: Sequence[PriceRow], question: PriceQuestion, cycle: Cycle, default_segment: str) -> PriceAnswer:
    """Which of the rows of one key applies."""
    rows = [row for row in rows if row.holds(question.quantity)] or rows
    if question.segment is not None:
        rows = [row for row in rows if row.segment in (question.segment, "")] or rows
    by_segment = _by_segment(rows, question.on)
    if not by_segment:
        return PriceAnswer("not_effective", nearest=max(rows, key=lambda row: (row.starts, row.file_sha256)))
    segment, source = _choose_segment(by_segment, question, cycle, default_segment)
    row = by_segment[segment]
    current = None
    if question.on is not None and question.charged_on is not None and question.charged_on > question.on:
        current = _by_segment([one for one in rows if one.segment == segment], question.charged_on).get(segment)
    return PriceAnswer("priced", row, segment_source=source, current=current if current is not row else None)


def _by_segment(rows: Iterable[PriceRow], on: date | None) -> dict[str, PriceRow]:
    """The row of each segment that applies on a day; of all rows where the day is not known."""
    found: dict[str, PriceRow] = {}
    for row in rows:
        if on is None or row.covers(on, on):
            held = found.get(row.segment)
            if held is None or precedence(row, on) <= precedence(held, on):
                found[row.segment] = row
    return found


def _choose_segment(
    rows: dict[str, PriceRow], question: PriceQuestion, cycle: Cycle, default_segment: str
) -> tuple[str, str]:
    """Which segment a line is priced in, and how that is known."""
    if question.segment is not None and question.segment in rows:
        return question.segment, "policy"
    if len(rows) == 1:
        return next(iter(rows)), "only"
    matching = [
        segment for segment, row in rows.items()
        if PriceAnswer("priced", row, cycle).matches(question.unit_price, question.currency, question.tolerance)
    ]  # fmt: skip
    if len(matching) == 1:
        return matching[0], "price"
    among = matching or list(rows)
    return default_segment if default_segment in among else min(among), "default"
