"""The checks of a single reconciliation line: its sums, and its prices against the price list."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa

from transforms.customer_rules import LineRules
from transforms.findings import Finding, money_text, plain_number
from transforms.line_numbers import LineNumbers
from transforms.line_reader import LineReader, rows_of
from transforms.money import Fixed
from transforms.price_rows import full_cycle
from transforms.pricing import Pricing
from transforms.rounding import RoundingResult


def check_sums(
    reader: LineReader, rounding: RoundingResult, numbers: LineNumbers
) -> list[Finding]:
    """SUBTOTAL_MISMATCH where no rounding rule explains the subtotal; TOTAL_MISMATCH where total ≠ subtotal + tax."""
    findings = []
    for row in rows_of(rounding.unexplained):
        expected, actual = rounding.nearest.decimal(row), numbers.subtotal.decimal(row)
        factors = (numbers.effective, numbers.quantity, numbers.rate)
        price, quantity, rate = (plain_number(column.decimal(row)) for column in factors)
        findings.append(
            reader.finding(
                row, "SUBTOTAL_MISMATCH",
                f"Subtotal {money_text(actual)} is not EffectiveUnitPrice {price} × BillableQuantity {quantity} × "
                f"PCToBCExchangeRate {rate}: the nearest of the three documented roundings gives "
                f"{money_text(expected)}.",
                expected=expected, actual=actual,
            )
        )  # fmt: skip
    sums = numbers.subtotal + numbers.tax
    for row in rows_of(~numbers.total.equals(sums)):
        expected, actual = sums.decimal(row), numbers.total.decimal(row)
        findings.append(
            reader.finding(
                row, "TOTAL_MISMATCH",
                f"Total {money_text(actual)} is not Subtotal {money_text(numbers.subtotal.decimal(row))} + TaxTotal "
                f"{money_text(numbers.tax.decimal(row))} = {money_text(expected)}.",
                expected=expected, actual=actual,
            )
        )  # fmt: skip
    return findings


def check_price_found(reader: LineReader, pricing: Pricing) -> list[Finding]:
    """PRICE_NOT_FOUND and PRICE_NOT_EFFECTIVE of the lines that ought to have a list price."""
    findings = []
    for row in rows_of(pricing.has("not_found")):
        message = f"No price list has a row for {pricing.question(row).wanted}."
        findings.append(reader.finding(row, "PRICE_NOT_FOUND", message, priced=True))
    for row in rows_of(pricing.has("not_effective")):
        question, nearest = pricing.question(row), pricing.answer(row).nearest
        latest = f"; the latest is {nearest.origin}" if nearest else ""
        message = f"No price list row for {question.wanted} covers it: {question.moment}{latest}."
        findings.append(reader.finding(row, "PRICE_NOT_EFFECTIVE", message, priced=True))
    return findings


def check_unit_price(
    reader: LineReader, pricing: Pricing, numbers: LineNumbers, promotions: pa.ChunkedArray | None
) -> list[Finding]:
    """UNIT_PRICE_MISMATCH where the line's list price is not the price list's per charge cycle.

    In mid-term a line may show the list's new price, as long as the term's own is what is charged (documented).
    """
    findings = []
    for row in rows_of(pricing.priced & ~pricing.list_price.equals(numbers.unit_price)):
        billed, question, answer = numbers.unit_price.decimal(row), pricing.question(row), pricing.answer(row)
        tolerance = question.tolerance
        if billed is None or answer.matches(billed, question.currency, tolerance):
            continue
        shows_current = answer.matches_current(billed, question.currency, tolerance)
        if shows_current and _charged_at_list_price(row, pricing, numbers):
            continue
        promotion = promotions[row].as_py() if promotions is not None else None
        expected = pricing.list_price.decimal(row)
        message = f"UnitPrice {money_text(billed)} is not the list price {_list_price(row, pricing)}."
        if promotion:
            message += f" Promotion {promotion} is applied."
        findings.append(
            reader.finding(
                row, "UNIT_PRICE_MISMATCH", message,
                expected=expected, actual=billed, priced=True, severity="info" if promotion else None,
            )
        )  # fmt: skip
    return findings


def _list_price(row: int, pricing: Pricing) -> str:
    """A line's list price per charge cycle and how it comes about, for a message."""
    expected, (listed, cycle) = money_text(pricing.list_price.decimal(row)), pricing.priced_by(row)
    if not listed.billing_plan:
        return f"{expected} ({listed.origin}; {pricing.question(row).moment})"
    fee = f" × {plain_number(1 + cycle.fee)} (Extended Service Term)" if cycle.fee else ""
    segment = f"{listed.segment}, " if listed.segment else ""
    return (
        f"{expected} per charge cycle ({money_text(listed.unit_price)}{fee} ÷ {cycle.per_term} of "
        f"{cycle.term}/{cycle.plan}, {segment}{listed.origin}; {pricing.question(row).moment})"
    )


