"""Prices are asked by several threads at once: who finds a case known finds its answer, too."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from transforms import price_answers
from transforms.azure_prices import WHOLE
from transforms.integers import Integers
from transforms.price_answers import OUTCOMES, AnswerColumns, PriceAnswers
from transforms.price_match import PriceAnswer
from transforms.price_rows import NO_END, NO_START, PriceRow


def test_a_case_is_known_to_other_threads_only_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread asks for the same cases while the first one makes their columns."""
    make_columns = price_answers._columns
    answers = PriceAnswers(make_columns([]), lambda number: PriceAnswer("priced"))
    cases = np.arange(5, dtype=np.uint64)
    seen: list[list[str]] = []

    def ask() -> None:
        numbers = answers.numbers((cases, cases), lambda places: [PriceAnswer("not_found")] * len(places))
        seen.append([OUTCOMES[outcome] for outcome in answers.columns().outcome[numbers]])

    other = threading.Thread(target=ask)

    def while_another_asks(found: Sequence[PriceAnswer]) -> AnswerColumns:
        if other.ident is None:
            other.start()
            other.join(0.2)
        return make_columns(found)

    monkeypatch.setattr(price_answers, "_columns", while_another_asks)
    ask()
    other.join()
    assert seen == [["not_found"] * 5] * 2


def make_row(price: Decimal, source_file: str) -> PriceRow:
    """A row of an Azure plan list."""
    return PriceRow(
        "DZH318Z0BPS6", "0001", "", "", "US", "USD", price, price, "", (None, None), NO_START, NO_END, NO_START,
        NO_START, (), "0" * 64, source_file, 2,
    )  # fmt: skip


def one_answer(row: PriceRow, places: Integers) -> list[PriceAnswer]:
    """The only answer there is."""
    return [PriceAnswer("priced", row, WHOLE)] * len(places)


def test_what_is_learnt_part_by_part_stands_where_it_was_and_is_not_copied_each_time() -> None:
    """Earlier columns keep their values when prices with more decimals, and ones beyond 64 bits, join them."""
    prices = [Decimal(1), Decimal("0.25"), Decimal("7.1234567890"), Decimal("123456789012.1234567890"), Decimal(3)]
    rows = [make_row(price, f"list {place % 2}") for place, price in enumerate(prices)]
    given = price_answers._columns([PriceAnswer("priced", rows[0], WHOLE), PriceAnswer("not_found")])
    answers = PriceAnswers(given, lambda number: PriceAnswer("priced", rows[0], WHOLE))
    earlier: list[tuple[AnswerColumns, int]] = []
    numbers: list[int] = [0]
    for place, row in enumerate(rows[1:], start=1):
        case = np.array([place], dtype=np.uint64)
        told = answers.numbers((case, case), functools.partial(one_answer, row))
        numbers.append(int(told[0]))
        earlier.append((answers.columns(), place))
    assert answers.nothing == 1
    for columns, last in earlier:
        for place in range(last + 1):
            number = numbers[place]
            assert columns.list_price.decimal(number) == prices[place]
            codes, names = columns.texts["price_source_file"]
            assert names[int(codes[number])].as_py() == f"list {place % 2}"
    assert np.shares_memory(earlier[-1][0].source_row, earlier[-2][0].source_row)
