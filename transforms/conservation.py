"""Money is conserved: what was delivered is what was concluded, to the last digit, for each invoice and currency.

Checked inside every run. A difference is a defect of this program, not of the data: the run is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

from transforms.grouping import distinct_cases
from transforms.money import EXACT
from transforms.tables.sources import BILLING_CURRENCY
from transforms.texts import is_one_of

#: Which source column a line's amount comes from, by kind of export.
_AMOUNTS: dict[str, dict[str, str]] = {
    "invoice_recon": {"subtotal_amount": "subtotal", "tax_amount": "tax_total", "total_amount": "total"},
    "daily_usage": {"subtotal_amount": "billing_pre_tax_total", "total_amount": "billing_pre_tax_total"},
}
#: What a line's subtotal is explained by.
_PARTS = ("expected_subtotal_amount", "difference_amount")


class Account(NamedTuple):
    """What a sum is of: kind of export, amount (or `rows`), invoice and billing currency; empty where there is none."""

    kind: str
    amount: str
    invoice_number: str
    currency: str


#: Exact sums, and numbers of rows, by account.
Sums = Mapping[Account, Decimal]


class ConservationError(AssertionError):
    """Money was lost or made between the source rows and the lines of a run."""


def sums_of_source(table: pa.Table, kind: str) -> Sums:
    """The sums of delivered rows (columns of the kind's export table)."""
    return _sums(table, kind, _AMOUNTS[kind], BILLING_CURRENCY[kind])


def added(*parts: Sums) -> Sums:
    """Sums of several tables together."""
    total: dict[Account, Decimal] = {}
    for part in parts:
        for account, amount in part.items():
            total[account] = EXACT.add(total.get(account, Decimal(0)), amount)
    return total


def check_conservation(delivered: Sums, lines: pa.Table) -> None:
    """Check that lines carry exactly what was delivered, and that expected and difference add up to it.

    Args:
        delivered: sums of the rows that the lines are of.
        lines: concluded lines, of one export or both.

    Raises:
        ConservationError: names invoice, currency and both sums.
    """
    sums = _sums_of_lines(lines)
    _same("delivered", delivered, {account: total for account, total in sums.items() if account.amount not in _PARTS})
    expected, difference, billed = (
        {account._replace(amount="subtotal_amount"): total for account, total in sums.items() if account.amount == name}
        for name in (*_PARTS, "subtotal_amount")
    )
    _same("expected and differences", added(expected, difference), billed)


def _sums_of_lines(lines: pa.Table) -> Sums:
    """The sums of concluded lines: the amounts that their kind of export has, and the parts of the subtotal."""
    sums = []
    for kind, amounts in _AMOUNTS.items():
        own = is_one_of(lines.column("source"), [kind])
        if own.any():
            summed = lines if own.all() else lines.filter(pa.array(own))
            sums.append(_sums(summed, kind, {name: name for name in (*amounts, *_PARTS)}, "currency"))
    return added(*sums)


def _sums(table: pa.Table, kind: str, amounts: Mapping[str, str], currency: str) -> Sums:
    columns = list(amounts.values())
    keys = ["invoice_number", currency]
    numbers, cases = distinct_cases(table, keys)
    summed = pa.table({"case": numbers, **{column: table.column(column) for column in columns}})
    wanted = [(column, "sum") for column in dict.fromkeys(columns)]
    sums: dict[Account, Decimal] = {}
    for row in summed.group_by("case", use_threads=False).aggregate([*wanted, ([], "count_all")]).to_pylist():
        case = cases[row["case"]]
        account = Account(kind, "rows", case["invoice_number"] or "", case[currency] or "")
        sums[account] = Decimal(row["count_all"])
        for amount, column in zip(amounts, columns, strict=True):
            sums[account._replace(amount=amount)] = row[f"{column}_sum"] or Decimal(0)
    return sums


def _same(what: str, delivered: Sums, concluded: Sums) -> None:
    for account in sorted({*delivered, *concluded}):
        one, other = (sums.get(account, Decimal(0)) for sums in (delivered, concluded))
        if one != other:
            raise ConservationError(
                f"{what}: {account.amount} of {account.kind}, invoice {account.invoice_number or '(none)'} in "
                f"{account.currency or '(no currency)'}: {one} on one side and {other} on the other"
            )
