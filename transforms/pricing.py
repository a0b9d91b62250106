"""The list price of every line: asks the price books and lays the answers beside the lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.azure_prices import AzureLists, AzurePriceBook, AzureQuestion
from transforms.categories import Categories, lowered, metered_usage
from transforms.grouping import distinct_cases
from transforms.money import EXACT, Fixed, Integers, Mask
from transforms.policy import Policy
from transforms.price_match import PriceAnswer, PriceBook, PriceQuestion, with_fee
from transforms.price_rows import PriceRow, per_cycle, price_rows
from transforms.tables.sources import PRICE_LIST
from transforms.terms import ChargeDates, Cycle, cycles_of

Question = PriceQuestion | AzureQuestion

_LICENCE = (
    "product_id", "sku_id", "customer_country", "pricing_currency", "currency", "customer_id", "unit_price",
    "billing_frequency", "term_and_billing_cycle", "charge_start_date", "charge_end_date", "subscription_start_date",
    "subscription_end_date", "price_adjustment_description", "charge_type", "billable_quantity",
)  # fmt: skip
#: From which columns an Azure question is read, in the order of its fields; None where the export has no such column.
_AZURE_LINE = ("product_id", "sku_id", "customer_country", "pricing_currency", None, "charge_start_date",
               "charge_end_date", "unit_price")  # fmt: skip
_AZURE_USAGE = ("product_id", "sku_id", "customer_country", "pricing_currency", "meter_id", "usage_date", "usage_date",
                "unit_price")  # fmt: skip
_LOWERED = ("term_and_billing_cycle", "billing_frequency", "customer_id", "price_adjustment_description", "charge_type")
_EXTENDED = re.compile(r"extended service terms? *[:-]? *([0-9]+(?:\.[0-9]+)?) *%")


@dataclass(frozen=True)
class Pricing:
    """What the price lists say of each line.

    Attributes:
        outcome: `priced`, `not_found`, `not_effective`, or empty for a line that no list speaks of.
        list_price: partner's price per charge cycle, pricing currency.
        erp_price: ERP price per charge cycle, pricing currency.
        erp_term_price: ERP price of the whole term.
        per_term: charge cycles in the term.
        billed: days (after a change of plan months) charged for.
        full: days or months of the full charge cycle.
    """

    outcome: np.ndarray[Any, Any]
    list_price: Fixed
    erp_price: Fixed
    erp_term_price: Fixed
    per_term: Integers
    billed: Integers
    full: Integers
    _asked: Integers
    _questions: list[Question]
    _answers: list[PriceAnswer]

    @property
    def priced(self) -> Mask:
        """Lines with a list price."""
        found: Mask = self.outcome == "priced"
        return found

    def question(self, row: int) -> Question:
        """What was asked for a line that a list ought to price."""
        return self._questions[int(self._asked[row])]

    def answer(self, row: int) -> PriceAnswer:
        """What the price book answered for it."""
        return self._answers[int(self._asked[row])]

    def priced_by(self, row: int) -> tuple[PriceRow, Cycle]:
        """The price list row of a line with a list price, and the cycle it was applied to."""
        answer = self.answer(row)
        assert answer.row is not None
        assert answer.cycle is not None
        return answer.row, answer.cycle

    def price_rows(self) -> dict[str, pa.Array]:
        """Where each line's price comes from: segment, its origin, and the price list's file and row."""
        rows = [answer.row for answer in self._answers]
        columns: dict[str, tuple[list[Any], pa.DataType]] = {
            "segment": ([row.segment or None if row else None for row in rows], pa.string()),
            "segment_source": ([answer.segment_source or None for answer in self._answers], pa.string()),
            "price_file_sha256": ([row.file_sha256 if row else None for row in rows], pa.string()),
            "price_source_file": ([row.source_file if row else None for row in rows], pa.string()),
            "price_source_row": ([row.source_row if row else None for row in rows], pa.int64()),
        }
        codes = pa.array(self._asked, mask=self._asked < 0)
        return {name: pa.array(values, kind).take(codes) for name, (values, kind) in columns.items()}


def price_lines(
    recon: pa.Table, categories: Categories, price_lists: pa.Table, lists: AzureLists, policy: Policy
) -> Pricing:
    """Price every licence line and every Azure-plan line that is not free, trial or credit.

    Args:
        recon: reconciliation lines.
        categories: their categories.
        price_lists: rows of every price list loaded.
        lists: the Azure plan lists of the lines' month.
        policy: segments and tolerances by customer and the default ones.
    """
    rows = price_rows(price_lists, recon.column("product_id").unique())
    licences = np.flatnonzero(categories.licence & ~categories.unpriced)
    metered = categories.azure_plan & categories.first_party & ~categories.unpriced
    return _pricing(
        recon.num_rows,
        _ask_licences(recon, licences, rows, policy),
        _ask_azure(recon, np.flatnonzero(metered & _listed(recon, lists)), _AZURE_LINE, AzurePriceBook(rows, lists)),
    )


def price_usage(usage: pa.Table, price_lists: pa.Table, lists: AzureLists) -> Pricing:
    """Price every daily usage line of Microsoft's own meters that is neither free nor paid by a credit or benefit.

    Args:
        usage: usage lines.
        price_lists: rows of every price list loaded.
        lists: the Azure plan lists of the lines' month.
    """
    if not lists.files:
        return _pricing(usage.num_rows)
    rows = price_rows(price_lists, usage.column("product_id").unique())
    asked = np.flatnonzero(metered_usage(usage) & _listed(usage, lists))
    return _pricing(usage.num_rows, _ask_azure(usage, asked, _AZURE_USAGE, AzurePriceBook(rows, lists)))


@dataclass(frozen=True)
class _Asked:
    """What was asked for which rows, and the answers; `codes` number the questions."""

    rows: Integers
    codes: Integers
    questions: list[Question]
    answers: list[PriceAnswer]


def _pricing(count: int, *parts: _Asked) -> Pricing:
    asked = np.full(count, -1, dtype=np.int64)
    questions: list[Question] = []
    answers: list[PriceAnswer] = []
    for part in parts:
        asked[part.rows] = part.codes + len(answers)
        questions += part.questions
        answers += part.answers
    cycles = [answer.cycle for answer in answers]
    per_term = [cycle.per_term if cycle else 1 for cycle in cycles]
    unit_prices = [_term_price(answer, answer.row.unit_price if answer.row else None) for answer in answers]
    erp_prices = [_term_price(answer, answer.row.erp_price if answer.row else None) for answer in answers]

    def spread(values: list[Any], default: Any, dtype: Any) -> np.ndarray[Any, Any]:
        table = np.array([*values, default], dtype=dtype)
        spread_out: np.ndarray[Any, Any] = table[asked]
        return spread_out

    return Pricing(
        outcome=spread([answer.outcome for answer in answers], "", object),
        list_price=_prices(_shares(unit_prices, per_term), asked),
        erp_price=_prices(_shares(erp_prices, per_term), asked),
        erp_term_price=_prices(erp_prices, asked),
        per_term=spread(per_term, 1, np.int64),
        billed=spread([cycle.billed if cycle else 1 for cycle in cycles], 1, np.int64),
        full=spread([cycle.full if cycle else 1 for cycle in cycles], 1, np.int64),
        _asked=asked,
        _questions=questions,
        _answers=answers,
    )


def _ask_licences(recon: pa.Table, rows: Integers, price_list: list[PriceRow], policy: Policy) -> _Asked:
    tiered = {row.product_id for row in price_list if row.billing_plan and row.tier != (None, None)}
    subset = recon.select(list(_LICENCE)).take(pa.array(rows))
    for name in _LOWERED:
        subset = subset.set_column(subset.column_names.index(name), name, lowered(subset, name))
    codes, cases = distinct_cases(subset, [name for name in _LICENCE if tiered or name != "billable_quantity"])
    questions = [_licence_question(case, tiered, policy) for case in cases]
    book = PriceBook(price_list)
    answers = [book.answer(question, policy.default_segment) for question in questions]
    return _Asked(rows, codes, list(questions), answers)


def _ask_azure(table: pa.Table, rows: Integers, names: Sequence[str | None], book: AzurePriceBook) -> _Asked:
    columns = [table.column(name) if name else pa.nulls(table.num_rows, pa.string()) for name in names]
    texts = [pc.fill_null(column, "") if column.type == pa.string() else column for column in columns]
    subset = pa.Table.from_arrays(texts, names=list(AzureQuestion._fields)).take(pa.array(rows))
    codes, cases = distinct_cases(subset, AzureQuestion._fields)
    questions = [AzureQuestion(**case) for case in cases]
    return _Asked(rows, codes, list(questions), [book.answer(question) for question in questions])


def _licence_question(case: dict[str, Any], tiered: set[str], policy: Policy) -> PriceQuestion:
    customer = policy.of(case["customer_id"])
    dates = charge_dates(case, case["charge_type"])
    fee = extended_term_fee(case["price_adjustment_description"])
    return PriceQuestion(
        case["product_id"] or "",
        case["sku_id"] or "",
        case["customer_country"] or "",
        case["pricing_currency"] or case["currency"] or "",
        cycles_of(case["term_and_billing_cycle"], case["billing_frequency"], dates, fee),
        dates.term_start or dates.charge_start,
        dates.charge_start,
        case["unit_price"],
        case["billable_quantity"] if (case["product_id"] or "").upper() in tiered else None,
        customer.segment,
        customer.price_tolerance,
    )


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


def _listed(table: pa.Table, lists: AzureLists) -> Mask:
    """Lines for whose market and pricing currency an Azure plan list of the month is loaded."""
    if not lists.files:
        return np.zeros(table.num_rows, dtype=np.bool_)
    codes, cases = distinct_cases(table, ("customer_country", "pricing_currency"))
    known = [lists.speak_of(case["customer_country"] or "", case["pricing_currency"] or "") for case in cases]
    listed: Mask = np.array([*known, False])[codes]
    return listed


def _term_price(answer: PriceAnswer, price: Decimal | None) -> Decimal | None:
    return None if answer.cycle is None or price is None else with_fee(price, answer.cycle)


def _shares(prices: list[Decimal | None], per_term: list[int]) -> list[Decimal | None]:
    return [
        None if price is None else per_cycle(price, cycles) for price, cycles in zip(prices, per_term, strict=True)
    ]


def _prices(values: list[Decimal | None], asked: Integers) -> Fixed:
    column = Fixed.from_arrow(pa.array([*values, None], PRICE_LIST["unit_price"].kind.arrow_type))
    return column.take(asked)
