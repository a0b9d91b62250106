"""Invoices against their lines.

Documented (reference §2.8): the sum of the lines' Total is the invoice total; a credit note is subtracted from the
invoice it amends, whichever of the two numbers its lines carry, and stands for itself where that invoice is of another
period; a voided invoice is out. Tax can stand on the invoice and not in the lines, which the policy's tax rates
explain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from transforms.conservation import Account, Sums
from transforms.documents import amended_invoices, is_credit_note, voided_invoices
from transforms.findings import Finding, money_text
from transforms.money import EXACT, currency_exponent, divide
from transforms.policy import Policy
from transforms.tables.results import INVOICE_TIEOUT


@dataclass
class _Family:
    """An invoice with its credit notes and the lines of all of them."""

    number: str
    document: dict[str, Any] | None = None
    credits: Decimal = Decimal(0)
    lines: int = 0
    total: Decimal = Decimal(0)
    subtotal: Decimal = Decimal(0)
    currencies: set[str] = field(default_factory=set)
    voided: bool = False

    def add(self, account: Account, amount: Decimal) -> None:
        """Count what the lines of an invoice of the family add up to in one currency."""
        self.currencies.add(account.currency)
        if account.amount == "rows":
            self.lines += int(amount)
        elif account.amount == "total_amount":
            self.total = EXACT.add(self.total, amount)
        elif account.amount == "subtotal_amount":
            self.subtotal = EXACT.add(self.subtotal, amount)

    @property
    def currency(self) -> str | None:
        return self.document["currency_code"] if self.document else min(self.currencies, default=None)


def tie_out(sums: Sums, invoices: pa.Table, policy: Policy) -> tuple[pa.Table, list[Finding]]:
    """Compare every invoice of the period with its lines.

    Args:
        sums: rows, charge before tax and total of the lines of either export by invoice and currency; usage lines are
            only asked which invoices they name.
        invoices: invoice documents.
        policy: tax rates.

    Returns:
        Rows of the invoice tie-out table without run_id and period, and the findings INVOICE_TOTAL_MISMATCH,
        INVOICE_NOT_FOUND and INVOICE_WITHOUT_LINES.
    """
    families = _families(sums, invoices)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for number in sorted(families):
        row, finding = _judge(families[number], policy)
        rows.append(row)
        if finding:
            findings.append(finding)
    names = [name for name in INVOICE_TIEOUT.names if name not in ("run_id", "period")]
    schema = pa.schema([INVOICE_TIEOUT.schema.field(name) for name in names])
    return pa.Table.from_pylist(rows, schema), findings


def _families(sums: Sums, invoices: pa.Table) -> dict[str, _Family]:
    documents = {row["invoice_number"]: row for row in invoices.to_pylist()}
    voided = voided_invoices(invoices)
    # What is void stands by itself, so that nothing of it is counted elsewhere.
    amended = {note: number for note, number in amended_invoices(invoices).items() if note not in voided}
    families: dict[str, _Family] = {}

    def family(number: str) -> _Family:
        number = amended.get(number, number)
        return families.setdefault(number, _Family(number, voided=number in voided))

    for number, document in documents.items():
        if number in amended:
            family(number).credits += abs(document["total_charges"])
        else:
            family(number).document = document
    for account, amount in sums.items():
        # Unbilled lines have no invoice.
        if account.invoice_number:
            one = family(account.invoice_number)
            if account.kind == "invoice_recon":
                one.add(account, amount)
    return families


def _judge(family: _Family, policy: Policy) -> tuple[dict[str, Any], Finding | None]:
    """The tie-out row of one invoice and its finding, if any."""
    row: dict[str, Any] = {
        "invoice_number": family.number,
        "currency": family.currency,
        "invoice_amount": None,
        "lines_amount": family.total,
        "difference_amount": None,
    }
    if family.document is None and family.voided:
        return {**row, "status": "voided"}, None
    if family.document is None:
        message = f"Lines name invoice {family.number}, but no invoice document of the period has that number."
        finding = Finding("INVOICE_NOT_FOUND", message, family.number, actual_amount=family.total,
                          currency=family.currency)  # fmt: skip
        return {**row, "status": "invoice_not_found"}, finding
    invoiced = EXACT.subtract(_charged(family.document), family.credits)
    row |= {"invoice_amount": invoiced, "difference_amount": family.total - invoiced}
    if family.voided:
        return {**row, "status": "voided"}, None
    if not family.lines:
        message = f"Invoice {family.number} of {money_text(invoiced, family.currency)} has no reconciliation line."
        finding = Finding("INVOICE_WITHOUT_LINES", message, family.number, expected_amount=invoiced,
                          actual_amount=Decimal(0), currency=family.currency)  # fmt: skip
        return {**row, "status": "without_lines"}, finding
    if family.total == invoiced:
        return {**row, "status": "matched"}, None
    return _mismatch(family, invoiced, row, policy)


def _charged(document: dict[str, Any]) -> Decimal:
    """What a document charges; a credit note for another period's invoice stands for itself and takes back."""
    total: Decimal = document["total_charges"]
    return -abs(total) if is_credit_note(document) else total


def _mismatch(
    family: _Family, invoiced: Decimal, row: dict[str, Any], policy: Policy
) -> tuple[dict[str, Any], Finding]:
    rate = _explaining_rate(invoiced - family.total, family, policy)
    credited = f" (credit notes of {money_text(family.credits)} subtracted)" if family.credits else ""
    message = (
        f"The lines of invoice {family.number} add up to {money_text(family.total)}, the invoice to "
        f"{money_text(invoiced, family.currency)}{credited}: {money_text(family.total - invoiced)} apart."
    )
    if rate is not None:
        message += f" That is {(rate * 100).normalize():f} % tax on {money_text(family.subtotal)}."
    finding = Finding(
        "INVOICE_TOTAL_MISMATCH", message, family.number, expected_amount=invoiced, actual_amount=family.total,
        currency=family.currency, severity="info" if rate is not None else None,
    )  # fmt: skip
    return {**row, "status": "tax_only" if rate is not None else "mismatch"}, finding


def _explaining_rate(remainder: Decimal, family: _Family, policy: Policy) -> Decimal | None:
    places = currency_exponent(family.currency)
    for rate in policy.tax_rates:
        if divide(EXACT.multiply(family.subtotal, rate), 1, places, ROUND_HALF_UP) == remainder:
            return rate
    return None
