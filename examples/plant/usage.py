"""Discrepancies of what is metered: usage that is not what the lines charge, and exchange rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random

from examples.azure import billing_total
from examples.lines import ReconLine, UsageRow
from examples.numbers import EXACT, ONE, plain, subtotal_of_licence, subtotal_of_usage, tax_of
from examples.plant.picking import Picker
from examples.truth import Planted

_EACH = 2
# Dollars: more than a cent for each day of a month, by far.
_OFF = Decimal(19)
_RATE_DIGITS = Decimal("1e-9")
_RATE_OFF = Decimal("0.00001")

_Key = tuple[str, str, str]
_Change = Callable[["UsagePlanter", ReconLine, list[UsageRow]], Planted]


class UsagePlanter:
    """Plants at Azure-plan lines and the usage that is their detail, in place."""

    def __init__(self, random: Random, picker: Picker, lines: list[ReconLine], usage: list[UsageRow]) -> None:
        self.random, self.picker, self.lines, self.usage = random, picker, lines, usage

    def mismatches(self, index: int) -> Iterator[Planted]:
        """Two meters of a month whose usage is not what the invoice charges; `index` turns the ways of it."""
        charged: dict[_Key, list[ReconLine]] = defaultdict(list)
        for line in self.lines:
            if line.meter:
                charged[_key(line)].append(line)
        alone = [
            line for (line, *others) in charged.values()
            if not others and line.effective_unit_price > 0 and line.subtotal > _OFF and self.picker.is_free(line)
        ]  # fmt: skip
        self.random.shuffle(alone)
        for place, line in enumerate(self.picker.choose(_EACH, alone)):
            rows = [row for row in self.usage if _key(row) == _key(line)]
            yield _WAYS[(index + 2 * place) % len(_WAYS)](self, line, rows)

    def other_rates(self) -> Iterator[Planted]:
        """A usage row that is exchanged at another rate, and the amount that it gives."""
        row = self.random.choice([row for row in self.usage if row.rate != ONE and row.effective_unit_price > 0])
        right = row.rate
        row.rate += _RATE_OFF
        row.billing_total = billing_total(row.pricing_total, row.rate)
        note = f"exchanged at {plain(row.rate)} instead of {plain(right)}"
        yield Planted("EXCHANGE_RATE_MISMATCH", note, row.invoice_number, row)

    def _more_used(self, line: ReconLine, rows: list[UsageRow]) -> Planted:
        row = self.random.choice(rows)
        row.quantity += _quantity_off(row.effective_unit_price)
        row.pricing_total = EXACT.multiply(row.effective_unit_price, row.quantity)
        row.billing_total = billing_total(row.pricing_total, row.rate)
        note = f"{plain(row.quantity)} units used on {row.usage_date} are not charged"
        return Planted("USAGE_MISMATCH", note, line.invoice_number, line)

    def _more_charged(self, line: ReconLine, rows: list[UsageRow]) -> Planted:
        line.billable_quantity += _quantity_off(line.effective_unit_price)
        subtotal = subtotal_of_usage(line.effective_unit_price, line.billable_quantity, line.rate)
        line.set_subtotal(subtotal, tax_of(subtotal, line.customer.tax_rate))
        return Planted("USAGE_MISMATCH", "more is charged than was used", line.invoice_number, line)

    def _not_charged(self, line: ReconLine, rows: list[UsageRow]) -> Planted:
        del self.lines[next(place for place, one in enumerate(self.lines) if one is line)]
        return Planted("USAGE_MISMATCH", "the usage has no line", line.invoice_number, about=line)

    def _not_used(self, line: ReconLine, rows: list[UsageRow]) -> Planted:
        gone = {id(row) for row in rows}
        self.usage[:] = [row for row in self.usage if id(row) not in gone]
        return Planted("USAGE_MISMATCH", "the line has no usage", line.invoice_number, line)


_WAYS: tuple[_Change, ...] = (
    UsagePlanter._more_used, UsagePlanter._more_charged, UsagePlanter._not_charged, UsagePlanter._not_used,
)  # fmt: skip


def other_rate(line: ReconLine) -> str:
    """Another rate than the invoice's, and the amount it gives; a metered line's stays within what is tolerated."""
    right = line.rate
    if line.meter:
        line.rate = right + _RATE_OFF
        subtotal = subtotal_of_usage(line.effective_unit_price, line.billable_quantity, line.rate)
    else:
        line.rate = EXACT.multiply(right, Decimal("1.02")).quantize(_RATE_DIGITS)
        subtotal = subtotal_of_licence(Fraction(line.effective_unit_price), line.billable_quantity, line.rate)
    line.set_subtotal(subtotal, tax_of(subtotal, line.customer.tax_rate))
    return f"exchanged at {plain(line.rate)} instead of {plain(right)}"


def _quantity_off(price: Decimal) -> Decimal:
    return Decimal(_OFF / price).quantize(Decimal(1)) + 1


def _key(row: ReconLine | UsageRow) -> _Key:
    return row.subscription_id, row.product.product_id, row.product.sku_id.zfill(4)
