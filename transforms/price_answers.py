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
from transforms.integers import INT64_MAX, Integers, appended, largest, without_zeros
from transforms.money import Fixed
from transforms.price_match import PriceAnswer
from transforms.price_rows import CYCLE_DECIMALS

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
        self._known = _Known(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64))
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
        numbers = self._known.numbers(first)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            self._learn(first, second, new, ask)
            numbers[new] = self._known.numbers(first[new])
        if not (self._seconds[numbers - self.nothing - 1] == second).all():
            raise AssertionError("two different cases have the same digest")
        return numbers

    def columns(self) -> AnswerColumns:
        """The answers so far as columns."""
        return self._columns

    def _learn(
        self, first: Hashes, second: Hashes, new: Integers, ask: Callable[[Integers], list[PriceAnswer]]
    ) -> None:
        codes, cases = pd.factorize(first[new])
        rows = new[first_rows(codes, len(cases))]
        found = ask(rows)
        with self._lock:
            # Another thread may have learnt some of them meanwhile.
            added = np.flatnonzero(self._known.numbers(cases) < 0)
            answers = [found[place] for place in added.tolist()]
            count = len(self._columns.outcome)
            self._learnt.extend(answers)
            self._seconds = np.concatenate([self._seconds, second[rows[added]]])
            # In place, because most of a month's parts learn something: a copy of all answers each time grew with them.
            self._room = self._room.appended(count, _columns(answers))
            self._columns = self._room.first(count + len(added))
            # Last, because other threads take a number that they find here to what stands above.
            self._known = self._known.with_more(cases[added], count + np.arange(len(added)))


@dataclass(frozen=True)
class _Known:
    """The first halves of the cases' digests, in their order, and the answers' numbers."""

    cases: Hashes
    its_numbers: Integers

    def numbers(self, cases: Hashes) -> Integers:
        """The number of each case's answer; -1 where none is known."""
        if not len(self.cases):
            return np.full(len(cases), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.cases, cases), len(self.cases) - 1)
        return np.where(self.cases[places] == cases, self.its_numbers[places], -1)

    def with_more(self, cases: Hashes, numbers: Integers) -> _Known:
        """With cases that are not among them."""
        together = np.concatenate([self.cases, cases])
        order = np.argsort(together, kind="stable")
        return _Known(together[order], np.concatenate([self.its_numbers, numbers])[order])


def _columns(answers: Sequence[PriceAnswer]) -> AnswerColumns:
    rows = [answer.row for answer in answers]
    per_term = np.array([answer.cycle.per_term if answer.cycle else 1 for answer in answers], dtype=np.int64)
    fees = [answer.cycle.fee if answer.cycle else Decimal(0) for answer in answers]
    factors = Fixed.of([1 + fee for fee in fees]) if any(fees) else Fixed.constant(1, len(answers))
    prices = Fixed.of([row.unit_price if row else None for row in rows]) * factors
    retail = Fixed.of([row.erp_price if row else None for row in rows]) * factors
    texts = {
        "segment": [row.segment or None if row else None for row in rows],
        "segment_source": [answer.segment_source or None for answer in answers],
        "price_file_sha256": [row.file_sha256 if row else None for row in rows],
        "price_source_file": [row.source_file if row else None for row in rows],
    }
    return AnswerColumns(
        np.array([OUTCOMES.index(answer.outcome) for answer in answers], dtype=np.int8),
        _shares(prices, per_term),
        _shares(retail, per_term),
        retail,
        per_term,
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


def _shares(prices: Fixed, per_term: Integers) -> Fixed:
    """Each price per charge cycle, as `price_rows.per_cycle` of one."""
    places = np.maximum(prices.decimals_needed(), CYCLE_DECIMALS)
    shares = prices.divide(per_term, places, half_up=True)
    units, scale = without_zeros(shares.units, shares.scale)
    return Fixed(units if largest(units) > INT64_MAX else units.astype(np.int64), scale, shares.valid)
