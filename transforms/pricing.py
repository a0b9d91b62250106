"""The list price of every line: asks the price lists for each case there is and lays the answers beside the lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.azure_prices import AzureQuestion
from transforms.categories import Categories, metered_usage
from transforms.digests import Hashes, mix, words_of, words_of_integers
from transforms.grouping import distinct_cases, distinct_rows
from transforms.integers import Integers, Mask, owned
from transforms.metered_prices import NO_DAY
from transforms.money import EXACT, Fixed
from transforms.policy import CustomerRules, Policy
from transforms.price_answers import OUTCOMES, AnswerColumns, PriceAnswers
from transforms.price_lists import PriceLists
from transforms.price_match import PriceAnswer, PriceQuestion
from transforms.price_rows import PriceRow
from transforms.python_values import rows_as_dicts
from transforms.terms import ChargeDates, Cycle, cycles_of
from transforms.text_words import text_words
from transforms.texts import lowered, values_and_codes, with_values

Question = PriceQuestion | AzureQuestion

#: What term and charge cycle of a licence line are told by.
_CYCLE = ("term_and_billing_cycle", "billing_frequency", "price_adjustment_description", "charge_type",
          "charge_start_date", "charge_end_date", "subscription_start_date", "subscription_end_date")  # fmt: skip
_LICENCE = ("product_id", "sku_id", "customer_country", "customer_id", "pricing_currency", "currency", "unit_price",
            "billable_quantity", *_CYCLE)  # fmt: skip
#: From which columns an Azure question is read, in the order of its fields; None where the export has no such column.
_AZURE_LINE = ("product_id", "sku_id", "customer_country", "pricing_currency", None, "charge_start_date",
               "charge_end_date", "unit_price")  # fmt: skip
_AZURE_USAGE = ("product_id", "sku_id", "customer_country", "pricing_currency", "meter_id", "usage_date", "usage_date",
                "unit_price")  # fmt: skip
_EXTENDED = re.compile(r"extended service terms? *[:-]? *([0-9]+(?:\.[0-9]+)?) *%")
#: The year 9999 stands for no end.
_NO_END = (date(9999, 1, 1) - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Pricing:
    """What the price lists say of each line.

    Attributes:
        outcome: place in OUTCOMES: `priced`, `not_found`, `not_effective`, or empty for a line that no list speaks of.
        list_price: partner's price per charge cycle, pricing currency.
        erp_price: ERP price per charge cycle, pricing currency.
        erp_term_price: ERP price of the whole term.
        per_term: charge cycles in the term.
        billed: days (after a change of plan months) charged for.
        full: days or months of the full charge cycle.
    """

    outcome: Integers
    list_price: Fixed
    erp_price: Fixed
    erp_term_price: Fixed
    per_term: Integers
    billed: Integers
    full: Integers
    _numbers: Integers
    _columns: AnswerColumns
    _asked: tuple[_Asked, ...]

    @property
    def priced(self) -> Mask:
        """Lines with a list price."""
        return self.has("priced")

    def has(self, outcome: str) -> Mask:
        """Lines with that outcome."""
        found: Mask = self.outcome == OUTCOMES.index(outcome)
        return found

    def question(self, row: int) -> Question:
        """What was asked for a line that a list ought to price."""
        asked, place = self._of(row)
        return asked.question(place)

    def answer(self, row: int) -> PriceAnswer:
        """What the price lists answered for it."""
        asked, place = self._of(row)
        return asked.answer(place)

    def priced_by(self, row: int) -> tuple[PriceRow, Cycle]:
        """The price list row of a line with a list price, and the cycle it was applied to."""
        asked, place = self._of(row)
        answer = asked.answer(place)
        assert answer.row is not None
        return answer.row, asked.cycle(place)

    def price_rows(self) -> dict[str, pa.Array]:
        """Where each line's price comes from: segment, its origin, and the price list's file and row."""
        texts = {}
        for name, (codes, values) in self._columns.texts.items():
            found = codes[self._numbers]
            codes_found = owned(pa.array(found, pa.int32(), mask=found < 0))
            texts[name] = pa.DictionaryArray.from_arrays(codes_found, values)
        rows = self._columns.source_row[self._numbers]
        return {**texts, "price_source_row": owned(pa.array(rows, pa.int64(), mask=rows < 0))}

    def _of(self, row: int) -> tuple[_Asked, int]:
        for asked in self._asked:
            place = int(np.searchsorted(asked.rows, row))
            if place < len(asked.rows) and asked.rows[place] == row:
                return asked, place
        raise LookupError(f"nothing was asked for line {row}")


@dataclass(frozen=True)
class _Asked:
    """What was asked for which rows (ascending), and the answers' numbers; one question and cycle a row on demand."""

    rows: Integers
    numbers: Integers
    answers: PriceAnswers
    question: Callable[[int], Question]
    billed: Integers
    full: Integers

    def answer(self, place: int) -> PriceAnswer:
        return self.answers.answer(int(self.numbers[place]))

    def cycle(self, place: int) -> Cycle:
        """The line's own cycle; the answer's is that of the first line of the case."""
        question, answer = self.question(place), self.answer(place)
        assert answer.cycle is not None
        return question.cycles[answer.place] if isinstance(question, PriceQuestion) else answer.cycle


