"""Which billing period a row belongs to.

The contract's rule: a line's period is its invoice's, that is the month of the document's billing period start,
else the month before its invoice date, else (no document) the most common month of its lines' charge start dates.
"""

from __future__ import annotations

import calendar
import re
from collections import Counter
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from transforms.documents import amended_invoices
from transforms.errors import InputError


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


def invoice_periods(invoices: pa.Table, *lines: pa.Table) -> dict[str, str]:
    """Find the period of every invoice that a document or a line names.

    Args:
        invoices: rows of the invoices table.
        lines: line tables (invoice_number, charge_start_date, source_file), reconciliation before usage: the first
            table that names an invoice without a document decides.

    Returns:
        Period by invoice number. A credit note has the period of the invoice it amends, because it is subtracted
        there, and its own where that invoice is not known. Lines without an invoice number (unbilled exports) are
        found under `unbilled_key` of their file.
    """
    periods: dict[str, str] = {}
    for row in invoices.select(["invoice_number", "invoice_date", "billing_period_start_date"]).to_pylist():
        periods[row["invoice_number"]] = _document_period(row["billing_period_start_date"], row["invoice_date"])
    for table in lines:
        for invoice, period in _common_months(table).items():
            periods.setdefault(invoice, period)
    return periods | {note: periods[amended] for note, amended in amended_invoices(invoices).items()}


def unbilled_key(source_file: str) -> str:
    """What stands for the invoice number of a file's lines that have none; no invoice number has a colon."""
    return f"unbilled:{source_file}"


def period_column(table: pa.Table, periods: dict[str, str]) -> pa.Array:
    """The period of each row of a table with invoice_number and source_file, by `invoice_periods`."""
    keys = invoice_keys(table).dictionary_encode()
    found = pa.array([periods.get(key) for key in keys.dictionary.to_pylist()], pa.string())
    return found.take(keys.indices)


def invoice_keys(table: pa.Table) -> pa.Array:
    """Invoice number, or what stands for it, of each row."""
    numbers = _flat(table, "invoice_number")
    if not numbers.null_count:
        return numbers
    files = _flat(table, "source_file").dictionary_encode()
    stand_ins = pa.array([unbilled_key(name) for name in files.dictionary.to_pylist()], pa.string())
    return pc.coalesce(numbers, stand_ins.take(files.indices))


def _flat(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _document_period(start: date | None, issued: datetime | None) -> str:
    if start is not None:
        return month_of(start)
    return month_before(month_of(issued)) if issued is not None else ""


def _common_months(table: pa.Table) -> dict[str, str]:
    """The most common month of charge start dates by invoice; of equally common ones the latest."""
    if not table.num_rows:
        return {}
    counts = (
        pa.table({"invoice": invoice_keys(table), "day": table.column("charge_start_date")})
        .group_by(["invoice", "day"])
        .aggregate([([], "count_all")])
    )
    months: dict[str, Counter[str]] = {}
    for row in counts.to_pylist():
        if row["day"] is not None:
            months.setdefault(row["invoice"], Counter())[month_of(row["day"])] += row["count_all"]
    return {
        invoice: max(counter, key=lambda month: (counter[month], month)) for invoice, counter in months.items()
    }
