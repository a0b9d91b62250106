"""What became of last period's subscriptions: still billed, and for as many seats?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories
from transforms.charge_checks import CYCLE_CHARGES, seat_lines
from transforms.findings import Finding
from transforms.line_reader import LineReader
from transforms.money import tidy
from transforms.periods import last_day
from transforms.texts import lowered

#: Events that end a subscription. One that is moved or converted to another one ends with a refund.
_ENDS = ("cancelimmediate", "cancel")
#: Events that explain another number of seats.
_SEAT_EVENTS = ("addquantity", "removequantity", "movequantity", "renew", "convert")

_READ = ("subscription_id", "charge_type", "charge_start_date", "charge_end_date", "order_date", "subtotal",
         "billable_quantity", "quantity", "subscription_end_date", "customer_id", "customer_name", "product_id",
         "sku_id", "line_id")  # fmt: skip
_NEVER = datetime.min.replace(tzinfo=UTC)
#: What stands between the delimiters and quotes of a row.
_WORD = re.compile(r"[^,;\t\n\"']+")


@dataclass
class _Subscription:
    """The seat lines of one subscription in one period, in the order of their events."""

    lines: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def has(self, *types: str) -> bool:
        return any(line["charge_type"] in types for _, line in self.lines)

    @property
    def charges(self) -> list[tuple[int, dict[str, Any]]]:
        """Lines that charge, first event first; the file is not in chronological order."""
        charged = [(row, line) for row, line in self.lines if (line["subtotal"] or 0) > 0]
        return sorted(charged, key=lambda item: (*_event(item[1]), item[1]["line_id"]))

    @property
    def is_ended(self) -> bool:
        """Whether it was cancelled, or only refunded by its last event, as when it was moved to another one."""
        if self.has(*_ENDS):
            return True
        latest = max((_event(line) for _, line in self.lines), default=None)
        return all((line["subtotal"] or 0) < 0 for _, line in self.lines if _event(line) == latest)

    @property
    def seats_at_end(self) -> Decimal | None:
        """Seats after the last event; lines of the same event (a split product) are added up."""
        charges = self.charges
        if not charges:
            return None
        last = _event(charges[-1][1])
        return sum((_seats(line) for _, line in charges if _event(line) == last), Decimal(0))

    @property
    def paid_until(self) -> date | None:
        """Last day that is charged for."""
        return max((line["charge_end_date"] for _, line in self.charges if line["charge_end_date"]), default=None)


def check_continuity(
    recon: pa.Table,
    categories: Categories,
    previous: pa.Table,
    previous_categories: Categories,
    period: str,
    rejected: Sequence[str],
) -> list[Finding]:
    """SUBSCRIPTION_DROPPED and QUANTITY_CHANGED against the previous period's lines (none: no finding).

    A subscription is dropped when a charge is due in this period (its paid time ends before this period does and
    before its term), nothing ended it, and no line names it. Its seats changed when the first cycle charge of this
    period is for another number than the last event of the previous one left, and no line of this period explains it.
    A row in quarantine that names the subscription may be its line.

    Args:
        recon, categories: the period's lines, at least those of the subscriptions in `previous`.
        previous, previous_categories: those of the period before that may have a finding.
        period: YYYY-MM.
        rejected: the period's rows in quarantine, as delivered.
    """
    unread = {word for text in rejected for word in _WORD.findall(text.lower())}
    before = _subscriptions(previous, previous_categories)
    now = _subscriptions(recon, categories)
    named = set(lowered(recon, "subscription_id").to_pylist())
    reader = LineReader(recon)
    findings = []
    for key in sorted(before):
        if key in unread:
            continue
        if key not in named:
            findings += _dropped(before[key], period)
        elif key in now:
            findings += _changed(before[key], now[key], reader)
    return findings


def _dropped(before: _Subscription, period: str) -> list[Finding]:
    paid_until, charges = before.paid_until, before.charges
    if not charges or paid_until is None or before.is_ended:
        return []
    last = charges[-1][1]
    term_end = last["subscription_end_date"]
    if term_end is None or paid_until >= term_end or paid_until >= last_day(period):
        return []
    message = (
        f"Subscription {last['subscription_id']} was billed until {paid_until} in the previous period, its term ends "
        f"on {term_end}, nothing cancelled it, and this period has no line of it."
    )
    context = {name: last[name] for name in ("customer_id", "customer_name", "subscription_id", "product_id", "sku_id")}
    return [Finding("SUBSCRIPTION_DROPPED", message, **context)]


def _changed(before: _Subscription, now: _Subscription, reader: LineReader) -> list[Finding]:
    cycles = [(row, line) for row, line in now.charges if line["charge_type"] in CYCLE_CHARGES]
    seats_before = before.seats_at_end
    if not cycles or seats_before is None or now.has(*_SEAT_EVENTS):
        return []
    first = _event(cycles[0][1])
    together = [(row, line) for row, line in cycles if _event(line) == first]
    seats_now = sum((_seats(line) for _, line in together), Decimal(0))
    if seats_now == seats_before:
        return []
    message = (
        f"{tidy(seats_now):f} seats are charged, {tidy(seats_before):f} at the end of the previous period, and no line "
        "adds, removes, moves or renews seats."
    )
    row = together[0][0]
    return [
        reader.finding(row, "QUANTITY_CHANGED", message, expected=seats_before, actual=seats_now, counted=True)
    ]


def _subscriptions(table: pa.Table, categories: Categories) -> dict[str, _Subscription]:
    """Seat lines by subscription, with their charge type in lower case."""
    rows = np.flatnonzero(seat_lines(table, categories) & np.asarray(pc.is_valid(table.column("subscription_id"))))
    subset = table.select(list(_READ)).take(pa.array(rows))
    subset = subset.set_column(1, "charge_type", lowered(subset, "charge_type"))
    found: dict[str, _Subscription] = defaultdict(_Subscription)
    for row, line in zip(rows, subset.to_pylist(), strict=True):
        found[line["subscription_id"].lower()].lines.append((int(row), line))
    return found


def _event(line: dict[str, Any]) -> tuple[date, datetime]:
    """When a line's event took effect; seat changes of one day are told apart by when they were ordered.

    A cycle charge opens its day: its order date is the purchase, long before.
    """
    ordered = _NEVER if line["charge_type"] == "cyclecharge" else line["order_date"] or _NEVER
    return line["charge_start_date"] or date.min, ordered


def _seats(line: dict[str, Any]) -> Decimal:
    seats: Decimal = line["billable_quantity"] if line["billable_quantity"] is not None else line["quantity"]
    return abs(seats) if seats is not None else Decimal(0)
