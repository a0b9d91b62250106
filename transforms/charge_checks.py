"""The checks of reconciliation lines against each other and their invoice: rates, currencies, charge periods."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, lowered
from transforms.findings import Finding, money_text
from transforms.line_reader import LineReader, rows_of
from transforms.money import Mask, tidy

#: Charge types that bill a whole charge cycle.
CYCLE_CHARGES = ("new", "renew", "cyclecharge")

_SPAN = ("subscription_id", "product_id", "sku_id", "charge_type", "charge_start_date", "charge_end_date", "subtotal",
         "order_date", "source_file", "source_row")  # fmt: skip
_NEVER = datetime.min.replace(tzinfo=UTC)


def check_exchange_rates(reader: LineReader, recon: pa.Table) -> list[Finding]:
    """EXCHANGE_RATE_MISMATCH for each line whose rate is not the usual one of its invoice, currency and rate date.

    The usual rate is the one that most lines carry; of equally common ones the one that stands first in the file.
    """
    keys = ["invoice_number", "pricing_currency", "pc_to_bc_exchange_rate_date"]
    rated = recon.select([*keys, "pc_to_bc_exchange_rate"])
    two_rates = (
        rated.filter(pc.is_valid(rated.column("pc_to_bc_exchange_rate")))
        .group_by(keys)
        .aggregate([("pc_to_bc_exchange_rate", "count_distinct")])
    )
    groups = two_rates.filter(pc.greater(two_rates.column("pc_to_bc_exchange_rate_count_distinct"), 1))
    findings = []
    for group in groups.select(keys).to_pylist():
        rows = rows_of(_all_equal(rated, group))
        rates = [rated.column("pc_to_bc_exchange_rate")[row].as_py() for row in rows]
        usual = Counter(rate for rate in rates if rate is not None).most_common(1)[0][0]
        findings += [
            reader.finding(
                row, "EXCHANGE_RATE_MISMATCH",
                f"The line is exchanged at {tidy(rate):f}, but {group['pricing_currency']} lines of invoice "
                f"{group['invoice_number']} with the rate of {group['pc_to_bc_exchange_rate_date']} are at "
                f"{tidy(usual):f}.",
                expected=usual, actual=rate,
            )
            for row, rate in zip(rows, rates, strict=True)
            if rate is not None and rate != usual
        ]  # fmt: skip
    return findings


def check_currencies(lines: pa.Table, currency: str, invoices: pa.Table) -> list[Finding]:
    """CURRENCY_MISMATCH for each line whose billing currency is not its invoice document's.

    Args:
        lines: reconciliation or usage lines.
        currency: their column with the billing currency.
        invoices: invoice documents.
    """
    documents = dict(
        zip(invoices.column("invoice_number").to_pylist(), invoices.column("currency_code").to_pylist(), strict=True)
    )
    pairs = lines.group_by(["invoice_number", currency]).aggregate([]).to_pylist()
    wrong = [
        pair for pair in pairs
        if pair["invoice_number"] in documents
        and (pair[currency] or "").upper() != documents[pair["invoice_number"]].upper()
    ]  # fmt: skip
    reader = LineReader(lines, currency)
    findings = []
    for pair in wrong:
        expected = documents[pair["invoice_number"]]
        for row in rows_of(_all_equal(lines, pair)):
            message = f"The line is billed in {pair[currency]}, its invoice {pair['invoice_number']} in {expected}."
            findings.append(reader.finding(row, "CURRENCY_MISMATCH", message))
    return findings


def check_terms(reader: LineReader, recon: pa.Table, categories: Categories) -> list[Finding]:
    """CHARGE_OUTSIDE_TERM for each charge whose days are not all inside its subscription's term.

    A credit is given after the fact and is not compared; without an end the term or the charge is open.
    """
    starts, ends = recon.column("charge_start_date"), recon.column("charge_end_date")
    early = _true(pc.less(starts, recon.column("subscription_start_date")))
    late = _true(pc.greater(pc.coalesce(ends, starts), recon.column("subscription_end_date")))
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
    """A charge or refund with its days; `row` is its row in this period's lines, None for the previous period."""

    first: date
    last: date
    amount: Decimal
    ordered: datetime
    place: tuple[str, int]
    row: int | None

    @property
    def order(self) -> tuple[date, bool, datetime, tuple[str, int]]:
        """Which of two charges came first: by start, then period, order, and place in the files."""
        return self.first, self.row is not None, self.ordered, self.place

    def overlap(self, other: _Charge) -> tuple[date, date] | None:
        first, last = max(self.first, other.first), min(self.last, other.last)
        return (first, last) if first <= last else None


