"""Plant discrepancies into one of several consecutive months, so that no other month shows anything of them.

A planted line leaves what the next month is compared with as it was: the seats, the end of the paid time, and that the
subscription was billed at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from random import Random

from examples.catalogue import PAUSED, RAISED, SHARED
from examples.customers import UNITED_STATES
from examples.documents import InvoiceDocument, InvoiceNumbers, invoice_documents
from examples.lines import ReconLine, UsageRow
from examples.meters import FREE_TIER
from examples.month import RenderedMonth
from examples.numbers import EXACT, ONE, plain
from examples.plant.azure_lists import AzureListPlanter
from examples.plant.changes import above_erp, thin_margin, wrong_subtotal, wrong_total, wrong_unit_price
from examples.plant.lists import is_missing
from examples.plant.picking import Picker
from examples.plant.spans import early_start, late_end, overlapping_start, repeated, short_term, started_again
from examples.plant.usage import UsagePlanter, other_rate
from examples.truth import Planted

_SEAT_CHANGES = ("addQuantity", "removeQuantity", "convert")
_OFF = Decimal("137.41")
_CUT_AFTER = 31
_UNREADABLE: tuple[dict[str, str], ...] = (
    {"Subtotal": "12.3.4"},
    {"ChargeStartDate": "31/31/2025"},
    {"Currency": ""},
    {"BillableQuantity": "n/a"},
    {"CustomerId": ""},
)


class YearPlanter:
    """Plants into the lines, usage and invoice documents of one month, in place; what it plants is in `planted`."""

    def __init__(
        self,
        random: Random,
        index: int,
        month: RenderedMonth,
        previous: RenderedMonth | None,
        numbers: InvoiceNumbers,
        kept: frozenset[str],
    ) -> None:
        """`index` counts the months from 0; `kept` are the subscriptions that are left as they are."""
        self.random, self.index, self.numbers = random, index, numbers
        self.lines, self.usage = month.lines, month.usage
        self.planted: list[Planted] = []
        self._picker = Picker(random, month.lines, lambda line: line.subscription_id in kept or _is_special(line))
        self._counts = Counter(line.subscription_id for line in month.lines)
        before = previous.lines if previous else []
        self._before = Counter(line.subscription_id for line in before if line.is_readable)
        self._surplus: dict[str, Decimal] = {}
        self._extra: list[InvoiceDocument] = []
        self._note = (Decimal(0), "")
        self._lists = AzureListPlanter(random, index, month)

    def plant(self) -> None:
        """Plant every code that shows in a month by itself."""
        usage = UsagePlanter(self.random, self._picker, self.lines, self.usage)
        self._unreadable_free_rows()
        self._invoices_off()
        self._change_at("CHARGE_OUTSIDE_TERM", *self._outside_term())
        self._overlaps()
        self._change("SUBTOTAL_MISMATCH", wrong_subtotal, self._others())
        self._change("TOTAL_MISMATCH", wrong_total, self._metered())
        self._change("UNIT_PRICE_MISMATCH", wrong_unit_price, self._promoted() or self._seat_changes())
        self._metered_prices()
        self._change("ABOVE_ERP", above_erp, [line for line in self._seat_changes() if line.subtotal > 0])
        self._change("MARGIN_BELOW_FLOOR", thin_margin, [])
        self._change("EXCHANGE_RATE_MISMATCH", other_rate, self._exchanged(), self._local())
        self._invoices_not_found()
        self._invoices_without_lines()
        self.planted += usage.mismatches(self.index)
        self.planted += usage.other_rates()
        self._currencies()
        self.planted += self._lists.findings()

    def documents(self) -> list[InvoiceDocument]:
        """The month's invoice documents: what the lines add up to, and what is planted at them."""
        *invoices, note = invoice_documents(self.lines, self.numbers, self._surplus)
        off, currency = self._note
        note = replace(note, total=note.total + off, currency=currency or note.currency)
        return [*invoices, note, *self._extra]

    def _add(self, code: str, row: ReconLine | UsageRow, note: str) -> None:
        self.planted.append(Planted(code, note, row.invoice_number, row))

    def _change(self, code: str, change: Callable[[ReconLine], str], *preferred: list[ReconLine]) -> None:
        """Two lines: of the preferred ones if there are, of ordinary charges for the rest."""
        pools = [*(pool for pool in preferred if pool), self._picker.candidates(), self._picker.candidates()]
        for pool in pools[:2]:
            (line,) = self._picker.choose(1, (line for line in pool if self._picker.is_free(line)))
            self._add(code, line, change(line))

    def _change_at(self, code: str, *cases: tuple[Callable[[ReconLine], str], list[ReconLine]]) -> None:
        """Two lines, of the first two cases that have any."""
        for change, pool in [case for case in cases if case[1]][:2]:
            (line,) = self._picker.choose(1, (line for line in pool if self._picker.is_free(line)))
            self._add(code, line, change(line))

    def _free(self, is_wanted: Callable[[ReconLine], bool]) -> list[ReconLine]:
        found = [line for line in self.lines if is_wanted(line) and self._picker.is_free(line) and line.is_readable]
        self.random.shuffle(found)
        return found

    def _others(self) -> list[ReconLine]:
        """Refunds and charges of seat changes, reservations, marketplace subscriptions."""
        charged = self._free(lambda line: bool(line.subtotal))
        return [line for line in charged if _is_purchase(line) or line.charge_type in _SEAT_CHANGES]

    def _metered(self) -> list[ReconLine]:
        return self._free(lambda line: bool(line.meter) and line.subtotal > 0)

    def _promoted(self) -> list[ReconLine]:
        """Every third month: a promotion makes another UnitPrice a matter of information."""
        return self._free(lambda line: bool(line.promotion_id)) if self.index % 3 == 0 else []

    def _seat_changes(self) -> list[ReconLine]:
        return self._free(
            lambda line: line.charge_type in _SEAT_CHANGES and not line.promotion_id and bool(line.subtotal)
        )

    def _metered_prices(self) -> None:
        """A usage row and a line that each show another list price than the list of their month."""
        paid = [row for row in self.usage if row.effective_unit_price > 0 and self._lists.is_listed(row)]
        lines = [line for line in self._metered() if self._lists.is_listed(line)]
        rows: list[ReconLine | UsageRow] = [self.random.choice(paid), *self._picker.choose(1, lines)]
        for row in rows:
            right = row.unit_price
            row.unit_price = EXACT.multiply(right, Decimal("1.06"))
            self._add("UNIT_PRICE_MISMATCH", row, f"UnitPrice {plain(row.unit_price)}, the list has {plain(right)}")

    def _exchanged(self) -> list[ReconLine]:
        """Lines priced in dollars and billed in another currency, in turn metered and others."""
        is_metered = self.index % 2 == 0
        return self._free(lambda line: line.rate != ONE and bool(line.meter) == is_metered and line.subtotal > 0)

    def _local(self) -> list[ReconLine]:
        """Licences priced in a billing currency that is not the dollar."""
        return [line for line in self._picker.candidates() if line.customer.market.currency != "USD"]

    def _alone(self, pool: Iterable[ReconLine], *, is_before: bool = False) -> list[ReconLine]:
        """The lines that are all that their subscription has in the month, on request also in the month before."""
        return [
            line for line in pool
            if self._counts[line.subscription_id] == 1 and (not is_before or self._before[line.subscription_id] == 1)
        ]  # fmt: skip

    def _outside_term(self) -> list[tuple[Callable[[ReconLine], str], list[ReconLine]]]:
        pool = self._alone(self._picker.candidates())
        bought = [line for line in pool if line.charge_type == "new" and line.charge_start.day >= 5]
        ending = [line for line in pool if line.is_last]
        cycles = [line for line in pool if line.charge_type == "cycleCharge" and not line.is_last]
        cases = [(early_start, bought), (late_end, ending)]
        return [*(cases if self.index % 2 else cases[::-1]), (short_term, cycles), (short_term, cycles[1:])]

    def _overlaps(self) -> None:
        """One charge twice, and one that begins before the last one has ended."""
        pool = self._alone(self._picker.candidates())
        monthly = [line for line in pool if line.charge_type == "renew" and line.frequency == "Monthly"]
        cycles = [line for line in pool if line.charge_type == "cycleCharge"]
        make, lines = (started_again, monthly) if self.index % 2 else (repeated, cycles)
        (line,) = self._picker.choose(1, lines)
        again, note = make(line)
        self.lines.insert(next(n for n, one in enumerate(self.lines) if one is line) + 1, again)
        self._add("OVERLAPPING_CHARGE", again, note)
        going_on = self._alone((line for line in cycles if self._picker.is_free(line)), is_before=True)
        if going_on:
            self._change_at("OVERLAPPING_CHARGE", (overlapping_start, going_on))

    def _currencies(self) -> None:
        """A licence line, and a usage row, a metered line, or the lines of the credit note."""
        (line,) = self._picker.choose(1, self._picker.candidates())
        rows: list[ReconLine | UsageRow] = [line]
        if self.index % 3 == 0:
            rows.append(self.random.choice([row for row in self.usage if not row.damage and row.quantity > 0]))
        elif self.index % 3 == 1:
            rows += self._picker.choose(1, self._metered())
        else:
            self._note = (self._note[0], "EUR")
            for line in self.lines:
                if line.invoice_number == self.numbers.credit_note:
                    self._add("CURRENCY_MISMATCH", line, "its document is in EUR")
        for row in rows:
            row.currency = "USD" if row.customer.market.currency != "USD" else "GBP"
            self._add("CURRENCY_MISMATCH", row, f"billed in {row.currency}")

    def _unreadable_free_rows(self) -> None:
        """A usage row and a line that cost nothing, so that nothing else shows that they are missing."""
        free = [row for row in self.usage if row.meter_name == FREE_TIER.name]
        usage = self.random.choice(free)
        usage.damage = {"UsageDate": f"13/45/{usage.usage_date.year}"}
        self._add("ROW_REJECTED", usage, "UsageDate is no date; the row costs nothing")
        (line,) = self._picker.choose(1, self._free(lambda line: line.meter.endswith(FREE_TIER.name)))
        self._damage(line)

    def _damage(self, line: ReconLine) -> None:
        kind = self.random.randrange(len(_UNREADABLE) + 1)
        if kind == len(_UNREADABLE):
            line.cut_after = _CUT_AFTER
            self._add("ROW_REJECTED", line, f"the row ends after {_CUT_AFTER} of 47 fields")
        else:
            line.damage = _UNREADABLE[kind]
            self._add("ROW_REJECTED", line, f"{', '.join(line.damage)} cannot be used")

    def _invoices_off(self) -> None:
        """Two of three invoices that their lines do not add up to, one of them with a line that cannot be read."""
        numbers = list(self.numbers.by_currency.values())
        first, second = numbers[self.index % 3], numbers[(self.index + 1) % 3]
        own = self._alone(line for line in self._picker.candidates() if line.invoice_number == first)
        # Without it, neither this month nor the next one finds that its subscription was dropped.
        unmissed = [line for line in own if line.charge_type == "new" or line.term_text.startswith("One-Month")]
        for line in self._picker.choose(1, unmissed) if unmissed else []:
            self._damage(line)
        self._surplus[first] = _OFF
        self.planted.append(Planted("INVOICE_TOTAL_MISMATCH", f"the document is {plain(_OFF)} above its lines", first))
        if second == self.numbers.of(UNITED_STATES):
            self._note = (_OFF, self._note[1])
            note = f"its credit note is {plain(_OFF)} above the note's lines"
        else:
            self._surplus[second] = -_OFF
            note = f"the document is {plain(_OFF)} below its lines"
        self.planted.append(Planted("INVOICE_TOTAL_MISMATCH", note, second))

    def _invoices_not_found(self) -> None:
        """An invoice of two lines of a customer's, and one of a single line or of a usage row that costs nothing."""
        first, second = self.numbers.unknown, _next(self.numbers.unknown)
        pool = self._picker.candidates()
        customer, _ = Counter(line.customer for line in pool).most_common(1)[0]
        for line in self._picker.choose(2, (line for line in pool if line.customer == customer)):
            line.invoice_number = first
        if self.index % 2:
            free = [row for row in self.usage if row.meter_name == FREE_TIER.name and not row.damage]
            self.random.choice(free).invoice_number = second
        else:
            (line,) = self._picker.choose(1, self._free(_is_purchase) or self._picker.candidates())
            line.invoice_number = second
        for number, what in ((first, "two lines name it"), (second, "one row names it")):
            self.planted.append(Planted("INVOICE_NOT_FOUND", f"{what}, no document does", number))

    def _invoices_without_lines(self) -> None:
        first, second = self.numbers.without_lines, _next(self.numbers.without_lines)
        self._extra += [
            InvoiceDocument(first, "CHF", "CHF", Decimal("412.60")),
            InvoiceDocument(second, "GBP", "£", Decimal("88.12")),
        ]
        for number in (first, second):
            self.planted.append(Planted("INVOICE_WITHOUT_LINES", "a document that no line names", number))


def _is_special(line: ReconLine) -> bool:
    """Lines at whose price rows something is planted, and those whose segment only the price tells."""
    row = line.price_row
    return row is not None and (row.sku in {RAISED, PAUSED, *SHARED} or is_missing(row))


def _is_purchase(line: ReconLine) -> bool:
    """Whether the line is a reservation's or a marketplace subscription's."""
    return line.price_row is None and not line.meter


def _next(number: str) -> str:
    return f"G{int(number[1:]) + 1:09d}"