class Pricer:
    """Prices the lines of a period; keeps what the lists answered from part to part, and threads may share it."""

    def __init__(self, lists: PriceLists, policy: Policy) -> None:
        """Price by these lists; the policy names segments and tolerances by customer and the default ones."""
        self._lists = lists
        self._policy = policy
        self._answers = PriceAnswers(lists.told_columns(), lists.told_answer)
        self._cycles: dict[tuple[int, int], _Cycles] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Pricer, (self._lists, self._policy)

    def price_lines(self, recon: pa.Table, categories: Categories) -> Pricing:
        """Price every licence line and every Azure-plan line that is not free, trial or credit.

        Args:
            recon: reconciliation lines.
            categories: their categories.
        """
        licences = np.flatnonzero(categories.licence & ~categories.unpriced)
        metered = categories.azure_plan & categories.first_party & ~categories.unpriced
        azure = np.flatnonzero(metered & self._listed(recon))
        return self._pricing(
            recon.num_rows, self._ask_licences(recon, licences), self._ask_azure(recon, azure, _AZURE_LINE)
        )

    def price_usage(self, usage: pa.Table) -> Pricing:
        """Price every daily usage line of Microsoft's own meters that is neither free nor paid by credit or benefit."""
        if not self._lists.azure.files:
            return self._pricing(usage.num_rows)
        asked = np.flatnonzero(metered_usage(usage) & self._listed(usage))
        return self._pricing(usage.num_rows, self._ask_azure(usage, asked, _AZURE_USAGE))

    def _pricing(self, count: int, *parts: _Asked) -> Pricing:
        columns = self._answers.columns()
        numbers = np.full(count, self._answers.nothing, dtype=np.int64)
        billed, full = np.ones(count, dtype=np.int64), np.ones(count, dtype=np.int64)
        for part in parts:
            numbers[part.rows] = part.numbers
            billed[part.rows], full[part.rows] = part.billed, part.full
        return Pricing(
            columns.outcome[numbers], columns.list_price.take(numbers), columns.erp_price.take(numbers),
            columns.erp_term_price.take(numbers), columns.per_term[numbers], billed, full, numbers, columns, parts,
        )  # fmt: skip

    def _ask_licences(self, recon: pa.Table, rows: Integers) -> _Asked:
        lines = recon.select(list(_LICENCE)).take(pa.array(rows))
        for name in _CYCLE[:4]:
            lines = lines.set_column(_LICENCE.index(name), name, lowered(lines, name))
        dates, cycles = self._cycles_of(lines)
        on, charged = _term_days(lines)
        later = (charged > on) & (on != NO_DAY) & (charged != NO_DAY)
        named = np.ones(len(rows), dtype=np.bool_)
        case = mix(
            [
                *(words_of(lines.column(name)) for name in ("product_id", "sku_id", "customer_country", "unit_price")),
                words_of(_or_else(lines.column("pricing_currency"), lines.column("currency"))),
                _taken(_words([one.offers for one in cycles]), dates),
                self._span(on),
                self._span(charged),
                words_of_integers(later.astype(np.int64), named),
                self._rules(lines.column("customer_id")),
                self._quantities(lines),
            ]
        )  # fmt: skip

        def question(place: int) -> PriceQuestion:
            case = {name: lines.column(name)[place].as_py() for name in _LICENCE}
            return self._licence_question(case, cycles[dates[place]].cycles, self._policy.of(case["customer_id"]))

        def ask(places: Integers) -> list[PriceAnswer]:
            sold = [cycles[number].cycles for number in dates[places].tolist()]
            cases = rows_as_dicts(lines.take(pa.array(places)))
            rules = self._policy.of_each([case["customer_id"] for case in cases])
            asked = list(map(self._licence_question, cases, sold, rules))
            books = (self._lists.licences(one.product_id, one.sku_id) for one in asked)
            return [book.answer(one, self._policy.default_segment) for book, one in zip(books, asked, strict=True)]

        numbers = self._answers.numbers(case, ask)
        which = self._answers.columns().place[numbers]
        wide = max((len(one.billed) for one in cycles), default=1)
        billed, full = (
            np.array([getattr(one, name) + (1,) * (wide - len(one.billed)) for one in cycles], dtype=np.int64).reshape(
                len(cycles), wide
            )[dates, which] if len(cycles) else np.ones(0, dtype=np.int64)
            for name in ("billed", "full")
        )  # fmt: skip
        return _Asked(rows, numbers, self._answers, question, billed, full)

    def _cycles_of(self, lines: pa.Table) -> tuple[Integers, list[_Cycles]]:
        """Each line's case of term and dates, and what the cases' cycles are."""
        numbers, cases = distinct_rows(lines, _CYCLE)
        # Most cases are known from parts before: to tell them by words is cheaper than to make dates of them.
        words = mix([words_of(cases.column(name)) for name in _CYCLE])
        keys = list(zip(*(half.tolist() for half in words), strict=True))
        new = [place for place, key in enumerate(keys) if key not in self._cycles]
        for place, case in zip(new, rows_as_dicts(cases.take(pa.array(new, pa.int64()))), strict=True):
            self._cycles[keys[place]] = _Cycles.of(_line_cycles(case))
        return numbers, [self._cycles[key] for key in keys]

    def _span(self, days: Integers) -> tuple[Hashes, Hashes]:
        """Words that tell between which two changes of the lists each day is."""
        spans: Integers = np.searchsorted(self._lists.turning_days, days, "right")
        return words_of_integers(spans, days != NO_DAY)

    def _rules(self, customers: pa.ChunkedArray) -> tuple[Hashes, Hashes]:
        """Words that tell what the policy says of the lines' customers."""
        names, codes = values_and_codes(customers)
        rules = self._policy.of_each([*names.to_pylist(), None])
        return _taken(_words([f"{rule.segment} {rule.price_tolerance}" for rule in rules]), codes)

    def _quantities(self, lines: pa.Table) -> tuple[Hashes, Hashes]:
        """Words of the quantity, where the product has tiers."""
        products, codes = values_and_codes(lines.column("product_id"))
        tiered = np.array([product.upper() in self._lists.tiered for product in products.to_pylist()] + [False])[codes]
        first, second = words_of(lines.column("billable_quantity"))
        return np.where(tiered, first, np.uint64(0)), np.where(tiered, second, np.uint64(0))

    def _licence_question(
        self, case: dict[str, Any], cycles: tuple[Cycle, ...], customer: CustomerRules
    ) -> PriceQuestion:
        dates = charge_dates(case, case["charge_type"])
        product = case["product_id"] or ""
        return PriceQuestion(
            product,
            case["sku_id"] or "",
            case["customer_country"] or "",
            case["pricing_currency"] or case["currency"] or "",
            cycles,
            dates.term_start or dates.charge_start,
            dates.charge_start,
            case["unit_price"],
            case["billable_quantity"] if product.upper() in self._lists.tiered else None,
            customer.segment,
            customer.price_tolerance,
        )

    def _ask_azure(self, table: pa.Table, rows: Integers, names: Sequence[str | None]) -> _Asked:
        kept = pa.array(rows)
        lines = {field: table.column(name).take(kept) for field, name in zip(AzureQuestion._fields, names, strict=True)
                 if name}  # fmt: skip

        def question(place: int) -> AzureQuestion:
            line: dict[str, Any] = {field: column[place].as_py() for field, column in lines.items()}
            product, sku, market, currency, meter = (line.get(field) or "" for field in AzureQuestion._fields[:5])
            return AzureQuestion(
                product, sku, market, currency, meter, line["first"], line["last"], line["unit_price"]
            )

        def ask(places: Integers) -> list[PriceAnswer]:
            asked = [question(place) for place in places.tolist()]
            return [self._lists.metered(one.product_id, one.sku_id).answer(one) for one in asked]

        ones = np.ones(len(rows), dtype=np.int64)
        return _Asked(rows, self._numbers(lines, ask), self._answers, question, ones, ones)

    def _numbers(
        self, lines: Mapping[str, pa.ChunkedArray], ask: Callable[[Integers], list[PriceAnswer]]
    ) -> Integers:
        """The answers' numbers of metered lines: of the rows that their ids tell, and of the cases that are asked."""
        days = (_days(lines["first"]), _days(lines["last"]))
        numbers = self._lists.told.find(lines, days)
        others = np.flatnonzero(numbers < 0)
        if len(others):
            kept = pa.array(others)
            asked = [words_of(column.take(kept)) for field, column in lines.items() if field not in ("first", "last")]
            spans = [self._span(day[others]) for day in days]
            numbers[others] = self._answers.numbers(mix([*asked, *spans]), lambda places: ask(others[places]))
        return numbers

    def _listed(self, table: pa.Table) -> Mask:
        """Lines for whose market and pricing currency an Azure plan list of the month is loaded."""
        if not self._lists.azure.files:
            return np.zeros(table.num_rows, dtype=np.bool_)
        codes, cases = distinct_cases(table, ("customer_country", "pricing_currency"))
        known = [
            self._lists.azure.speak_of(case["customer_country"] or "", case["pricing_currency"] or "") for case in cases
        ]
        listed: Mask = np.array([*known, False])[codes]
        return listed


