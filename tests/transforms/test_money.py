"""Exact numbers against Python's own decimals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.columns import Kind
from transforms.money import Fixed, currency_exponent, parse_decimals

EXACT = Context(prec=400)
PRICES = st.decimals(min_value=-(10**12), max_value=10**12, places=22, allow_nan=False)
SMALL = st.decimals(min_value=-(10**5), max_value=10**5, places=2, allow_nan=False)


def fixed(values: Sequence[Decimal | None]) -> Fixed:
    return Fixed.from_arrow(pa.array(values, Kind.PRICE.arrow_type))


@given(st.lists(st.one_of(PRICES, SMALL), min_size=1, max_size=20), st.integers(0, 4))
def test_products_and_roundings_are_those_of_exact_decimals(values: list[Decimal], places: int) -> None:
    left, right = fixed(values), fixed(values[::-1])
    step = Decimal(1).scaleb(-places)
    everywhere = np.full(len(values), places)
    product = left * right
    cut, rounded = product.round_down(everywhere), product.round_half_up(everywhere)
    for row, (one, other) in enumerate(zip(values, values[::-1], strict=True)):
        exact = EXACT.multiply(one, other)
        assert product.decimal(row) == exact
        assert cut.decimal(row) == exact.quantize(step, ROUND_DOWN, EXACT)
        assert rounded.decimal(row) == exact.quantize(step, ROUND_HALF_UP, EXACT)


@given(st.lists(st.one_of(st.none(), PRICES, SMALL), min_size=1, max_size=20))
def test_arrow_round_trip_sums_and_order(values: list[Decimal | None]) -> None:
    column = fixed(values)
    assert column.to_arrow(Kind.PRICE).to_pylist() == values
    total = reduce(EXACT.add, (value for value in values if value is not None), Decimal(0))
    assert column.sum_by(np.zeros(len(values), np.int64), 1).decimal(0) == total
    for row, value in enumerate(values):
        expected = 0 if value is None else (value > 1) - (value < 1)
        assert column.compare(Fixed.constant(1, len(values)))[row] == expected


@given(st.lists(PRICES, min_size=1, max_size=10), st.integers(1, 400))
def test_division_rounds_the_exact_quotient_once(values: list[Decimal], divisor: int) -> None:
    quotient = fixed(values).divide(np.full(len(values), divisor), np.full(len(values), 6), half_up=True)
    for row, value in enumerate(values):
        whole = int(abs(value).scaleb(22, EXACT)) * 2
        step = divisor * 10**16
        expected = (whole + step) // (2 * step)
        assert abs(quotient.decimal(row) or 0) == Decimal(expected).scaleb(-6)


def test_each_row_may_have_its_own_decimals() -> None:
    column = fixed([Decimal("1.2345"), Decimal("-1.2355"), Decimal("1.5")])
    places = np.array([currency_exponent(code) for code in ("KWD", "USD", "JPY")])
    rounded = column.round_half_up(places)
    assert [rounded.decimal(row) for row in range(3)] == [Decimal("1.235"), Decimal("-1.24"), Decimal(2)]


def test_decimals_needed_ignores_trailing_zeros() -> None:
    values = [Decimal("9.40800"), Decimal("12"), Decimal("0"), Decimal("0.1835431430074643112595")]
    assert fixed(values).decimals_needed().tolist() == [3, 0, 0, 22]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1234.5", "-1234.5"), ("3.2e-05", "0.000032"), ("0E-20", "0"), ("0.00E+00", "0"), ("'22.0000", "22"),
        (" 7 ", "7"), ("0.1835431430074643112595", "0.1835431430074643112595"), (".5", "0.5"), ("5.", "5"),
    ],
)  # fmt: skip
def test_number_texts_of_real_exports(text: str, value: str) -> None:
    parsed, bad = parse_decimals(pa.array([text, None]), Kind.PRICE)
    assert parsed.to_pylist() == [Decimal(value), None]
    assert not bad.any()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.is_decimal])
@pytest.mark.parametrize(
    "text", ["9223372036854775807", "0E+30", "-1e999", "1e-400", f"1.{'0' * 40}", f"5{'0' * 45}e-40", "9" * 250]
)
def test_beside_a_bad_text_every_number_is_taken_exactly_or_is_bad(text: str, kind: Kind) -> None:
    parsed, bad = parse_decimals(pa.array([text, "bad"]), kind)
    value, limit = Decimal(text), Decimal(10) ** (kind.arrow_type.precision - kind.arrow_type.scale)
    tiny = 0 < abs(value) < 1
    fits = abs(value) < limit and (kind is not Kind.AMOUNT or not tiny)
    assert bad.tolist() == [not fits, True]
    assert parsed[0].as_py() == (None if not fits else 0 if tiny else value)


@pytest.mark.parametrize(
    "text",
    ["1,234.50", "1 234", "12.3.4", "abc", "NaN", "inf", "--1", "1e999", "1_000", "٣", "0x10", "12345678901234567"],
)
def test_what_is_no_number_or_does_not_fit_is_bad_and_nothing_else_is(text: str) -> None:
    parsed, bad = parse_decimals(pa.array(["1.5", text, "", "\\N", "2"]), Kind.PRICE)
    assert bad.tolist() == [False, True, False, False, False]
    assert parsed.to_pylist() == [Decimal("1.5"), None, None, None, Decimal(2)]


def test_more_decimals_than_an_amount_holds_are_refused_not_rounded() -> None:
    _, bad = parse_decimals(pa.array(["0.1234567"]), Kind.AMOUNT)
    assert bad.tolist() == [True]
    with pytest.raises(pa.ArrowInvalid):
        fixed([Decimal("0.1234567")]).to_arrow(Kind.AMOUNT)


def test_a_decimal_comma_only_where_the_file_uses_it() -> None:
    parsed, bad = parse_decimals(pa.array(["1234,5", "1.234,5", "7"]), Kind.AMOUNT, decimal_comma=True)
    assert parsed.to_pylist() == [Decimal("1234.5"), None, Decimal(7)]
    assert bad.tolist() == [False, True, False]
