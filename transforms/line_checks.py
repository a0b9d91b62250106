"""The checks of a single reconciliation line: its sums, and its prices against the price list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories
from transforms.findings import Finding, money_text
from transforms.line_reader import CONTEXT, LineReader, rows_of
from transforms.money import Fixed, Integers
from transforms.policy import Policy
from transforms.price_match import same_unit_price
from transforms.pricing import Pricing
from transforms.rounding import RoundingResult


def check_sums(
    reader: LineReader, rounding: RoundingResult, subtotal: Fixed, tax: Fixed, total: Fixed
) -> list[Finding]:
    """SUBTOTAL_MISMATCH where no rounding rule explains the subtotal; TOTAL_MISMATCH where total ≠ subtotal + tax."""
    findings = []
    for row in rows_of(rounding.rule == ""):
        expected, actual = rounding.nearest.decimal(row), subtotal.decimal(row)
        findings.append(
            reader.finding(
                row, "SUBTOTAL_MISMATCH",
                f"Subtotal {money_text(actual)} is not effective unit price × billable quantity × exchange rate: the "
                f"nearest of the three documented roundings gives {money_text(expected)}.",
                expected=expected, actual=actual,
            )
        )  # fmt: skip
    sums = subtotal + tax
    for row in rows_of(~total.equals(sums)):
        expected, actual = sums.decimal(row), total.decimal(row)
        findings.append(
            reader.finding(
                row, "TOTAL_MISMATCH",
                f"Total {money_text(actual)} is not Subtotal {money_text(subtotal.decimal(row))} + TaxTotal "
                f"{money_text(tax.decimal(row))} = {money_text(expected)}.",
                expected=expected, actual=actual,
            )
        )  # fmt: skip
    return findings


def check_price_found(reader: LineReader, pricing: Pricing) -> list[Finding]:
    """PRICE_NOT_FOUND and PRICE_NOT_EFFECTIVE of the lines that ought to have a list price."""
    findings = []
    for row in rows_of(pricing.outcome == "not_found"):
        key = pricing.question(row).key
        wanted = f"{key.product_id}:{key.sku_id} {key.term}/{key.plan} {key.market} {key.currency}"
        findings.append(
            reader.finding(row, "PRICE_NOT_FOUND", f"No price list has a row for {wanted}.", priced=True)
        )
    for row in rows_of(pricing.outcome == "not_effective"):
        question, answer = pricing.question(row), pricing.answer(row)
        nearest = answer.nearest
        span = f"{nearest.starts:%Y-%m-%d} to {nearest.ends:%Y-%m-%d}" if nearest else "other dates"
        findings.append(
            reader.finding(
                row, "PRICE_NOT_EFFECTIVE",
                f"The term started on {question.on}, but no price list row of this product, term and plan covers "
                f"that day; the latest is valid {span}.",
                priced=True,
            )
        )  # fmt: skip
    return findings


def check_unit_price(
    reader: LineReader, pricing: Pricing, unit_price: Fixed, promotions: pa.ChunkedArray
) -> list[Finding]:
    """UNIT_PRICE_MISMATCH where the line's list price is not the price list's per charge cycle."""
    findings = []
    for row in rows_of(pricing.priced & ~pricing.list_price.equals(unit_price)):
        billed, question, answer = unit_price.decimal(row), pricing.question(row), pricing.answer(row)
        listed = answer.row
        if billed is None or listed is None:
            continue
        if same_unit_price(billed, listed.unit_price, question.per_term, question.key.currency):
            continue
        expected = pricing.list_price.decimal(row)
        promotion = promotions[row].as_py()
        message = (
            f"UnitPrice {money_text(billed)} is not the list price {money_text(expected)} per charge cycle "
            f"({money_text(listed.unit_price)} ÷ {question.per_term}, {listed.segment or 'any segment'}, "
            f"{listed.source_file} row {listed.source_row})."
        )
        if promotion:
            message += f" Promotion {promotion} is applied."
        findings.append(
            reader.finding(
                row, "UNIT_PRICE_MISMATCH", message,
                expected=expected, actual=billed, priced=True, severity="info" if promotion else None,
            )
        )  # fmt: skip
    return findings


def check_margin(
    reader: LineReader, pricing: Pricing, effective: Fixed, categories: Categories, subtotal: Fixed, floors: Floors
) -> list[Finding]:
    """ABOVE_ERP and MARGIN_BELOW_FLOOR of charges, by the effective unit price of a full charge cycle.

    A prorated line is scaled back to its full cycle; because its unit price is printed rounded, the lowest price
    that prints the same is taken, so that rounding alone raises no finding.
    """
    rows = np.flatnonzero(
        pricing.priced & pricing.erp_price.valid & (pricing.erp_price.sign() > 0) & (subtotal.sign() >= 0)
        & (effective.sign() > 0) & ~categories.unpriced
    )  # fmt: skip
    if not len(rows):
        return []
    erp = pricing.erp_term_price.take(rows)
    price = effective.take(rows)
    prorated = pricing.billed_days[rows] < pricing.cycle_days[rows]
    lowest = price - half_of_last_decimal(price).where(prorated, Fixed.constant(0, len(rows)))
    weight = pricing.cycle_days[rows] * pricing.per_term[rows]
    cost = lowest.times(weight)
    retail = erp.times(pricing.billed_days[rows])
    above = cost.compare(retail) > 0
    floor = floors.fractions(rows)
    allowed = retail * (Fixed.constant(1, len(rows)) - floor)
    below = (cost.compare(allowed) > 0) & ~above
    findings = []
    for place in rows_of(above | below):
        row = int(rows[place])
        full = pricing.full_cycle_price(row, price.decimal(place))
        expected = pricing.erp_price.decimal(row)
        listed = pricing.answer(row).row
        origin = f"{listed.source_file} row {listed.source_row}" if listed else "the price list"
        if above[place]:
            code = "ABOVE_ERP"
            message = (
                f"A full charge cycle costs {money_text(full)} a unit, more than the ERP price {money_text(expected)} "
                f"({origin})."
            )
        else:
            code = "MARGIN_BELOW_FLOOR"
            message = (
                f"A full charge cycle costs {money_text(full)} a unit; at the ERP price {money_text(expected)} "
                f"({origin}) less than {floors.percent(row)} % remains."
            )
        findings.append(reader.finding(row, code, message, expected=expected, actual=full, priced=True))
    return findings


def billed_line_changes(
    lines: pa.Table, amount: str, currency: str, changed: Sequence[str]
) -> list[Finding]:
    """BILLED_LINE_CHANGED for the lines whose ids are in `changed`.

    Args:
        lines: reconciliation or usage lines with line_id.
        amount: the column with the line's total.
        currency: the column with its currency.
        changed: ids of lines that are billed in HaloPSA with another content.
    """
    rows = lines.filter(pc.is_in(lines.column("line_id"), pa.array(list(changed), pa.string()))).to_pylist()
    return [
        Finding(
            "BILLED_LINE_CHANGED",
            f"The line is billed in HaloPSA and came again with other content, now {money_text(row[amount])}: it is "
            "left as it was billed. Credit or rebill the difference in HaloPSA.",
            actual_amount=row[amount],
            currency=row[currency],
            **{name: row[name] for name in CONTEXT},
        )
        for row in rows
    ]


def half_of_last_decimal(price: Fixed) -> Fixed:
    """Half a unit of the last decimal that each price prints, but never more than half a hundredth."""
    places: Integers = np.clip(price.decimals_needed(), 2, 17)
    return Fixed.constant(5, len(price)).divide(10 ** (places + 1), places + 1, half_up=True)


class Floors:
    """The margin floor of each line: the policy's, or the customer's own."""

    def __init__(self, policy: Policy, customers: pa.Array) -> None:
        encoded = customers.dictionary_encode()
        self._by_code = [
            own.margin_floor if (own := policy.customers.get((name or "").lower())) and own.margin_floor is not None
            else policy.margin_floor
            for name in encoded.dictionary.to_pylist()
        ]  # fmt: skip
        self._codes: Integers = np.asarray(encoded.indices.fill_null(0))
        self._default = policy.margin_floor

    def fractions(self, rows: Integers) -> Fixed:
        """Floors of these rows."""
        scaled = Fixed.from_arrow(pa.array(self._by_code, pa.decimal128(38, 12)))
        return scaled.take(self._codes[rows])

    def percent(self, row: int) -> str:
        """One row's floor in percent, for a message."""
        floor = self._by_code[int(self._codes[row])]
        return f"{(floor * 100).normalize():f}"