def check_overlaps(
    reader: LineReader, recon: pa.Table, categories: Categories, previous: pa.Table, previous_categories: Categories
) -> list[Finding]:
    """OVERLAPPING_CHARGE for each cycle charge that covers days which an earlier one covers already.

    Of two charges the one that starts later is named, of two that start together the one that was ordered later, else
    the one that stands later in the files. A refund of the same subscription and SKU whose days include the overlap
    undoes one charge. The previous period's charges count too. Azure-plan charges have one line a meter and are not
    cycle charges.
    """
    charges: dict[tuple[str, str, str], list[_Charge]] = defaultdict(list)
    refunds: dict[tuple[str, str, str], list[_Charge]] = defaultdict(list)
    for table, sorts, current in ((previous, previous_categories, False), (recon, categories, True)):
        _collect(table, sorts, current, charges, refunds)
    findings = []
    for key in sorted(charges):
        ordered = sorted(charges[key], key=lambda charge: charge.order)
        open_refunds = sorted(refunds[key], key=lambda refund: refund.first)
        for place, later in enumerate(ordered):
            if later.row is None:
                continue
            earlier = next((one for one in ordered[:place] if one.overlap(later)), None)
            if earlier is None or _undone(earlier.overlap(later), open_refunds):
                continue
            shared = earlier.overlap(later) or (later.first, later.last)
            findings.append(
                reader.finding(
                    later.row, "OVERLAPPING_CHARGE",
                    f"{shared[0]} to {shared[1]} is charged already: {money_text(earlier.amount)} for {earlier.first} "
                    f"to {earlier.last} ({earlier.place[0]} row {earlier.place[1]}), and no refund undoes either.",
                    expected=Decimal(0), actual=later.amount,
                )
            )  # fmt: skip
    return findings


def _collect(
    table: pa.Table,
    categories: Categories,
    current: bool,
    charges: dict[tuple[str, str, str], list[_Charge]],
    refunds: dict[tuple[str, str, str], list[_Charge]],
) -> None:
    """Sort the seat charges of a period into cycle charges and refunds, by subscription and SKU."""
    seats = seat_lines(table, categories)
    signs = np.asarray(pc.fill_null(pc.sign(table.column("subtotal")), 0))
    cycle = _true(pc.is_in(lowered(table, "charge_type"), pa.array(CYCLE_CHARGES)))
    for mask, into in ((seats & cycle & (signs > 0), charges), (seats & (signs < 0), refunds)):
        rows = np.flatnonzero(mask)
        for row, line in zip(rows, table.select(list(_SPAN)).take(pa.array(rows)).to_pylist(), strict=True):
            if line["subscription_id"] is None or line["charge_start_date"] is None:
                continue
            key = (line["subscription_id"].lower(), line["product_id"] or "", line["sku_id"] or "")
            into[key].append(
                _Charge(
                    line["charge_start_date"],
                    line["charge_end_date"] or date.max,
                    line["subtotal"],
                    line["order_date"] or _NEVER,
                    (line["source_file"], line["source_row"]),
                    int(row) if current else None,
                )
            )


def _undone(overlap: tuple[date, date] | None, refunds: list[_Charge]) -> bool:
    """Whether a refund covers the overlap; a refund undoes one charge and is used up."""
    for refund in refunds:
        if overlap and refund.first <= overlap[0] and refund.last >= overlap[1]:
            refunds.remove(refund)
            return True
    return False


def seat_lines(table: pa.Table, categories: Categories) -> Mask:
    """Lines of subscriptions that are charged by the seat or instance: no meters, no credits."""
    metered = _true(pc.not_equal(pc.coalesce(table.column("meter_description"), pa.scalar("")), ""))
    return ~categories.azure_plan & ~metered & ~categories.credit


def _all_equal(table: pa.Table, values: dict[str, Any]) -> Mask:
    """Rows that have these values, null being a value."""
    mask: Mask = np.ones(table.num_rows, dtype=np.bool_)
    for name, value in values.items():
        column = table.column(name)
        same = pc.is_null(column) if value is None else pc.equal(column, pa.scalar(value, column.type))
        mask &= _true(same)
    return mask


def _true(array: Any) -> Mask:
    return np.asarray(pc.fill_null(array, False), dtype=np.bool_)