@dataclass(frozen=True)
class _Cycles:
    """The cycles that lines of one case may be sold in, what they are offered as, and their days."""

    cycles: tuple[Cycle, ...]
    offers: str
    billed: tuple[int, ...]
    full: tuple[int, ...]

    @classmethod
    def of(cls, cycles: tuple[Cycle, ...]) -> _Cycles:
        offers = " ".join(f"{cycle.term}/{cycle.plan}/{cycle.per_term}/{cycle.fee}" for cycle in cycles)
        billed = tuple(cycle.billed for cycle in cycles)
        return cls(cycles, offers, billed or (1,), tuple(cycle.full for cycle in cycles) or (1,))


def _line_cycles(case: Mapping[str, Any]) -> tuple[Cycle, ...]:
    dates = charge_dates(case, case["charge_type"])
    fee = extended_term_fee(case["price_adjustment_description"])
    return cycles_of(case["term_and_billing_cycle"], case["billing_frequency"], dates, fee)


def _term_days(lines: pa.Table) -> tuple[Integers, Integers]:
    """The day each line's price was fixed, start or renewal of the term, and the first day charged."""
    charged, term = (_days(lines.column(name)) for name in ("charge_start_date", "subscription_start_date"))
    return np.where(term == NO_DAY, charged, term), charged


