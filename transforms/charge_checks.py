"""The checks of what a charge is for: the days of its term, and that no day is charged twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, true_mask
from transforms.findings import Finding, money_text
from transforms.integers import Mask
from transforms.line_identity import reference_of
from transforms.line_reader import LineReader, rows_of
from transforms.texts import is_one_of, lowered, where

#: Charge types that bill a whole charge cycle.
CYCLE_CHARGES = ("new", "renew", "cyclecharge")
_SEAT_CHANGES = ("addquantity", "removequantity", "movequantity")

_SPAN = (
    "subscription_id", "product_id", "sku_id", "charge_type", "charge_start_date", "charge_end_date", "subtotal",
    "order_date", "order_id", "reference_id", "billable_quantity", "availability_id", "product_qualifiers",
    "sku_name", "product_name", "source_file", "source_row",
)  # fmt: skip
_NEVER = datetime.min.replace(tzinfo=UTC)


def check_terms(reader: LineReader, recon: pa.Table, categories: Categories) -> list[Finding]:
    """CHARGE_OUTSIDE_TERM for each charge whose days are not all inside its subscription's term.

    A credit is given after the fact and is not compared; without an end the term or the charge is open.
    """
    starts, ends = recon.column("charge_start_date"), recon.column("charge_end_date")
    early = true_mask(pc.less(starts, recon.column("subscription_start_date")))
    late = true_mask(pc.greater(pc.coalesce(ends, starts), recon.column("subscription_end_date")))
    findings = []
    for row in rows_of((early | late) & ~categories.credit):
        span = f"{starts[row].as_py()} to {ends[row].as_py() or 'no end'}"
        term = (
            f"{recon.column('subscription_start_date')[row].as_py()} to "
            f"{recon.column('subscription_end_date')[row].as_py()}"
        )
        message = f"The charge covers {span}, the subscription's term is {term}."
        findings.append(reader.finding(row, "CHARGE_OUTSIDE_TERM", message))
    return findings


@dataclass(frozen=True)
class _Charge:
    """A charge or refund with its days and seats; `row` is its row in this period's lines, None for the one before.

    `event` names the event that it is a line of, `part` what tells the parts of a product that is billed in several
    lines from each other.
    """

    first: date
    last: date
    amount: Decimal
    seats: Decimal | None
    ordered: datetime
    event: tuple[Any, ...]
    part: tuple[Any, ...]
    place: tuple[str, int]
    row: int | None

    @property
    def order(self) -> tuple[date, bool, datetime, tuple[str, int]]:
        """Which of two charges came first: by start, then period, order, and place in the files."""
        return self.first, self.row is not None, self.ordered, self.place

    def overlap(self, other: _Charge) -> tuple[date, date] | None:
        """The days that both charge for; None for two parts of one charge."""
        if self.event == other.event and self.part != other.part:
            return None
        first, last = max(self.first, other.first), min(self.last, other.last)
        return (first, last) if first <= last else None

    def covers(self, days: tuple[date, date]) -> bool:
        """Whether it is for all of these days."""
        return self.first <= days[0] and self.last >= days[1]


class _Subscriptions:
    """Cycle charges, charges of changed seats, and refunds, by subscription, product and SKU."""

    def __init__(self) -> None:
        self.charges: dict[tuple[str, str, str], list[_Charge]] = defaultdict(list)
        self.changes: dict[tuple[str, str, str], list[_Charge]] = defaultdict(list)
        self.refunds: dict[tuple[str, str, str], list[_Charge]] = defaultdict(list)

    def collect(self, table: pa.Table, categories: Categories, *, is_current: bool) -> None:
        """Add the seat charges of a period."""
        rows = np.flatnonzero(seat_lines(table, categories))
        subset = table.select(list(_SPAN)).take(pa.array(rows))
        subset = subset.set_column(_SPAN.index("charge_type"), "charge_type", lowered(subset, "charge_type"))
        lines = [
            (int(row) if is_current else None, line)
            for row, line in zip(rows, subset.to_pylist(), strict=True)
            if line["subscription_id"] is not None and line["charge_start_date"] is not None
            and line["charge_end_date"] is not None and line["subtotal"]
        ]
        charged_anew = {
            (line["subscription_id"].lower(), *_event(line))
            for _, line in lines
            if line["subtotal"] > 0 and line["charge_type"] in _SEAT_CHANGES
        }
        for row, line in lines:
            subscription = line["subscription_id"].lower()
            key = (subscription, (line["product_id"] or "").upper(), line["sku_id"] or "")
            if line["subtotal"] < 0:
                # The refund of a change of seats is made good by the charge for the new seats of the same event.
                if line["charge_type"] not in _SEAT_CHANGES or (subscription, *_event(line)) not in charged_anew:
                    self.refunds[key].append(_charge(line, row))
            elif line["charge_type"] in CYCLE_CHARGES:
                self.charges[key].append(_charge(line, row))
            elif line["charge_type"] in _SEAT_CHANGES:
                self.changes[key].append(_charge(line, row))


def check_overlaps(
    reader: LineReader, recon: pa.Table, categories: Categories, previous: pa.Table, previous_categories: Categories
) -> list[Finding]:
    """OVERLAPPING_CHARGE for each cycle charge that covers days which an earlier one covers already.

    `recon` and `previous` need not hold more than the subscriptions that may have such charges.

    Of two charges the one that starts later is named, of two that start together the one that was ordered later, else
    the one that stands later in the files. Refunds of the same subscription and SKU whose days include the overlap
    undo one charge, if they are for as many seats as it has, or as a change of seats has left of it; not a refund whose
    event charges the same days anew. The previous period's charges count too. Azure-plan charges have one line a meter
    and are not cycle charges, and what has no end is perpetual; lines of one event for several parts of a product
    (taxed differently, say) are one charge.
    """
    subscriptions = _Subscriptions()
    subscriptions.collect(previous, previous_categories, is_current=False)
    subscriptions.collect(recon, categories, is_current=True)
    findings = []
    for key in sorted(subscriptions.charges):
        ordered = sorted(subscriptions.charges[key], key=lambda charge: charge.order)
        open_refunds = sorted(subscriptions.refunds[key], key=lambda refund: refund.first)
        for place, later in enumerate(ordered):
            earlier = next((one for one in ordered[:place] if one.overlap(later)), None)
            shared = earlier.overlap(later) if earlier else None
            # A pair of the previous period uses up its refund, too, but was that period's finding.
            if earlier is None or shared is None:
                continue
            charged = [earlier, later, *(one for one in subscriptions.changes[key] if one.covers(shared))]
            if _undone(shared, charged, open_refunds) or later.row is None:
                continue
            findings.append(
                reader.finding(
                    later.row, "OVERLAPPING_CHARGE",
                    f"{shared[0]} to {shared[1]} is charged already: {money_text(earlier.amount)} for {earlier.first} "
                    f"to {earlier.last} ({earlier.place[0]} row {earlier.place[1]}), and no refund undoes either.",
                    expected=Decimal(0), actual=later.amount,
                )
            )  # fmt: skip
    return findings


def cycle_charges(table: pa.Table) -> Mask:
    """Charges of whole cycles that have an end and a subscription."""
    charged = true_mask(pc.greater(pc.sign(table.column("subtotal")), 0))
    for name in ("charge_start_date", "charge_end_date", "subscription_id"):
        charged &= np.asarray(pc.is_valid(table.column(name)))
    return charged & is_one_of(lowered(table, "charge_type"), CYCLE_CHARGES)


def _charge(line: dict[str, Any], row: int | None) -> _Charge:
    return _Charge(
        line["charge_start_date"],
        line["charge_end_date"],
        line["subtotal"],
        None if line["billable_quantity"] is None else abs(line["billable_quantity"]),
        line["order_date"] or _NEVER,
        (*_event(line), line["charge_type"], line["billable_quantity"]),
        tuple(line[name] for name in ("availability_id", "product_qualifiers", "sku_name", "product_name")),
        (line["source_file"], line["source_row"]),
        row,
    )


def _event(line: dict[str, Any]) -> tuple[Any, ...]:
    """What the lines of one event share: their reference or, without one, their order; and the days."""
    reference = reference_of(line["reference_id"]) if line["reference_id"] else None
    named = (reference,) if reference else (line["order_id"], line["order_date"])
    return (*named, line["charge_start_date"], line["charge_end_date"])


def _undone(overlap: tuple[date, date], charged: Sequence[_Charge], refunds: list[_Charge]) -> bool:
    """Whether refunds of the overlap are for as many seats as one of these charges; then they are used up.

    Seats that are not known are as many as it takes.
    """
    needed = min((charge.seats for charge in charged if charge.seats is not None), default=Decimal(0))
    taken = []
    for refund in refunds:
        if refund.covers(overlap):
            taken.append(refund)
            needed = Decimal(0) if refund.seats is None else needed - refund.seats
            if needed <= 0:
                for each in taken:
                    refunds.remove(each)
                return True
    return False


def seat_lines(table: pa.Table, categories: Categories) -> Mask:
    """Lines of subscriptions that are charged by the seat or instance: no meters, no credits."""
    metered = where(table.column("meter_description"), lambda names: pc.not_equal(names, ""))
    return ~categories.azure_plan & ~metered & ~categories.credit
