"""Prices are asked by several threads at once: who finds a case known finds its answer, too."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import numpy as np
import pytest

from transforms import price_answers
from transforms.azure_prices import WHOLE
from transforms.integers import Integers
from transforms.money import tidy
from transforms.price_answers import OUTCOMES, AnswerColumns, PriceAnswers
from transforms.price_match import PriceAnswer, with_fee
from transforms.price_rows import NO_END, NO_START, PriceRow, per_cycle


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


@pytest.mark.parametrize("seed", range(20))
def test_prices_per_cycle_of_many_are_those_of_each(seed: int) -> None:
    """Whatever decimals the prices have, beyond 64 bits too, with fees and without."""
    random = Random(seed)
    answers = []
    for _ in range(random.randint(0, 30)):
        price = Decimal(random.randint(0, 10 ** random.choice([3, 6, 12, 19]))).scaleb(-random.randint(0, 12))
        fee = Decimal(random.choice(["0", "0", "0.03", "0.125"])) if seed % 2 else Decimal(0)
        cycle = WHOLE._replace(per_term=random.choice([1, 3, 12, 36]), fee=fee)
        answers.append(PriceAnswer("priced", make_row(tidy(price), "list"), cycle))
    columns = price_answers._columns(answers)
    for place, answer in enumerate(answers):
        assert answer.row is not None
        assert answer.cycle is not None
        whole = with_fee(answer.row.unit_price, answer.cycle)
        assert columns.erp_term_price.decimal(place) == whole
        for found in (columns.list_price, columns.erp_price):
            assert found.decimal(place) == per_cycle(whole, answer.cycle.per_term)


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
