"""What the price lists answered, case by case, kept over all parts of a month: equal cases are asked once.

A case is what an answer depends on: product, SKU, market, currency, days between two changes of the lists, and the
price that the line shows. It is known by a digest of 128 bits, so that no line's texts are compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from transforms.digests import Hashes
from transforms.grouping import first_rows
from transforms.integers import Integers, appended
from transforms.money import Fixed
from transforms.price_match import PriceAnswer, with_fee
from transforms.price_rows import per_cycle

OUTCOMES = ("", "priced", "not_found", "not_effective")
_TEXTS = ("segment", "segment_source", "price_file_sha256", "price_source_file")


@dataclass(frozen=True)
class AnswerColumns:
    """Answers, one row each; one row of those given at first stands for lines that nothing was asked for."""

    outcome: Integers
    list_price: Fixed
    erp_price: Fixed
    erp_term_price: Fixed
    per_term: Integers
    place: Integers
    source_row: Integers
    texts: dict[str, tuple[Integers, pa.Array]]

    def first(self, rows: int) -> AnswerColumns:
        """The first rows, in the same memory."""
        return AnswerColumns(
            self.outcome[:rows], self.list_price.first(rows), self.erp_price.first(rows),
            self.erp_term_price.first(rows), self.per_term[:rows], self.place[:rows], self.source_row[:rows],
            {name: (codes[:rows], values) for name, (codes, values) in self.texts.items()},
        )  # fmt: skip

    def appended(self, rows: int, more: AnswerColumns) -> AnswerColumns:
        """The first rows, others behind them, and room for more; see `integers.appended`."""

        def numbers(name: str) -> Integers:
            return appended(getattr(self, name), rows, getattr(more, name))

        return AnswerColumns(
            numbers("outcome"), self.list_price.appended(rows, more.list_price),
            self.erp_price.appended(rows, more.erp_price), self.erp_term_price.appended(rows, more.erp_term_price),
            numbers("per_term"), numbers("place"), numbers("source_row"),
            {name: _appended_texts(self.texts[name], rows, more.texts[name]) for name in _TEXTS},
        )  # fmt: skip


class PriceAnswers:
    """Answers by case; threads may share it.

    The first ones are given as columns, to be asked for by number; the others are learnt.

    Attributes:
        nothing: the number of the row that stands for lines that nothing was asked for, the last of those given.
    """

    def __init__(self, given: AnswerColumns, answer: Callable[[int], PriceAnswer]) -> None:
        """Begin with given answers; `answer` makes one of them by its number."""
        self.nothing = len(given.outcome) - 1
        self._answer = answer
        self._learnt: list[PriceAnswer] = []
        self._numbers: dict[int, int] = {}
        self._seconds = np.zeros(0, dtype=np.uint64)
        self._lock = threading.Lock()
        self._columns = self._room = given

    def answer(self, number: int) -> PriceAnswer:
        """One answer by its number."""
        return self._answer(number) if number < self.nothing else self._learnt[number - self.nothing - 1]

    def numbers(self, cases: tuple[Hashes, Hashes], ask: Callable[[Integers], list[PriceAnswer]]) -> Integers:
        """The number of each row's answer.

        Args:
            cases: digests of the rows' cases, in two halves.
            ask: asks the price lists for the rows at some positions; called once for all cases that are new.
        """
        first, second = cases
        codes, distinct = pd.factorize(first)
        rows = first_rows(codes, len(distinct))
        known = [self._numbers.get(case, -1) for case in distinct.tolist()]
        if -1 in known:
            known = self._learn(distinct, rows, second, known, ask)
        numbers: Integers = np.array(known, dtype=np.int64)[codes]
        if not (self._seconds[numbers - self.nothing - 1] == second).all():
            raise AssertionError("two different cases have the same digest")
        return numbers

    def columns(self) -> AnswerColumns:
        """The answers so far as columns."""
        return self._columns

    def _learn(
        self, distinct: Hashes, rows: Integers, second: Hashes, known: list[int],
        ask: Callable[[Integers], list[PriceAnswer]],
    ) -> list[int]:  # fmt: skip
        new = [place for place, number in enumerate(known) if number < 0]
        found = ask(rows[new])
        with self._lock:
            added: dict[int, tuple[PriceAnswer, int]] = {}
            for place, answer in zip(new, found, strict=True):
                case = int(distinct[place])
                if case not in self._numbers:
                    added[case] = answer, int(second[rows[place]])
            count = len(self._columns.outcome)
            numbers = {case: count + place for place, case in enumerate(added)}
            self._learnt.extend(answer for answer, _ in added.values())
            seconds = np.array([its for _, its in added.values()], dtype=np.uint64)
            self._seconds = np.concatenate([self._seconds, seconds])
            # In place, because most of a month's parts learn something: a copy of all answers each time grew with them.
            self._room = self._room.appended(count, _columns([answer for answer, _ in added.values()]))
            self._columns = self._room.first(count + len(added))
            # Last, because other threads take a number that they find here to what stands above.
            self._numbers.update(numbers)
        for place in new:
            known[place] = self._numbers[int(distinct[place])]
        return known


def _columns(answers: Sequence[PriceAnswer]) -> AnswerColumns:
    rows = [answer.row for answer in answers]
    per_term = [answer.cycle.per_term if answer.cycle else 1 for answer in answers]
    prices = [_term_price(answer, row.unit_price if row else None) for answer, row in zip(answers, rows, strict=True)]
    retail = [_term_price(answer, row.erp_price if row else None) for answer, row in zip(answers, rows, strict=True)]
    texts = {
        "segment": [row.segment or None if row else None for row in rows],
        "segment_source": [answer.segment_source or None for answer in answers],
        "price_file_sha256": [row.file_sha256 if row else None for row in rows],
        "price_source_file": [row.source_file if row else None for row in rows],
    }
    return AnswerColumns(
        np.array([OUTCOMES.index(answer.outcome) for answer in answers], dtype=np.int8),
        Fixed.of(_shares(prices, per_term)),
        Fixed.of(_shares(retail, per_term)),
        Fixed.of(retail),
        np.array(per_term, dtype=np.int64),
        np.array([answer.place for answer in answers], dtype=np.int64),
        np.array([row.source_row if row else -1 for row in rows], dtype=np.int64),
        {name: _coded(values) for name, values in texts.items()},
    )


def _coded(values: list[Any]) -> tuple[Integers, pa.Array]:
    """Codes, -1 for none, and distinct texts."""
    array = pa.array(values, pa.string()).dictionary_encode()
    return np.asarray(array.indices.fill_null(-1)), array.dictionary


def _appended_texts(
    held: tuple[Integers, pa.Array], rows: int, more: tuple[Integers, pa.Array]
) -> tuple[Integers, pa.Array]:
    (codes, values), (its_codes, its_values) = held, more
    together = pa.concat_arrays([values, its_values]).dictionary_encode()
    places = np.append(np.asarray(together.indices), -1)
    if (places[: len(values)] != np.arange(len(values))).any():
        raise AssertionError("texts that are held are not distinct, so that their codes would not stay what they are")
    its_places = places[len(values) :]
    return appended(codes, rows, its_places[its_codes].astype(codes.dtype)), together.dictionary


def _term_price(answer: PriceAnswer, price: Decimal | None) -> Decimal | None:
    return None if answer.cycle is None or price is None else with_fee(price, answer.cycle)


def _shares(prices: list[Decimal | None], per_term: list[int]) -> list[Decimal | None]:
    return [
        None if price is None else per_cycle(price, cycles) for price, cycles in zip(prices, per_term, strict=True)
    ]
