"""Money is conserved: what was delivered is what was concluded, to the last digit, for each invoice and currency.

Checked inside every run. A difference is a defect of this program, not of the data: the run is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

_EXACT = Context(prec=60)

#: Sums by invoice number and currency.
Sums = dict[tuple[str, str], Decimal]


class ConservationError(AssertionError):
    """Money was lost or made between the source rows and the lines of a run."""


def check_conservation(recon: pa.Table, usage: pa.Table, lines: pa.Table) -> None:
    """Check that lines carry exactly what their source rows carry, and that expected and difference add up to it.

    Args:
        recon: reconciliation rows of the period, as delivered.
        usage: usage rows of the period, as delivered.
        lines: the run's lines, both sources.

    Raises:
        ConservationError: names invoice, currency and both sums.
    """
    for source, rows, columns in (
        ("invoice_recon", recon, ("subtotal", "tax_total", "total", "currency")),
        ("daily_usage", usage, ("billing_pre_tax_total", None, "billing_pre_tax_total", "billing_currency")),
    ):
        own = lines.filter(pc.equal(lines.column("source"), source))
        if own.num_rows != rows.num_rows:
            raise ConservationError(f"{source}: {rows.num_rows} rows were delivered, {own.num_rows} lines concluded")
        subtotal, tax, total, currency = columns
        for delivered, concluded in ((subtotal, "subtotal_amount"), (tax, "tax_amount"), (total, "total_amount")):
            if delivered is not None:
                _same(source, _sums(rows, delivered, currency or ""), _sums(own, concluded, "currency"))
    expected = _sums(lines, "expected_subtotal_amount", "currency")
    differences = _sums(lines, "difference_amount", "currency")
    _same("expected and differences", _added(expected, differences), _sums(lines, "subtotal_amount", "currency"))


def _sums(table: pa.Table, amount: str, currency: str) -> Sums:
    grouped = table.select(["invoice_number", currency, amount]).group_by(["invoice_number", currency])
    return {
        (row["invoice_number"] or "", row[currency] or ""): row[f"{amount}_sum"] or Decimal(0)
        for row in grouped.aggregate([(amount, "sum")]).to_pylist()
    }


def _added(left: Sums, right: Sums) -> Sums:
    total: Sums = defaultdict(Decimal)
    for sums in (left, right):
        for key, amount in sums.items():
            total[key] = _EXACT.add(total[key], amount)
    return dict(total)


def _same(what: str, delivered: Sums, concluded: Sums) -> None:
    keys: Iterable[tuple[str, str]] = sorted({*delivered, *concluded})
    for key in keys:
        if delivered.get(key, Decimal(0)) != concluded.get(key, Decimal(0)):
            raise ConservationError(
                f"{what}: invoice {key[0] or '(none)'} in {key[1] or '(no currency)'} has {delivered.get(key)} "
                f"delivered and {concluded.get(key)} concluded"
            )
