"""BILLED_LINE_CHANGED: lines that are billed in HaloPSA and are not what the run has, so that a customer is charged
otherwise than Microsoft charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import pyarrow as pa

from transforms.findings import Finding, money_text
from transforms.line_reader import CONTEXT


class Change(Enum):
    """What became of a line after it was billed."""

    AMOUNTS = "amounts"
    GONE = "gone"
    VOID = "void"


@dataclass(frozen=True)
class BilledLine:
    """A line that is billed in HaloPSA, and came with other amounts, or no longer, or with a void invoice.

    Attributes:
        change: which of these.
        invoice_number: the invoice that it is below.
        halo_id: HaloPSA's id.
        line_id: its identity; None for a line that was not posted by the ledger at hand.
        total: what HaloPSA has billed, in the line's currency.
    """

    change: Change
    invoice_number: str
    halo_id: int
    line_id: str | None
    total: Decimal


def billed_line_changes(billed: Sequence[BilledLine], lines: pa.Table) -> list[Finding]:
    """One BILLED_LINE_CHANGED for each of these lines: expected is what is billed, actual what the run has for it.

    None for a line of 0.00 that is gone: nobody has to be credited.

    Args:
        billed: the lines.
        lines: columns of LINES; of each of them the latest run's row, where any is stored.
    """
    known = {row["line_id"]: row for row in lines.to_pylist()}
    return [
        _finding(line, known.get(line.line_id)) for line in billed if line.total or line.change is Change.AMOUNTS
    ]


def _finding(line: BilledLine, row: dict[str, Any] | None) -> Finding:
    context: dict[str, Any] = {"line_id": line.line_id, "invoice_number": line.invoice_number}
    currency, now = None, Decimal(0)
    if row is not None:
        context, currency = {name: row[name] for name in CONTEXT}, row["currency"]
        now = row["total_amount"] if line.change is Change.AMOUNTS else now
    became = _what_became(line, money_text(now, currency))
    return Finding(
        "BILLED_LINE_CHANGED",
        f"The line is billed in HaloPSA with {money_text(line.total, currency)} (id {line.halo_id}) {became}",
        expected_amount=line.total,
        actual_amount=now,
        currency=currency,
        **context,
    )


def _what_became(line: BilledLine, now: str) -> str:
    """The end of the sentence, and what to do."""
    credit = "it is left as it was billed. Credit who was charged in HaloPSA."
    if line.change is Change.VOID:
        return f"and invoice {line.invoice_number} is void now: {credit}"
    if line.change is Change.AMOUNTS:
        return (
            f"and came again with other content, now {now}: it is left as it was billed. Credit or rebill the "
            "difference in HaloPSA."
        )
    return f"and the exports no longer have it: {credit}"