def _days(column: pa.ChunkedArray) -> Integers:
    """Days since 1970, NO_DAY where there is none."""
    days: Integers = np.asarray(pc.fill_null(column.cast(pa.int32()), NO_DAY)).astype(np.int64)
    return np.where(days >= _NO_END, NO_DAY, days)


def _or_else(column: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.Array:
    """One text column, and where it is empty the other."""
    own = with_values(column, lambda texts: pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts))
    if not own.null_count:
        return own
    return pc.coalesce(own.cast(pa.string()), other.combine_chunks().cast(pa.string()))


def _words(texts: Sequence[str]) -> tuple[Hashes, Hashes]:
    return text_words(pa.array(texts, pa.string()))


def _taken(words: tuple[Hashes, Hashes], codes: Integers) -> tuple[Hashes, Hashes]:
    return words[0][codes], words[1][codes]


def charge_dates(line: Mapping[str, Any], charge_type: str) -> ChargeDates:
    """The dates of a reconciliation line; `charge_type` is its charge type in lower case."""

    def day(name: str) -> date | None:
        # The year 9999 stands for no end.
        found: date | None = line[name]
        return None if found is None or found.year == 9999 else found

    return ChargeDates(
        day("charge_start_date"), day("charge_end_date"), day("subscription_start_date"), day("subscription_end_date"),
        charge_type == "changebillingplan",
    )  # fmt: skip


def extended_term_fee(price_adjustment: str) -> Decimal:
    """Fee of an Extended Service Term as a fraction, told by the price adjustment in lower case; 0 where none is."""
    found = _EXTENDED.search(price_adjustment)
    return EXACT.divide(Decimal(found[1]), Decimal(100)) if found else Decimal(0)
