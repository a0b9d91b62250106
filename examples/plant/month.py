"""Plant discrepancies into one clean month, and say what was planted.

Every code is planted so that no other one fires: a changed effective price carries its subtotal and total along, the
invoice documents are added up after planting, and the rows that cannot be read belong to the one invoice whose total
is off anyway. A row that cannot be read is part of its invoice's total all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from random import Random

from examples.catalogue import RAISED, SHARED, WITHDRAWN, Catalogue, PriceRow
from examples.customers import GERMANY, UNITED_STATES
from examples.dates import Span
from examples.documents import InvoiceDocument, InvoiceNumbers
from examples.lines import ReconLine, UsageRow
from examples.meters import FREE_TIER
from examples.numbers import CENT, ZERO, plain, tax_of
from examples.plant.changes import above_erp, thin_margin, wrong_subtotal, wrong_total, wrong_unit_price
from examples.plant.picking import Picker
from examples.truth import Planted

_EACH = 3
_OFF = Decimal("137.41")
_CUT_AFTER = 31


class Planter:
    """Plants into the lines and usage of one month, in place.

    Attributes:
        planted: what was planted so far.
        surplus: by invoice number, what its document has to be off by.
        documents: invoice documents that have to be added to the month's own.
    """

    def __init__(
        self, random: Random, month: Span, lines: list[ReconLine], usage: list[UsageRow], numbers: InvoiceNumbers
    ) -> None:
        self.random, self.month, self.lines, self.usage, self.numbers = random, month, lines, usage, numbers
        self.planted: list[Planted] = []
        self.surplus: dict[str, Decimal] = {}
        self.documents: list[InvoiceDocument] = []
        self._picker = Picker(random, lines, _is_special)

    def plant(self) -> None:
        """Plant every code that does not need the price list."""
        self._unreadable_rows()
        self._invoice_not_found()
        self._invoice_without_lines()
        self._change_lines("SUBTOTAL_MISMATCH", wrong_subtotal)
        self._change_lines("TOTAL_MISMATCH", wrong_total)
        self._change_lines("UNIT_PRICE_MISMATCH", wrong_unit_price)
        self._change_lines("ABOVE_ERP", above_erp)
        self._change_lines("MARGIN_BELOW_FLOOR", thin_margin)

    def plant_prices(self, catalogue: Catalogue) -> Catalogue:
        """The price lists with a SKU withdrawn from them, and with one whose current row begins this month."""
        first = datetime.combine(self.month.start, time())
        rows: list[PriceRow] = []
        for row in catalogue.rows:
            if row.sku is RAISED:
                before = tuple((price * Decimal("0.95")).quantize(CENT) for price in (row.unit_price, row.erp_price))
                rows.append(replace(row, start=first, change="Change", previous=(before[0], before[1])))
            elif row.sku is not WITHDRAWN:
                rows.append(row)
        for line in self.lines:
            if line.price_row is None or line.charge_type == "customerCredit":
                continue
            if line.price_row.sku is WITHDRAWN:
                self._add("PRICE_NOT_FOUND", line, "the SKU is withdrawn from the price list")
            elif line.price_row.sku is RAISED and (line.subscription_start or self.month.start) < self.month.start:
                self._add("PRICE_NOT_EFFECTIVE", line, f"the list's only row starts on {self.month.start}")
        return Catalogue(rows)

    def _add(self, code: str, row: ReconLine | UsageRow, note: str) -> None:
        self.planted.append(Planted(code, note, row.invoice_number, row))

    def _change_lines(self, code: str, change: Callable[[ReconLine], str]) -> None:
        for line in self._picker.choose(_EACH, self._picker.candidates()):
            self._add(code, line, change(line))

    def _unreadable_rows(self) -> None:
        """Two lines and one usage row that no reader can take, and the invoice that therefore cannot tie out.

        The usage row costs nothing, so that the Azure lines still equal the usage. The document is off by more than
        the two lines, and by no tax rate.
        """
        number = self.numbers.of(GERMANY)
        german = [line for line in self._picker.candidates() if line.invoice_number == number]
        amount, cut = self._picker.choose(2, german)
        amount.damage = {"Subtotal": "12.3.4"}
        cut.cut_after = _CUT_AFTER
        self._add("ROW_REJECTED", amount, "Subtotal reads 12.3.4")
        self._add("ROW_REJECTED", cut, f"the row ends after {_CUT_AFTER} of 47 fields")
        free = [r for r in self.usage if r.invoice_number == number and r.meter_name == FREE_TIER.name]
        usage = free[self.random.randrange(len(free))]
        usage.damage = {"UsageDate": f"13/45/{self.month.start.year}"}
        self._add("ROW_REJECTED", usage, "UsageDate is no date; the row costs nothing")
        readable = [line for line in self.lines if line.invoice_number == number and line.is_readable]
        pre_tax, unread, off = sum((line.subtotal for line in readable), ZERO), amount.total + cut.total, _OFF
        while _looks_like_tax(unread + off, pre_tax):
            off += CENT * 11
        self.surplus[number] = off
        note = f"the document is {plain(unread + off)} above its readable lines: {plain(off)} and two unreadable rows"
        self.planted.append(Planted("INVOICE_TOTAL_MISMATCH", note, number))

    def _invoice_not_found(self) -> None:
        number = self.numbers.unknown
        american = [line for line in self._picker.candidates() if line.invoice_number == self.numbers.of(UNITED_STATES)]
        customer, _ = Counter(line.customer for line in american).most_common(1)[0]
        for line in self._picker.choose(_EACH, (line for line in american if line.customer == customer)):
            line.invoice_number = number
        self.planted.append(Planted("INVOICE_NOT_FOUND", f"{_EACH} lines name it, no document does", number))

    def _invoice_without_lines(self) -> None:
        number = self.numbers.without_lines
        self.documents.append(InvoiceDocument(number, "CHF", "CHF", Decimal("412.60")))
        self.planted.append(Planted("INVOICE_WITHOUT_LINES", "a document that no line names", number))


def _is_special(line: ReconLine) -> bool:
    """Lines whose price rows are planted at, and those whose segment only the price tells."""
    return line.price_row is not None and line.price_row.sku in {WITHDRAWN, RAISED, *SHARED}


def _looks_like_tax(remainder: Decimal, pre_tax: Decimal) -> bool:
    """Whether a remainder is a tax rate of up to 30 percent, in steps of a quarter percent."""
    return any(tax_of(pre_tax, Decimal(step) / 400) == remainder for step in range(1, 121))
