"""Changes of one line that each break one rule and no other; each says in a sentence what it did."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction

from examples.lines import ReconLine
from examples.numbers import CENT, EXACT, ZERO, plain, subtotal_of_licence, tax_of


def wrong_subtotal(line: ReconLine) -> str:
    """Beyond what any rounding rule and the print tolerance (0.01 + quantity x 0.005) could explain."""
    right = line.subtotal
    off = Decimal("5.27") + EXACT.multiply(line.billable_quantity, Decimal("0.37"))
    wrong = right + (off if right >= 0 else -off)
    line.set_subtotal(wrong, tax_of(wrong, line.customer.tax_rate))
    return f"Subtotal {plain(wrong)} instead of {plain(right)}"


def wrong_total(line: ReconLine) -> str:
    right = line.total
    line.total = right + Decimal("3.33")
    return f"Total {plain(line.total)} instead of {plain(right)}"


def wrong_unit_price(line: ReconLine) -> str:
    """Only the informative list price: the effective price is what is charged, and stays."""
    right = line.unit_price
    line.unit_price = (right * Decimal("1.06") + CENT).quantize(CENT, ROUND_HALF_UP)
    return f"UnitPrice {plain(line.unit_price)}, the list has {plain(right)}"


def above_erp(line: ReconLine) -> str:
    return _charge_at(line, line.effective_unit_price * 2)


def thin_margin(line: ReconLine) -> str:
    """Three percent below the retail price: a margin, but under the floor of five."""
    return _charge_at(line, (_erp(line) * Decimal("0.97")).quantize(CENT, ROUND_DOWN))


def _charge_at(line: ReconLine, price: Decimal) -> str:
    line.effective_unit_price = price
    subtotal = subtotal_of_licence(Fraction(price), line.billable_quantity)
    line.set_subtotal(subtotal, tax_of(subtotal, line.customer.tax_rate))
    return f"EffectiveUnitPrice {plain(price)}, retail {plain(_erp(line))}"


def _erp(line: ReconLine) -> Decimal:
    return ZERO if line.price_row is None else line.price_row.erp_per_cycle
