"""The checks of daily usage: against the Azure-plan lines it is the detail of, and for partner earned credit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, lowered, metered_usage, true_mask
from transforms.findings import Finding, money_text, plain_number
from transforms.grouping import RowsByCase, distinct_cases
from transforms.line_reader import LineReader, rows_of
from transforms.money import EXACT, Fixed, Mask, currency_exponent

#: What usage and line may differ by for each day and meter: Microsoft cuts each to the cent (documented), in a currency
#: of larger coins to those, and before the exchange to the pricing currency's cent.
PER_DAY_AND_METER = Decimal("0.01")

#: Microsoft's partner earned credit for services managed, as a fraction (documented; measured on every credited row).
EARNED_CREDIT = Decimal("0.15")

_GROUP = ["invoice_number", "subscription_id", "product_id", "sku_id"]


class _Charges:
    """Charges summed up by invoice, subscription, product and SKU."""

    def __init__(self, table: pa.Table, amount: str) -> None:
        """Sum the column `amount`; a subscription's id varies in case."""
        keys = {name: lowered(table, name) if name == "subscription_id" else pc.fill_null(table.column(name), "")
                for name in _GROUP}  # fmt: skip
        self.table = table
        self.numbers, cases = distinct_cases(pa.table(keys), _GROUP)
        self._sums = Fixed.from_arrow(table.column(amount)).sum_by(self.numbers, len(cases))
        self._rows = RowsByCase(self.numbers, len(cases))
        self.case = {tuple(case[name] for name in _GROUP): number for number, case in enumerate(cases)}

    def total(self, key: tuple[str, ...]) -> Decimal:
        """The sum of one group, 0 where there is none."""
        number = self.case.get(key)
        return Decimal(0) if number is None else self._sums.decimal(number) or Decimal(0)

    def rows(self, key: tuple[str, ...]) -> list[int]:
        """The rows of one group."""
        number = self.case.get(key)
        return [] if number is None else self._rows.rows(number)


def check_usage(recon: pa.Table, categories: Categories, usage: pa.Table) -> list[Finding]:
    """USAGE_MISMATCH for each invoice, subscription, product and SKU whose usage is not what its lines charge.

    Only invoices that both exports speak of are compared. A finding names the line where there is only one.
    """
    # What Microsoft credits for another reason than an Azure credit, an outage say, is not in the usage.
    azure_credit = _matches(recon, "azure credit", "credit_reason_code")
    azure = recon.filter(pa.array(categories.azure_plan & (~categories.credit | azure_credit)))
    billed, used = _Charges(azure, "subtotal"), _Charges(usage, "billing_pre_tax_total")
    invoices = set(recon.column("invoice_number").unique().to_pylist()) & {key[0] for key in used.case}
    tolerances = _tolerances(used)
    findings = []
    for key in sorted(key for key in {*billed.case, *used.case} if key[0] in invoices):
        tolerance = tolerances.get(used.case.get(key, -1), Decimal(0))
        if abs(EXACT.subtract(billed.total(key), used.total(key))) > tolerance:
            findings.append(_mismatch(key, billed, used, tolerance))
    return findings


def check_partner_earned_credit(usage: pa.Table) -> list[Finding]:
    """PEC_MISSING for each usage line that is eligible for partner earned credit and carries none.

    Eligible is what Microsoft itself sells by the meter and charges for: not spot, not what a reservation or a savings
    plan covers, not what an Azure credit pays for, and not free of charge (reference §2.5).
    """
    charged = (_sign(usage, "effective_unit_price") > 0) & (_sign(usage, "quantity") > 0)
    spot = _matches(usage, r"\bspot\b", "meter_name", "sku_name", "meter_sub_category")
    none = _sign(usage, "partner_earned_credit_percentage") == 0
    # The basic attribute set has no percentages; in a file of it the type of credit tells.
    full = usage.filter(pc.is_valid(usage.column("partner_earned_credit_percentage"))).column("source_file").unique()
    is_basic = ~true_mask(pc.is_in(usage.column("source_file"), full))
    none &= ~(is_basic & _matches(usage, "partner earned credit applied", "credit_type"))
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


def _tolerances(used: _Charges) -> dict[int, Decimal]:
    """What each group of usage may differ by from its lines, by the group's number."""
    usage = used.table.select(["usage_date", "meter_id", "billing_currency", "pc_to_bc_exchange_rate"])
    numbered = usage.append_column("number", pa.array(used.numbers))
    figures = [("billing_currency", "min"), ("pc_to_bc_exchange_rate", "max")]
    daily = numbered.group_by(["number", "usage_date", "meter_id"]).aggregate(figures)
    groups = daily.group_by("number").aggregate(
        [("billing_currency_min", "min"), ("pc_to_bc_exchange_rate_max", "max"), ([], "count_all")]
    )
    return {
        row["number"]: EXACT.multiply(
            _per_day_and_meter(row["billing_currency_min_min"], row["pc_to_bc_exchange_rate_max_max"]),
            Decimal(row["count_all"]),
        )
        for row in groups.to_pylist()
    }


def _per_day_and_meter(currency: str | None, rate: Decimal | None) -> Decimal:
    coin = max(PER_DAY_AND_METER, Decimal(1).scaleb(-currency_exponent(currency)))
    return max(coin, EXACT.multiply(PER_DAY_AND_METER, rate or Decimal(1)))


def _mismatch(key: tuple[str, ...], billed: _Charges, used: _Charges, tolerance: Decimal) -> Finding:
    expected, actual, rows = used.total(key), billed.total(key), billed.rows(key)
    message = (
        f"The daily usage adds up to {money_text(expected)}, the invoice's Azure-plan lines to {money_text(actual)}: "
        f"more apart than the {money_text(tolerance)} that cutting each day and meter to coins explains."
    )
    if len(rows) == 1:
        reader = LineReader(billed.table)
        return reader.finding(rows[0], "USAGE_MISMATCH", message, expected=expected, actual=actual)
    table, currency = (billed.table, "currency") if rows else (used.table, "billing_currency")
    names = [*_GROUP, "customer_id", "customer_name", currency, "line_id"]
    own = table.select(names).take(pa.array(rows or used.rows(key))).to_pylist()
    # The same one whatever the order of the rows.
    first = min(own, key=lambda row: row.pop("line_id"))
    return Finding("USAGE_MISMATCH", message, expected_amount=expected, actual_amount=actual,
                   currency=first.pop(currency), **first)  # fmt: skip


def _matches(table: pa.Table, pattern: str, *names: str) -> Mask:
    found: Mask = np.zeros(table.num_rows, dtype=np.bool_)
    for name in names:
        found |= true_mask(pc.match_substring_regex(lowered(table, name), pattern))
    return found


def _sign(usage: pa.Table, name: str) -> np.ndarray[Any, Any]:
    return np.asarray(pc.fill_null(pc.sign(usage.column(name)), 0))
