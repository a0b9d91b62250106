"""Integers and texts as words: products and quotients as Python has them, and the same words for the same text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from transforms.text_words import text_words
from transforms.wide import Wide


@pytest.mark.parametrize("count", [1, 50])
def test_wide_products_are_divided_as_python_divides_them(count: int) -> None:
    numbers = np.random.default_rng(7)
    left, right = (numbers.integers(-(2**62), 2**62, count) for _ in range(2))
    exact = [int(one) * int(other) for one, other in zip(left, right, strict=True)]
    product = Wide.product(left, right)
    high, low = product.words()
    assert [(int(one) << 64) + int(other) for one, other in zip(high, low, strict=True)] == exact
    for places in (0, 1, 9, 10, 27, 37):
        for half_up in (False, True):
            high, low = product.divided(places, half_up=half_up).words()
            step = 10**places
            whole = [(2 * abs(value) + step) // (2 * step) if half_up else abs(value) // step for value in exact]
            signed = [value if number >= 0 else -value for value, number in zip(whole, exact, strict=True)]
            assert [(int(one) << 64) + int(other) for one, other in zip(high, low, strict=True)] == signed


def test_texts_have_the_same_words_wherever_they_stand() -> None:
    texts = ["", "a", "a" * 36, "b" * 36, "x" * 300, "é" * 20, "a\x00", "12345678", "123456789"]
    first, second = text_words(pa.array(texts))
    assert len({*zip(first.tolist(), second.tolist(), strict=True)}) == len(texts)
    for place, text in enumerate(texts):
        alone = [words[0] for words in text_words(pa.array(["other", text]).slice(1))]
        assert alone == [first[place], second[place]]
