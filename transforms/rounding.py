"""Which of Microsoft's three rounding rules explains a subtotal.

Documented (invoice reconciliation file) and measured on Microsoft's 23 worked examples, of which no rule covers all:

- A cuts after multiplying: ROUNDDOWN(ROUNDDOWN(unit price × quantity) × rate), the documented usage rule; it cuts to
  the pricing currency's smallest coin before the exchange and to the billing currency's after it;
- B cuts the unit price first: ROUNDDOWN(unit price × rate) × quantity, the documented licence rule;
- C rounds half up at the end: unit price × quantity × rate.

Daily usage is not rounded to coins: U is unit price × quantity × rate within 0.000001 (measured on every row of three
real months).

The unit price is the effective one. It is printed rounded, so a rule also explains what some unit price that prints
the same would give; with two decimals printed the tolerance is the one the examples show, 0.01 + |quantity| × 0.005.
Where the smallest coin is larger than 0.01 it stands for the 0.01, because what is hidden can cross a whole coin (100 ×
566.67 yen are 56,667, and 100 × 566.6666… are 56,666 cut); and the share of a unit, which is in the pricing currency,
grows with an exchange rate above 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from transforms.columns import Kind
from transforms.customer_rules import LineRules
from transforms.integers import Integers, Mask, decimals_of_words, owned
from transforms.line_numbers import Coins, LineNumbers
from transforms.money import Fixed
from transforms.wide import Wide

Rule = Callable[[Fixed, Fixed, Fixed, Coins], Fixed]


def _rule_a(price: Fixed, quantity: Fixed, rate: Fixed, coins: Coins) -> Fixed:
    priced = price.rounded_product(quantity, coins.pricing, half_up=False)
    return priced.rounded_product(rate, coins.billing, half_up=False)


def _rule_b(price: Fixed, quantity: Fixed, rate: Fixed, coins: Coins) -> Fixed:
    return price.rounded_product(rate, coins.billing, half_up=False) * quantity


def _rule_c(price: Fixed, quantity: Fixed, rate: Fixed, coins: Coins) -> Fixed:
    return (price * quantity).rounded_product(rate, coins.billing, half_up=True)


#: What a usage line may differ by, and how many decimals its recomputed charge is kept to.
USAGE_TOLERANCE = Decimal("0.000001")
USAGE_DECIMALS = 18
#: High words of charges that 38 digits hold for certain.
_LIMIT = np.uint64(2**61)

RULES: dict[str, Rule] = {"A": _rule_a, "B": _rule_b, "C": _rule_c}


@dataclass(frozen=True)
class RoundingResult:
    """Per row the place in RULES of the rule that explains the subtotal (-1: none) and the nearest rule's subtotal."""

    place: Integers
    nearest: Fixed

    @property
    def unexplained(self) -> Mask:
        """Rows that no rule explains."""
        missing: Mask = self.place < 0
        return missing

    def rules(self) -> pa.DictionaryArray:
        """The rules as a text column, null where none explains the subtotal."""
        return _rule_column(self.place, [*RULES])


def explain_subtotals(
    price: Fixed, quantity: Fixed, rate: Fixed, subtotal: Fixed, coins: Coins, rules: LineRules
) -> RoundingResult:
    """Find for each line the rule that explains its subtotal.

    Args:
        price: effective unit price, pricing currency.
        quantity: billable quantity.
        rate: exchange rate from pricing to billing currency, 1 where there is none.
        subtotal: the line's subtotal, billing currency.
        coins: decimals of the smallest coins.
        rules: give the print tolerance of each line's customer.

    Returns:
        The first of A, B, C that gives the subtotal exactly; else the one nearest to it that explains it within the
        printed precision of the unit price; else no rule.
    """
    expected = {name: rule(price, quantity, rate, coins) for name, rule in RULES.items()}
    names = list(RULES)
    nearest, distance, best = expected["A"], (expected["A"] - subtotal).abs(), np.zeros(len(price), dtype=np.int64)
    for place, name in enumerate(names[1:], start=1):
        apart = (expected[name] - subtotal).abs()
        closer = apart.compare(distance) < 0
        nearest, distance = expected[name].where(closer, nearest), apart.where(closer, distance)
        best[closer] = place
    exact = (distance.sign() == 0) & distance.valid
    explained = exact.copy()
    rows = np.flatnonzero(~exact & distance.valid)
    if len(rows):
        within = _within_print(
            price.take(rows), quantity.take(rows), rate.take(rows), subtotal.take(rows), distance.take(rows),
            coins.take(rows), rules.column("print_tolerance", rows), rules.column("print_tolerance_per_unit", rows),
        )  # fmt: skip
        explained[rows[within]] = True
    return RoundingResult(np.where(explained, best, -1), nearest)


