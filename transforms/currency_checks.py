"""The checks of an invoice's currency and exchange rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.findings import Finding, plain_number
from transforms.line_reader import LineReader, rows_of
from transforms.money import Mask

_RATED = ("invoice_number", "pricing_currency", "pc_to_bc_exchange_rate_date")


class _Group(NamedTuple):
    """What has one exchange rate; the billing currency is not part of it."""

    invoice_number: str | None
    pricing_currency: str | None
    rate_date: Any


def check_exchange_rates(recon: pa.Table, usage: pa.Table) -> list[Finding]:
    """EXCHANGE_RATE_MISMATCH for each line whose rate is not the usual one of its invoice, currency and rate date.

    The usual rate is the one that most lines of the invoice carry, of equally common ones the one that is most common
    for that currency and day on all invoices, else the smallest.

    Args:
        recon: reconciliation lines.
        usage: usage lines; they have the same rates.
    """
    tables = ((recon, "currency"), (usage, "billing_currency"))
    rates: dict[_Group, Counter[Decimal]] = defaultdict(Counter)
    everywhere: dict[tuple[Any, ...], Counter[Decimal]] = defaultdict(Counter)
    for table, _ in tables:
        for group, rate, count in _rates(table):
            rates[group][rate] += count
            everywhere[group[1:]][rate] += count
    findings = []
    for table, currency in tables:
        reader = LineReader(table, currency)
        for group, rate, _ in _rates(table):
            if len(rates[group]) < 2:
                continue
            usual = min(rates[group], key=lambda one: (-rates[group][one], -everywhere[group[1:]][one], one))
            if rate == usual:
                continue
            message = (
                f"The line is exchanged at {plain_number(rate)}, but {group.pricing_currency} lines of invoice "
                f"{group.invoice_number or '(unbilled)'} with the rate of {group.rate_date} are at "
                f"{plain_number(usual)}."
            )
            values = dict(zip((*_RATED, "pc_to_bc_exchange_rate"), (*group, rate), strict=True))
            findings += [
                reader.finding(row, "EXCHANGE_RATE_MISMATCH", message, expected=usual, actual=rate, counted=True)
                for row in rows_of(_all_equal(table, values))
            ]
    return findings


def _rates(table: pa.Table) -> Iterator[tuple[_Group, Decimal, int]]:
    """Each rate of each group with how many lines carry it."""
    counted = table.group_by([*_RATED, "pc_to_bc_exchange_rate"]).aggregate([([], "count_all")])
    for row in counted.to_pylist():
        # Rates of days that the export does not tell may differ: licences are exchanged on the day of their charge.
        if row["pc_to_bc_exchange_rate"] is not None and row["pc_to_bc_exchange_rate_date"] is not None:
            group = _Group(row["invoice_number"], row["pricing_currency"], row["pc_to_bc_exchange_rate_date"])
            yield group, row["pc_to_bc_exchange_rate"], row["count_all"]


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


def _all_equal(table: pa.Table, values: Mapping[str, Any]) -> Mask:
    """Rows that have these values, null being a value."""
    mask: Mask = np.ones(table.num_rows, dtype=np.bool_)
    for name, value in values.items():
        column = table.column(name)
        same = pc.is_null(column) if value is None else pc.equal(column, pa.scalar(value, column.type))
        mask &= np.asarray(pc.fill_null(same, False), dtype=np.bool_)
    return mask
