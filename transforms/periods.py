"""Which billing period a row belongs to.

The contract's rule: a line's period is its invoice's, that is the month of the document's billing period start,
else the month before its invoice date, else (no document) the most common month of its lines' charge start dates.
"""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.documents import amended_invoices
from transforms.errors import InputError
from transforms.grouping import distinct_cases
from transforms.texts import encoded, with_values


def parse_period(text: str) -> str:
    """Check a period given as YYYY-MM and return it.

    Raises:
        InputError: the text is not a month.
    """
    if not re.fullmatch(r"(19|20)\d\d-(0[1-9]|1[0-2])", text):
        raise InputError(f"period {text!r} is not a month: write it as YYYY-MM, for example 2026-10")
    return text


def month_of(day: date) -> str:
    """The month of a day as YYYY-MM."""
    return f"{day.year:04d}-{day.month:02d}"


def month_before(period: str) -> str:
    """The month before a period."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year - (month == 1):04d}-{(month - 2) % 12 + 1:02d}"


def last_day(period: str) -> date:
    """The last day of a period."""
    year, month = int(period[:4]), int(period[5:])
    return date(year, month, calendar.monthrange(year, month)[1])


#: How many lines of an invoice, or what stands for it, start in which month.
Months = Mapping[str, Counter[str]]


def invoice_periods(invoices: pa.Table, *lines: Months) -> dict[str, str]:
    """Find the period of every invoice that a document or a line names.

    Args:
        invoices: rows of the invoices table.
        lines: `charge_months` of each export's lines, reconciliation before usage: the first that names an invoice
            without a document decides. Of equally common months the latest is taken.

    Returns:
        Period by invoice number. A credit note has the period of the invoice it amends, because it is subtracted
        there, and its own where that invoice is not known. Lines without an invoice number (unbilled exports) are
        found under `unbilled_key` of their file.
    """
    periods: dict[str, str] = {}
    for row in invoices.select(["invoice_number", "invoice_date", "billing_period_start_date"]).to_pylist():
        periods[row["invoice_number"]] = _document_period(row["billing_period_start_date"], row["invoice_date"])
    for months in lines:
        for invoice, counts in months.items():
            periods.setdefault(invoice, max(counts, key=lambda month: (counts[month], month)))
    return periods | {note: periods[amended] for note, amended in amended_invoices(invoices).items()}


def unbilled_key(source_file: str) -> str:
    """What stands for the invoice number of a file's lines that have none; no invoice number has a colon."""
    return f"unbilled:{source_file}"


def invoice_keys(table: pa.Table) -> pa.DictionaryArray:
    """Invoice number, or what stands for it, of each row of a table with invoice_number and source_file."""
    numbers = encoded(table.column("invoice_number"))
    if not numbers.null_count:
        return numbers
    files = with_values(table.column("source_file"), lambda names: pa.array(
        [unbilled_key(name) for name in names.to_pylist()], pa.string()))  # fmt: skip
    return pc.coalesce(numbers.cast(pa.string()), files.cast(pa.string())).dictionary_encode()


def periods_of(keys: pa.DictionaryArray, periods: Mapping[str, str]) -> pa.DictionaryArray:
    """The period of each row by its `invoice_keys`; null where it has none."""
    return with_values(keys, lambda names: pa.array([periods.get(name) for name in names.to_pylist()], pa.string()))


def charge_months(table: pa.Table) -> dict[str, Counter[str]]:
    """How many lines of each invoice, or what stands for it, start in which month.

    Args:
        table: lines with invoice_number, charge_start_date and source_file.
    """
    keys = pa.table({"invoice": invoice_keys(table), "day": table.column("charge_start_date")})
    numbers, cases = distinct_cases(keys, ("invoice", "day"))
    counts = np.bincount(numbers, minlength=len(cases)).tolist()
    months: dict[str, Counter[str]] = {}
    for case, count in zip(cases, counts, strict=True):
        if case["day"] is not None:
            months.setdefault(case["invoice"], Counter())[month_of(case["day"])] += count
    return months


def _document_period(start: date | None, issued: datetime | None) -> str:
    if start is not None:
        return month_of(start)
    return month_before(month_of(issued)) if issued is not None else ""