def _charged_at_list_price(row: int, pricing: Pricing, numbers: LineNumbers) -> bool:
    """Whether a full cycle of the line costs no more than the term's list price, as far as its price is printed."""
    charged = numbers.effective.take(np.array([row])).abs()
    listed = pricing.list_price.take(np.array([row])).times(pricing.billed[[row]])
    lowest = charged - charged.half_of_last_decimal(2)
    return bool(lowest.times(pricing.full[[row]]).compare(listed)[0] <= 0)


def check_margin(
    reader: LineReader, pricing: Pricing, numbers: LineNumbers, rules: LineRules
) -> list[Finding]:
    """ABOVE_ERP and MARGIN_BELOW_FLOOR of charges, by the effective unit price of a full charge cycle.

    A prorated line is scaled back to its full cycle; because its unit price is printed rounded, the lowest price
    that prints the same is taken, so that rounding alone raises no finding.
    """
    rows = np.flatnonzero(pricing.priced & (numbers.subtotal.sign() >= 0))
    if not len(rows):
        return []
    erp = pricing.erp_term_price.take(rows)
    price = numbers.effective.take(rows)
    prorated = pricing.billed[rows] < pricing.full[rows]
    lowest = price - price.half_of_last_decimal(2).where(prorated, Fixed.constant(0, len(rows)))
    weight = pricing.full[rows] * pricing.per_term[rows]
    cost = lowest.times(weight)
    retail = erp.times(pricing.billed[rows])
    above = cost.compare(retail) > 0
    allowed = retail * (Fixed.constant(1, len(rows)) - rules.column("margin_floor", rows))
    below = (cost.compare(allowed) > 0) & ~above
    findings = []
    for place in rows_of(above | below):
        row, paid = int(rows[place]), price.decimal(place)
        if paid is not None:
            code = "ABOVE_ERP" if above[place] else "MARGIN_BELOW_FLOOR"
            findings.append(_retail_finding(reader, row, code, paid, pricing, rules))
    return findings


def _retail_finding(
    reader: LineReader, row: int, code: str, paid: Decimal, pricing: Pricing, rules: LineRules
) -> Finding:
    listed, cycle = pricing.priced_by(row)
    full, expected = full_cycle(paid, cycle), pricing.erp_price.decimal(row)
    scaled = "" if cycle.billed == cycle.full else f" ({cycle.billed} of {cycle.full} {cycle.unit} are charged)"
    charged = f"A full charge cycle costs {money_text(full)} a unit{scaled}"
    retail = f"the ERP price {money_text(expected)} ({listed.origin})"
    floor = plain_number(rules.of(row).margin_floor * 100)
    message = f"{charged}, more than {retail}." if code == "ABOVE_ERP" else (
        f"{charged}; at {retail} less than {floor} % remains."
    )
    return reader.finding(row, code, message, expected=expected, actual=full, priced=True)
