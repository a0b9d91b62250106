"""The list price of every licence line: asks the price book and lays the answers beside the lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, lowered
from transforms.money import Fixed, Integers, Mask, decimals_of, divide
from transforms.policy import Policy
from transforms.price_match import PriceAnswer, PriceBook, PriceKey, PriceQuestion, per_cycle
from transforms.tables.sources import PRICE_LIST
from transforms.terms import Cycle, cycle_of

_ASKED = (
    "product_id", "sku_id", "customer_country", "pricing_currency", "currency", "customer_id", "unit_price",
    "billing_frequency", "term_and_billing_cycle", "charge_start_date", "charge_end_date", "subscription_start_date",
    "subscription_end_date",
)  # fmt: skip


@dataclass(frozen=True)
class Pricing:
    """What the price lists say of each line.

    Attributes:
        outcome: `priced`, `not_found`, `not_effective`, or empty for a line that no list speaks of.
        list_price: partner's price per charge cycle, pricing currency.
        erp_price: ERP price per charge cycle, pricing currency.
        erp_term_price: ERP price of the whole term.
        per_term: charge cycles in the term.
        billed_days: days charged for.
        cycle_days: days of the full charge cycle.
    """

    outcome: np.ndarray[Any, Any]
    list_price: Fixed
    erp_price: Fixed
    erp_term_price: Fixed
    per_term: Integers
    billed_days: Integers
    cycle_days: Integers
    _asked: Integers
    _questions: list[PriceQuestion]
    _answers: list[PriceAnswer]

    @property
    def priced(self) -> Mask:
        """Lines with a list price."""
        found: Mask = self.outcome == "priced"
        return found

    def question(self, row: int) -> PriceQuestion:
        """What was asked for a line that a list ought to price."""
        return self._questions[int(self._asked[row])]

    def answer(self, row: int) -> PriceAnswer:
        """What the price book answered for it."""
        return self._answers[int(self._asked[row])]

    def full_cycle_price(self, row: int, effective: Decimal | None) -> Decimal | None:
        """A line's effective unit price scaled to its full charge cycle, for a message (ten decimals)."""
        if effective is None:
            return None
        places = max(10, decimals_of(effective))
        return divide(effective * int(self.cycle_days[row]), int(self.billed_days[row]), places, ROUND_HALF_UP)

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


def price_lines(recon: pa.Table, categories: Categories, price_lists: pa.Table, policy: Policy) -> Pricing:
    """Price every licence line that is not free, trial or credit.

    Args:
        recon: reconciliation lines.
        categories: their categories.
        price_lists: rows of every price list loaded.
        policy: segments by customer and the default one.
    """
    rows = np.flatnonzero(categories.licence & ~categories.unpriced)
    count = recon.num_rows
    asked = np.full(count, -1, dtype=np.int64)
    codes, distinct = _distinct(recon, rows)
    asked[rows] = codes
    cycles = [_cycle(case) for case in distinct]
    questions = [_question(case, cycle, policy) for case, cycle in zip(distinct, cycles, strict=True)]
    products = pa.array({question.key.product_id for question in questions}, pa.string())
    book = PriceBook(price_lists.filter(pc.is_in(price_lists.column("product_id"), products)))
    answers = [book.answer(question, policy.default_segment) for question in questions]

    def spread(values: list[Any], default: Any, dtype: Any) -> np.ndarray[Any, Any]:
        table = np.array([*values, default], dtype=dtype)
        spread_out: np.ndarray[Any, Any] = table[asked]
        return spread_out

    found = [answer.row for answer in answers]
    per_term = [question.per_term for question in questions]
    return Pricing(
        outcome=spread([answer.outcome for answer in answers], "", object),
        list_price=_prices(_shares([row.unit_price if row else None for row in found], per_term), asked),
        erp_price=_prices(_shares([row.erp_price if row else None for row in found], per_term), asked),
        erp_term_price=_prices([row.erp_price if row else None for row in found], asked),
        per_term=spread(per_term, 1, np.int64),
        billed_days=spread([cycle.billed_days if cycle else 1 for cycle in cycles], 1, np.int64),
        cycle_days=spread([cycle.cycle_days if cycle else 1 for cycle in cycles], 1, np.int64),
        _asked=asked,
        _questions=questions,
        _answers=answers,
    )


def _distinct(recon: pa.Table, rows: Integers) -> tuple[Integers, list[dict[str, Any]]]:
    """Number the distinct pricing cases among these rows, and give one of each."""
    subset = recon.take(pa.array(rows)).select(list(_ASKED))
    for name in ("term_and_billing_cycle", "billing_frequency", "customer_id"):
        subset = subset.set_column(subset.column_names.index(name), name, lowered(subset, name))
    codes = {name: subset.column(name).combine_chunks().dictionary_encode("encode").indices for name in _ASKED}
    frame = pd.DataFrame({name: np.asarray(column) for name, column in codes.items()})
    numbers = frame.groupby(list(_ASKED), sort=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return numbers, subset.take(pa.array(first)).to_pylist()


def _cycle(case: dict[str, Any]) -> Cycle | None:
    return cycle_of(
        case["term_and_billing_cycle"],
        case["billing_frequency"],
        case["charge_start_date"],
        case["charge_end_date"],
        case["subscription_start_date"],
        case["subscription_end_date"],
    )


def _question(case: dict[str, Any], cycle: Cycle | None, policy: Policy) -> PriceQuestion:
    customer = policy.customers.get(case["customer_id"])
    segment = customer.segment if customer else None
    key = PriceKey(
        case["product_id"],
        case["sku_id"],
        cycle.term if cycle else "",
        cycle.plan if cycle else "",
        case["customer_country"] or "",
        case["pricing_currency"] or case["currency"] or "",
    )
    on: date | None = case["subscription_start_date"] or case["charge_start_date"]
    return PriceQuestion(key, on, cycle.per_term if cycle else 1, case["unit_price"], segment)


def _shares(prices: list[Decimal | None], per_term: list[int]) -> list[Decimal | None]:
    return [
        None if price is None else per_cycle(price, cycles) for price, cycles in zip(prices, per_term, strict=True)
    ]


def _prices(values: list[Decimal | None], asked: Integers) -> Fixed:
    column = Fixed.from_arrow(pa.array([*values, None], PRICE_LIST["unit_price"].kind.arrow_type))
    return column.take(asked)

