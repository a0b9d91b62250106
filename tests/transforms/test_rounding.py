"""Which rounding rule explains a subtotal, at the limits of what a printed unit price leaves open."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from transforms.customer_rules import LineRules
from transforms.line_numbers import Coins
from transforms.money import Fixed
from transforms.policy import CustomerPolicy, Policy
from transforms.rounding import explain_subtotals

TWO_CENTS = Coins(np.array([2, 2]), np.array([2, 2]))
NOBODY = LineRules(Policy(), pa.nulls(1, pa.string()))


def column(*values: str | None) -> Fixed:
    return Fixed.from_arrow(pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(38, 12)))


def judged(
    price: str, quantity: str, subtotal: str, rate: str = "1", places: int = 2, rules: LineRules = NOBODY,
    pricing: int = 2,
) -> tuple[str, Decimal | None]:  # fmt: skip
    coins = Coins(np.array([places]), np.array([pricing]))
    result = explain_subtotals(column(price), column(quantity), column(rate), column(subtotal), coins, rules)
    return result.rules()[0].as_py() or "", result.nearest.decimal(0)


@pytest.mark.parametrize(
    ("price", "quantity", "rate", "places", "expected"),
    [
        pytest.param("2.345", "3", "1", 2, {"A": "7.03", "B": "7.02", "C": "7.04"}, id="three rules, three results"),
        pytest.param("-2.345", "3", "1", 2, {"A": "-7.03", "B": "-7.02", "C": "-7.04"}, id="towards zero"),
        pytest.param("2.345", "3", "0.9", 2, {"A": "6.32", "B": "6.33", "C": "6.33"}, id="A cuts before the rate too"),
        pytest.param("2.345", "3", "151.5", 0, {"A": "1065", "B": "1065", "C": "1066"}, id="no coins smaller than one"),
        pytest.param("12.34", "3", "151.25", 0, {"A": "5599", "B": "5598", "C": "5599"}, id="cents before it"),
        pytest.param("2.3456", "3", "0.3", 3, {"A": "2.109", "B": "2.109", "C": "2.111"}, id="coins of a thousandth"),
    ],
)
def test_each_rule_by_itself(price: str, quantity: str, rate: str, places: int, expected: dict[str, str]) -> None:
    for rule, amount in expected.items():
        first = next(name for name, other in expected.items() if Decimal(other) == Decimal(amount))
        assert judged(price, quantity, amount, rate, places) == (first, Decimal(amount)), rule


@pytest.mark.parametrize(
    ("price", "quantity", "subtotal", "rule"),
    [
        # Two decimals or fewer: 0.01 + quantity × 0.005 around the nearest rule, both ends included.
        pytest.param("10", "4", "40.03", "A", id="at the upper end"),
        pytest.param("10", "4", "39.97", "A", id="at the lower end"),
        pytest.param("10", "4", "40.031", "", id="beyond the upper end"),
        pytest.param("10", "4", "39.969", "", id="beyond the lower end"),
        pytest.param("10.25", "4", "41.03", "A", id="two decimals printed"),
        pytest.param("10", "-4", "-40.03", "A", id="negative quantities count as much"),
        pytest.param("10", "4", "-40", "", id="the sign is not forgiven"),
        # More decimals: what a price that prints the same would give.
        pytest.param("1.005", "100", "100.50", "A", id="exact"),
        pytest.param("1.005", "100", "100.55", "C", id="half a thousandth more"),
        pytest.param("1.005", "100", "100.45", "A", id="half a thousandth less"),
        pytest.param("1.005", "100", "100.56", "", id="more than that"),
        pytest.param("1.005", "100", "100.44", "", id="less than that"),
        pytest.param("1.0000000005", "100", "100.01", "", id="ten decimals leave nothing open"),
    ],
)
def test_what_the_printed_price_leaves_open(price: str, quantity: str, subtotal: str, rule: str) -> None:
    assert bool(judged(price, quantity, subtotal)[0]) == bool(rule)


def test_a_cut_that_the_printed_price_hides() -> None:
    """9.9999999999 prints as 10.0000000000 at ten decimals; rule B charges 9.99 of it."""
    assert judged("9.9999999999", "7", "69.93")[0] == "B"
    assert judged("3.3300000001", "7", "23.31")[0] in ("A", "B")
    assert judged("4.3399999999", "7", "30.38")[0] != ""
    assert judged("4.3399999999", "7", "30.31")[0] == "B"


def test_the_tolerance_is_a_coin_at_least_and_grows_with_the_rate() -> None:
    assert judged("10", "0", "1", places=0)[0] == "A"
    assert judged("10", "0", "1.005", places=0)[0] == ""
    assert judged("566.67", "100", "56666", places=0)[0] == "A", "566.6666… × 100, cut"
    assert judged("10", "0", "0.01", places=3)[0] == "A"
    assert judged("10", "0", "0.011", places=3)[0] == ""
    assert judged("10", "4", "60.04", rate="1.5")[0] == "A"
    assert judged("10", "4", "60.041", rate="1.5")[0] == ""
    assert judged("10", "4", "20.03", rate="0.5")[0] == "A", "a rate below one does not narrow it"
    assert judged("10", "4", "20.031", rate="0.5")[0] == ""


def test_a_pricing_currency_without_coins_is_cut_to_whole_units_before_the_exchange() -> None:
    assert judged("100.5555", "3", "2.01", rate="0.0067", pricing=0) == ("A", Decimal("2.01"))
    assert judged("100.5555", "3", "2.02", rate="0.0067", pricing=2) == ("A", Decimal("2.02"))


def test_each_customer_has_its_own_tolerance() -> None:
    policy = Policy(customers={"wide": CustomerPolicy(print_tolerance=Decimal("0.5"))})
    rules = LineRules(policy, pa.array(["narrow", "wide"]))
    numbers = [column(value, value) for value in ("10", "4", "1", "40.5")]
    price, quantity, rate, subtotal = numbers
    found = explain_subtotals(price, quantity, rate, subtotal, TWO_CENTS, rules).rules()
    assert found.to_pylist() == [None, "A"]


def test_without_a_price_or_a_quantity_nothing_is_explained() -> None:
    result = explain_subtotals(
        column(None, "1"), column("1", None), column("1", "1"), column("0", "1"), TWO_CENTS,
        LineRules(Policy(), pa.nulls(2, pa.string())),
    )  # fmt: skip
    assert result.unexplained.all()
    assert [result.nearest.decimal(row) for row in (0, 1)] == [None, None]


def test_the_nearest_rule_is_named_and_told() -> None:
    """Of A 7.03, B 7.02 and C 7.04 (three decimals printed), each is the nearest to something."""
    assert judged("2.345", "3", "7.06") == ("", Decimal("7.04"))
    assert judged("2.345", "3", "7.00") == ("", Decimal("7.02"))
    assert judged("2.345", "3", "7.034") == ("A", Decimal("7.03"))
    assert judged("2.345", "3", "7.036") == ("C", Decimal("7.04"))
