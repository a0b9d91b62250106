"""The checks of an invoice's currency and exchange rates."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.findings import Finding, plain_number
from transforms.grouping import RowsByCase, distinct_cases
from transforms.line_reader import LineReader
from transforms.tables import EXPORT_TABLES
from transforms.tables.sources import BILLING_CURRENCY
from transforms.usage_checks import Fetch

_RATED = ["invoice_number", "pricing_currency", "pc_to_bc_exchange_rate_date", "pc_to_bc_exchange_rate"]


class _Group(NamedTuple):
    """What has one exchange rate; the billing currency is not part of it."""

    invoice_number: str | None
    pricing_currency: str | None
    rate_date: Any


#: How many lines of each kind of export carry which rate.
Rates = Counter[tuple[str, _Group, Decimal]]


def count_rates(lines: pa.Table, kind: str) -> Rates:
    """How many lines carry which rate.

    Rates of days that the export does not tell may differ: licences are exchanged on the day of their charge.
    """
    numbers, cases = distinct_cases(lines, _RATED)
    counts = np.bincount(numbers, minlength=len(cases)).tolist()
    rates: Rates = Counter()
    for case, count in zip(cases, counts, strict=True):
        *group, rate = (case[name] for name in _RATED)
        if rate is not None and case["pc_to_bc_exchange_rate_date"] is not None:
            rates[kind, _Group(*group), rate] += count
    return rates


def odd_rates(rates: Rates) -> dict[tuple[str, _Group, Decimal], Decimal]:
    """The kinds, groups and rates whose lines do not carry the usual rate, each with the usual one.

    The usual rate is the one that most lines of the invoice carry, of equally common ones the one that is most common
    for that currency and day on all invoices, else the smallest.
    """
    own: dict[_Group, Counter[Decimal]] = defaultdict(Counter)
    everywhere: dict[tuple[Any, ...], Counter[Decimal]] = defaultdict(Counter)
    for (_, group, rate), count in rates.items():
        own[group][rate] += count
        everywhere[group[1:]][rate] += count
    usual = {
        group: min(found, key=lambda rate: (-found[rate], -everywhere[group[1:]][rate], rate))
        for group, found in own.items()
        if len(found) > 1
    }
    return {case: usual[case[1]] for case in rates if case[2] != usual.get(case[1], case[2])}


def check_exchange_rates(rates: Rates, fetch: Fetch) -> list[Finding]:
    """EXCHANGE_RATE_MISMATCH for each line whose rate is not the usual one of its invoice, currency and rate date.

    Args:
        rates: those of reconciliation and usage lines; usage has the same rates.
        fetch: gives single lines, for the findings.
    """
    odd = odd_rates(rates)
    findings = []
    for kind in sorted({kind for kind, _, _ in odd}):
        wanted = [dict(zip(_RATED, (*group, rate), strict=True)) for found, group, rate in odd if found == kind]
        schema = pa.schema([pa.field(name, EXPORT_TABLES[kind][name].kind.arrow_type) for name in _RATED])
        lines = fetch(kind, pa.Table.from_pylist(wanted, schema))
        reader = LineReader(lines, BILLING_CURRENCY[kind])
        for row, case in enumerate(lines.select(_RATED).to_pylist()):
            *values, rate = case.values()
            group = _Group(*values)
            findings.append(_rate_finding(reader, row, group, rate, odd[kind, group, rate]))
    return findings


def _rate_finding(reader: LineReader, row: int, group: _Group, rate: Decimal, usual: Decimal) -> Finding:
    message = (
        f"The line is exchanged at {plain_number(rate)}, but {group.pricing_currency} lines of invoice "
        f"{group.invoice_number or '(unbilled)'} with the rate of {group.rate_date} are at {plain_number(usual)}."
    )
    return reader.finding(row, "EXCHANGE_RATE_MISMATCH", message, expected=usual, actual=rate, counted=True)


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
