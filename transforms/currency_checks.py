"""The checks of an invoice's currency and exchange rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.findings import Finding, plain_number
from transforms.grouping import RowsByCase, distinct_cases
from transforms.line_reader import LineReader

_RATED = ["invoice_number", "pricing_currency", "pc_to_bc_exchange_rate_date", "pc_to_bc_exchange_rate"]


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
    tables = [_Rated(recon, "currency"), _Rated(usage, "billing_currency")]
    rates: dict[_Group, Counter[Decimal]] = defaultdict(Counter)
    everywhere: dict[tuple[Any, ...], Counter[Decimal]] = defaultdict(Counter)
    for table in tables:
        for group, rate, number in table.cases():
            count = int(table.rows.counts[number])
            rates[group][rate] += count
            everywhere[group[1:]][rate] += count
    usual = {
        group: min(found, key=lambda rate: (-found[rate], -everywhere[group[1:]][rate], rate))
        for group, found in rates.items()
        if len(found) > 1
    }
    findings = []
    for table in tables:
        for group, rate, number in table.cases():
            if rate == usual.get(group, rate):
                continue
            message = (
                f"The line is exchanged at {plain_number(rate)}, but {group.pricing_currency} lines of invoice "
                f"{group.invoice_number or '(unbilled)'} with the rate of {group.rate_date} are at "
                f"{plain_number(usual[group])}."
            )
            findings += [
                table.reader.finding(
                    row, "EXCHANGE_RATE_MISMATCH", message, expected=usual[group], actual=rate, counted=True
                )
                for row in table.rows.rows(number)
            ]
    return findings


class _Rated:
    """Lines by invoice, pricing currency, rate date and rate."""

    def __init__(self, table: pa.Table, currency: str) -> None:
        self.reader = LineReader(table, currency)
        numbers, self._cases = distinct_cases(table, _RATED)
        self.rows = RowsByCase(numbers, len(self._cases))

    def cases(self) -> Iterator[tuple[_Group, Decimal, int]]:
        """Each rate of each group, with the number of its rows in `rows`.

        Rates of days that the export does not tell may differ: licences are exchanged on the day of their charge.
        """
        for number, case in enumerate(self._cases):
            *group, rate = (case[name] for name in _RATED)
            if rate is not None and case["pc_to_bc_exchange_rate_date"] is not None:
                yield _Group(*group), rate, number


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
    numbers, pairs = distinct_cases(lines, ["invoice_number", currency])
    rows, reader = RowsByCase(numbers, len(pairs)), LineReader(lines, currency)
    findings = []
    for number, pair in enumerate(pairs):
        invoice, found = pair["invoice_number"], pair[currency] or ""
        if invoice in documents and found.upper() != documents[invoice].upper():
            message = f"The line is billed in {found or 'no currency'}, its invoice {invoice} in {documents[invoice]}."
            findings += [reader.finding(row, "CURRENCY_MISMATCH", message) for row in rows.rows(number)]
    return findings
