"""Exact arithmetic and Microsoft's rounding, as the reconciliation file shows it.

Quotients are kept as fractions until they are printed, because a proration such as 10.00 x 10/30 x 3 is exactly
10.00, which no decimal expansion of the quotient gives.
"""

from __future__ import annotations

import uuid
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from random import Random

EXACT = Context(prec=60)
CENT = Decimal("0.01")
ZERO = Decimal(0)
ONE = Decimal(1)


def decimal(value: Fraction, places: int, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return the fraction as a decimal of `places` decimals; `rounding` is one of the decimal module's modes."""
    scaled = value * 10**places
    whole = abs(scaled.numerator) // scaled.denominator
    rest = abs(scaled) - whole
    up = (rounding == ROUND_HALF_UP and rest * 2 >= 1) or (rounding == ROUND_CEILING and rest > 0 and value > 0)
    signed = (whole + up) * (-1 if value < 0 else 1)
    return Decimal(signed).scaleb(-places, EXACT)


def truncated(value: Fraction) -> Decimal:
    """Return the value cut to cents towards zero: the ROUNDDOWN of the documentation."""
    return decimal(value, 2, ROUND_DOWN)


def subtotal_of_seat_change(price: Fraction, quantity: Decimal) -> Decimal:
    """Rule A: ROUNDDOWN(price x quantity); reproduces the documented add and remove quantity examples."""
    return truncated(price * Fraction(quantity))


def subtotal_of_licence(price: Fraction, quantity: Decimal, rate: Decimal = ONE) -> Decimal:
    """Rule B: ROUNDDOWN(price x rate) x quantity; the documented rule for licences."""
    return EXACT.multiply(truncated(price * Fraction(rate)), quantity).quantize(CENT, ROUND_DOWN, EXACT)


def subtotal_of_usage(price: Decimal, quantity: Decimal, rate: Decimal) -> Decimal:
    """The documented rule for usage: ROUNDDOWN(ROUNDDOWN(price x quantity) x rate)."""
    return truncated(Fraction(truncated(Fraction(price) * Fraction(quantity))) * Fraction(rate))


def tax_of(subtotal: Decimal, rate: Decimal) -> Decimal:
    """Tax in cents, half up."""
    return decimal(Fraction(subtotal) * Fraction(rate), 2)


def printed_seat_change_price(price: Fraction, quantity: Decimal, subtotal: Decimal, wide: bool) -> Decimal:
    """How a prorated price of rule A is printed: in ten decimals or, half up, in two.

    Ten decimals are only used where they still give the subtotal when they are multiplied back; two decimals carry
    the print tolerance that the documentation's own examples need.
    """
    if wide:
        long = decimal(price, 10)
        product = Fraction(long) * Fraction(quantity)
        if subtotal in (truncated(product), decimal(product, 2)):
            return long
    return decimal(price, 2)


def printed_licence_price(price: Fraction, wide: bool) -> Decimal:
    """How a prorated price of rule B is printed: cut, not rounded, so that its cents are those that were charged."""
    return decimal(price, 10 if wide else 2, ROUND_DOWN)


def plain(value: Decimal) -> str:
    """The shortest text of a number: no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def as_usage_prints(value: Decimal) -> str:
    """A number as the real usage files show it: `0.00E+00` for zero and an exponent where it would be long and tiny."""
    if value == 0:
        return "0.00E+00"
    text = plain(value)
    if abs(value) >= Decimal("0.0001") or len(text) <= 10:
        return text
    digits = str(int("".join(map(str, value.as_tuple().digits)))).rstrip("0")
    exponent = value.adjusted()
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:].ljust(2, '0')}E{exponent:+03d}"


def guid(random: Random) -> str:
    """A random version 4 identifier of that generator."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