@dataclass(frozen=True)
class UsageResult:
    """Per usage line whether price × quantity × rate explains its charge.

    Attributes:
        explained: whether it does.
        expected: the recomputed charge with eighteen decimals; null where it cannot be recomputed or is too large.
        difference: the charge less the recomputed one; the whole charge where there is none.
    """

    explained: Mask
    expected: pa.Array
    difference: pa.Array

    def rules(self) -> pa.DictionaryArray:
        """`U` where the charge is explained, else null, as a text column."""
        return _rule_column(np.where(self.explained, 0, -1), ["U"])


def _rule_column(places: Integers, names: list[str]) -> pa.DictionaryArray:
    codes = owned(pa.array(places.astype(np.int32), mask=places < 0))
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()))


def explain_usage(numbers: LineNumbers) -> UsageResult:
    """Whether usage lines are price × quantity × rate; the product is kept to eighteen decimals."""
    quick = _quick_usage(numbers)
    if quick is not None:
        return quick
    rows = len(numbers.subtotal)
    product = (numbers.effective * numbers.quantity * numbers.rate).round_half_up(np.full(rows, USAGE_DECIMALS))
    close = (product - numbers.subtotal).abs().compare(Fixed.constant(USAGE_TOLERANCE, rows)) <= 0
    explained = close & product.valid & numbers.subtotal.valid
    expected = product.fitting(Kind.USAGE_AMOUNT)
    difference = (numbers.subtotal - expected).where(expected.valid, numbers.subtotal)
    return UsageResult(
        explained,
        expected.to_arrow(Kind.USAGE_AMOUNT),
        difference.to_arrow(Kind.USAGE_AMOUNT),
    )


def _quick_usage(numbers: LineNumbers) -> UsageResult | None:
    """The same in 128 bits; None where they are too few."""
    priced = numbers.effective * numbers.rate
    parts = (priced.units, numbers.quantity.units, numbers.subtotal.units)
    if any(units.dtype != np.int64 for units in parts) or numbers.subtotal.scale > USAGE_DECIMALS:
        return None
    dropped = priced.scale + numbers.quantity.scale - USAGE_DECIMALS
    product = Wide.product(priced.units, numbers.quantity.units)
    expected = product.times(10**-dropped) if dropped < 0 else product.divided(dropped, half_up=True)
    charge = Wide.of(numbers.subtotal.units).times(10 ** (USAGE_DECIMALS - numbers.subtotal.scale))
    if expected is None or charge is None or (expected.high >= _LIMIT).any():
        return None
    valid = priced.valid & numbers.quantity.valid
    difference = charge.minus(expected)
    explained = valid & numbers.subtotal.valid & difference.at_most(int(USAGE_TOLERANCE.scaleb(USAGE_DECIMALS)))
    high, low = (np.where(valid, *pair) for pair in zip(difference.words(), charge.words(), strict=True))
    return UsageResult(
        explained,
        decimals_of_words(*expected.words(), Kind.USAGE_AMOUNT, valid),
        decimals_of_words(high, low, Kind.USAGE_AMOUNT, numbers.subtotal.valid),
    )


def _within_print(
    price: Fixed, quantity: Fixed, rate: Fixed, subtotal: Fixed, distance: Fixed, coins: Coins,
    tolerance: Fixed, per_unit: Fixed,
) -> Mask:  # fmt: skip
    """Whether a unit price that prints the same explains the subtotal."""
    printed = price.decimals_needed()
    rows = len(price)
    decimals = np.minimum(coins.billing, 2)
    coin = (tolerance * Fixed.constant(100, rows)).divide(10**decimals, decimals + 12, half_up=True)
    # What a printed unit price hides grows with the rate that it is exchanged at.
    widened = rate.where(rate.compare(Fixed.constant(1, rows)) > 0, Fixed.constant(1, rows))
    share = per_unit * quantity.abs() * widened
    coarse = distance.compare(coin + share) <= 0
    half = price.half_of_last_decimal()
    fine = np.zeros(rows, dtype=np.bool_)
    for rule in RULES.values():
        ends = (rule(price - half, quantity, rate, coins), rule(price + half, quantity, rate, coins))
        low = ends[0].compare(subtotal)
        high = ends[1].compare(subtotal)
        fine |= (low * high) <= 0
    return np.where(printed <= 2, coarse, fine)
