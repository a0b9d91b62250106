"""The checks of daily usage: against the Azure-plan lines it is the detail of, and for partner earned credit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, lowered, metered_usage
from transforms.findings import Finding, money_text, plain_number
from transforms.line_reader import LineReader, rows_of
from transforms.money import EXACT, Mask, currency_exponent

#: What usage and line may differ by for each day and meter: Microsoft cuts each to the cent (documented), in a currency
#: of larger coins to those, and before the exchange to the pricing currency's cent.
PER_DAY_AND_METER = Decimal("0.01")

#: Microsoft's partner earned credit for services managed, as a fraction (documented; measured on every credited row).
EARNED_CREDIT = Decimal("0.15")

_GROUP = ["invoice_number", "subscription_id", "product_id", "sku_id"]


@dataclass(frozen=True)
class _Sums:
    amount: Decimal
    days_and_meters: int
    currency: str | None = None
    rate: Decimal | None = None


def check_usage(recon: pa.Table, categories: Categories, usage: pa.Table) -> list[Finding]:
    """USAGE_MISMATCH for each invoice, subscription, product and SKU whose usage is not what its lines charge.

    Only invoices that both exports speak of are compared. A finding names the line where there is only one.
    """
    # What Microsoft credits for another reason than an Azure credit, an outage say, is not in the usage.
    azure_credit = _matches(recon, "azure credit", "credit_reason_code")
    azure = recon.filter(pa.array(categories.azure_plan & (~categories.credit | azure_credit)))
    billed, used = _billed(azure), _used(usage)
    invoices = set(recon.column("invoice_number").to_pylist()) & {key[0] for key in used}
    findings = []
    for key in sorted(key for key in {*billed, *used} if key[0] in invoices):
        lines = billed.get(key, _Sums(Decimal(0), 0))
        detail = used.get(key, _Sums(Decimal(0), 0))
        tolerance = EXACT.multiply(_per_day_and_meter(detail), Decimal(detail.days_and_meters))
        if abs(lines.amount - detail.amount) > tolerance:
            findings.append(_mismatch(key, azure, usage, lines.amount, detail, tolerance))
    return findings


def check_partner_earned_credit(usage: pa.Table) -> list[Finding]:
    """PEC_MISSING for each usage line that is eligible for partner earned credit and carries none.

    Eligible is what Microsoft itself sells by the meter and charges for: not spot, not what a reservation or a savings
    plan covers, not what an Azure credit pays for, and not free of charge (reference §2.5).
    """
    charged = (_sign(usage, "effective_unit_price") > 0) & (_sign(usage, "quantity") > 0)
    spot = _matches(usage, r"\bspot\b", "meter_name", "sku_name", "meter_sub_category")
    none = _sign(usage, "partner_earned_credit_percentage") == 0
    if none.all():
        # The basic attribute set has no percentages; there the type of credit tells.
        none = ~_matches(usage, "partner earned credit applied", "credit_type")
    reader, charges = LineReader(usage, "billing_currency"), usage.column("billing_pre_tax_total")
    findings = []
    for row in rows_of(metered_usage(usage) & charged & ~spot & none):
        charge = charges[row].as_py()
        earned = EXACT.multiply(charge, EARNED_CREDIT)
        message = (
            f"The usage of {plain_number(charge)} is eligible for partner earned credit, but carries none: "
            f"{plain_number(EARNED_CREDIT * 100)} % of it would be {plain_number(earned)}. Check the access that "
            "earns it."
        )
        expected = EXACT.subtract(charge, earned)
        findings.append(reader.finding(row, "PEC_MISSING", message, expected=expected, actual=charge))
    return findings


def _per_day_and_meter(detail: _Sums) -> Decimal:
    coin = max(PER_DAY_AND_METER, Decimal(1).scaleb(-currency_exponent(detail.currency)))
    return max(coin, EXACT.multiply(PER_DAY_AND_METER, detail.rate or Decimal(1)))


def _billed(azure: pa.Table) -> dict[tuple[str, ...], _Sums]:
    grouped = azure.group_by(_GROUP).aggregate([("subtotal", "sum")])
    return {_key(row): _Sums(row["subtotal_sum"] or Decimal(0), 0) for row in grouped.to_pylist()}


def _used(usage: pa.Table) -> dict[tuple[str, ...], _Sums]:
    names = [*_GROUP, "usage_date", "meter_id"]
    figures = [("billing_pre_tax_total", "sum"), ("billing_currency", "min"), ("pc_to_bc_exchange_rate", "max")]
    daily = usage.select([*names, *(name for name, _ in figures)]).group_by(names).aggregate(figures)
    of_days = [("billing_pre_tax_total_sum", "sum"), ("billing_currency_min", "min"),
               ("pc_to_bc_exchange_rate_max", "max"), ([], "count_all")]  # fmt: skip
    return {
        _key(row): _Sums(
            row["billing_pre_tax_total_sum_sum"] or Decimal(0), row["count_all"], row["billing_currency_min_min"],
            row["pc_to_bc_exchange_rate_max_max"],
        )
        for row in daily.group_by(_GROUP).aggregate(of_days).to_pylist()
    }  # fmt: skip


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple((row[name] or "").lower() if name == "subscription_id" else row[name] or "" for name in _GROUP)


def _mismatch(
    key: tuple[str, ...], azure: pa.Table, usage: pa.Table, billed: Decimal, detail: _Sums, tolerance: Decimal
) -> Finding:
    rows = rows_of(_in_group(azure, key))
    message = (
        f"The daily usage adds up to {money_text(detail.amount)}, the invoice's Azure-plan lines to "
        f"{money_text(billed)}: more apart than the {money_text(tolerance)} that cutting {detail.days_and_meters} days "
        "and meters explains."
    )
    if len(rows) == 1:
        return LineReader(azure).finding(rows[0], "USAGE_MISMATCH", message, expected=detail.amount, actual=billed)
    table, currency = (azure, "currency") if rows else (usage, "billing_currency")
    first = table.take(pa.array((rows or rows_of(_in_group(usage, key)))[:1])).to_pylist()[0]
    names = (*_GROUP, "customer_id", "customer_name")
    return Finding("USAGE_MISMATCH", message, expected_amount=detail.amount, actual_amount=billed,
                   currency=first[currency], **{name: first[name] for name in names})  # fmt: skip


def _in_group(table: pa.Table, key: tuple[str, ...]) -> Mask:
    mask: Mask = np.ones(table.num_rows, dtype=np.bool_)
    for name, value in zip(_GROUP, key, strict=True):
        column = lowered(table, name) if name == "subscription_id" else pc.fill_null(table.column(name), "")
        mask &= _true(pc.equal(column, value))
    return mask


def _matches(table: pa.Table, pattern: str, *names: str) -> Mask:
    found: Mask = np.zeros(table.num_rows, dtype=np.bool_)
    for name in names:
        found |= _true(pc.match_substring_regex(lowered(table, name), pattern))
    return found


def _sign(usage: pa.Table, name: str) -> np.ndarray[Any, Any]:
    return np.asarray(pc.fill_null(pc.sign(usage.column(name)), 0))


def _true(array: Any) -> Mask:
    return np.asarray(pc.fill_null(array, False), dtype=np.bool_)
