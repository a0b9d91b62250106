"""Prices are asked by several threads at once: who finds a case known finds its answer, too."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from transforms import price_answers
from transforms.price_answers import OUTCOMES, AnswerColumns, PriceAnswers
from transforms.price_match import PriceAnswer


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
