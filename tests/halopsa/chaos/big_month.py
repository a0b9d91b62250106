"""A month of a few hundred lines, and what it must leave in HaloPSA."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.halopsa.fingerprint import round_number
from connectors.halopsa.plan import LoadPlan
from connectors.halopsa.properties import CONSUMPTION
from connectors.halopsa.sandbox.server import Sandbox
from tests.halopsa import month

#: What tells a line in HaloPSA from every other: subscription, usage day, invoice, total.
Line = tuple[str, str, str, Decimal]

DOCUMENTS = [
    month.invoice("G1", "100.00"),
    month.invoice("G2", "-20.00", document_type="adjustment_note", amends_of="G1"),
    month.invoice("GVOID", "50.00", document_type="invoice"),
    month.invoice("GNOTE", "-50.00", document_type="void_note", amends_of="GVOID"),
    month.invoice("G3", "50.00", document_type="invoice"),  # the rebill of what was voided
]
PRICES = [month.price("CFQ7TTC0LF8Q", "120.00"), month.price("DZH318Z0BPS6", "1.00")]


def plan(lines: int, run_id: str = "run-1") -> LoadPlan:
    """Some `lines` lines: an invoice with true duplicates and daily usage, a credit note, a voided one, its rebill."""
    return month.plan(_recon(lines), _usage(lines), DOCUMENTS, PRICES, run_id)


def expected(lines: int) -> Counter[Line]:
    """What `plan(lines)` must leave in HaloPSA."""
    total = CONSUMPTION.properties["total"]
    rows = [(row["subscription_id"], "", row["invoice_number"], row["total"]) for row in _recon(lines)]
    rows += [
        (row["subscription_id"], str(row["usage_date"]), row["invoice_number"], row["billing_pre_tax_total"])
        for row in _usage(lines)
    ]
    return Counter((*what, round_number(amount, total)) for *what, amount in rows if what[2] != "GVOID")


def landed(sandbox: Sandbox) -> Counter[Line]:
    """What HaloPSA has, each line below the invoice that its parentid says."""
    numbers = {row["haloid"]: row["id"] for row in sandbox.invoices()}
    return Counter(
        (
            row["subscriptionid"],
            str(row.get("usagedate", "")).partition("T")[0],
            numbers[row["parentid"]],
            Decimal(row["total"]),
        )
        for row in sandbox.lines()
    )


def _recon(lines: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(1, lines * 8 // 10 + 1):
        row = month.recon_line(number, ("G1", "G1", "G2", "G3", "GVOID")[number % 5])
        if row["invoice_number"] == "G2":
            row |= {"total": -row["total"], "subtotal": -row["subtotal"]}
        rows.append(row)
        if number % 7 == 0:  # the same charge twice; both are owed
            rows.append({**row, "line_id": f"again-{number}"})
    return rows


def _usage(lines: int) -> list[dict[str, Any]]:
    return [
        month.usage_line(
            number % 28 + 1,
            line_id=f"usage-{number}",
            usage_date=date(2025, 11, number % 28 + 1),
            billing_pre_tax_total=Decimal(number // 2) + Decimal("0.123456789"),
        )
        for number in range(1, lines // 10 + 1)
    ]
