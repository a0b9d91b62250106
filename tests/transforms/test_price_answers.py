"""Answers that threads share: none sees a number whose answer is not there yet."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from transforms import price_answers
from transforms.price_answers import AnswerColumns, PriceAnswers
from transforms.price_match import PriceAnswer

_CASES = (np.array([1, 2], dtype=np.uint64), np.array([3, 4], dtype=np.uint64))


def test_a_number_is_known_only_when_its_columns_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread asks for the same cases while the first one is about to publish them."""
    answers = PriceAnswers(price_answers._columns([]), _never)
    joined = price_answers._joined
    seen: list[tuple[Any, int]] = []

    def ask() -> None:
        numbers = answers.numbers(_CASES, lambda place: PriceAnswer("not_found", None, None))
        seen.append((numbers, len(answers.columns().outcome) - 1))

    other = threading.Thread(target=ask)

    def slowly(one: AnswerColumns, more: AnswerColumns) -> AnswerColumns:
        if not other.ident:
            other.start()
            other.join(0.2)
        return joined(one, more)

    monkeypatch.setattr(price_answers, "_joined", slowly)
    ask()
    other.join()
    assert len(seen) == 2
    for numbers, count in seen:
        assert numbers.max() < count
        assert (answers.columns().outcome[numbers] == price_answers.OUTCOMES.index("not_found")).all()


def _never(number: int) -> PriceAnswer:
    raise AssertionError(f"answer {number} was not given")
