"""Findings: one row for each discrepancy, with its figures and a sentence that says what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from transforms.digests import hash_rows, identities
from transforms.money import EXACT, tidy
from transforms.policy import Policy
from transforms.tables.results import FINDINGS
from transforms.texts import with_values

#: What a finding is about and how grave it is, by columns of the findings table.
_SUBJECT = (
    "period", "code", "severity", "invoice_number", "customer_id", "subscription_id", "product_id", "sku_id", "line_id",
    "currency",
)  # fmt: skip
_FIGURES = ("expected_amount", "actual_amount")
#: What exports deliver in different case for the same thing.
_FOLDED = ("customer_id", "subscription_id")


@dataclass(frozen=True)
class Finding:
    """One discrepancy; the attributes are the columns of the findings table.

    Amounts are in `currency`, which is the billing currency for totals and the pricing currency for prices;
    the difference is actual less expected.
    """

    code: str
    message: str
    invoice_number: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    subscription_id: str | None = None
    product_id: str | None = None
    sku_id: str | None = None
    line_id: str | None = None
    expected_amount: Decimal | None = None
    actual_amount: Decimal | None = None
    currency: str | None = None
    source_file: str | None = None
    source_row: int | None = None
    severity: str | None = None

    @property
    def difference_amount(self) -> Decimal | None:
        """Actual less expected, where both are known."""
        if self.expected_amount is None or self.actual_amount is None:
            return None
        return EXACT.subtract(self.actual_amount, self.expected_amount)


def findings_table(findings: Sequence[Finding], policy: Policy) -> pa.Table:
    """Findings as rows of the findings table without run_id, period and finding_id, in a stable order.

    A finding that names its own severity keeps it; the others get the policy's.
    """
    ordered = sorted(findings, key=_order)
    names = [name for name in FINDINGS.names if name not in ("run_id", "period", "finding_id")]
    own = {field.name for field in fields(Finding)}
    columns = {
        name: [getattr(finding, name) for finding in ordered]
        for name in names
        if name in own or name == "difference_amount"
    }
    columns["severity"] = [finding.severity or policy.severity(finding.code) for finding in ordered]
    for name in ("expected_amount", "actual_amount", "difference_amount"):
        columns[name] = [_fitting(value) for value in columns[name]]
    return pa.table({name: pa.array(columns[name], FINDINGS[name].kind.arrow_type) for name in names})


def _fitting(amount: Decimal | None) -> Decimal | None:
    """An amount that the findings table can hold, else nothing; the message tells it all the same."""
    width = FINDINGS["actual_amount"].kind.arrow_type
    too_large = amount is not None and amount.adjusted() >= width.precision - width.scale
    return None if too_large else amount


def with_ids(findings: pa.Table) -> pa.Table:
    """Findings of a run (columns of the findings table, period included) with their `finding_id`.

    It is made of what a finding is about, its severity and its figures, so that a run that comes to the same finding
    gives it the same identity, and other amounts another. Where there are no amounts the sentence has the figures.
    """
    columns = [findings.column(name) for name in (*_SUBJECT, *_FIGURES)]
    for place, name in enumerate(_SUBJECT):
        if name in _FOLDED:
            columns[place] = with_values(columns[place], pc.utf8_lower)
    given = [pc.is_valid(findings.column(name)) for name in _FIGURES]
    columns.append(pc.if_else(pc.or_(*given), pa.scalar(None, pa.string()), findings.column("message")))
    return findings.append_column("finding_id", identities(*hash_rows(columns)))


def count_codes(findings: pa.Table) -> dict[str, int]:
    """How many findings of each code, in alphabetical order."""
    return dict(sorted(Counter(findings.column("code").to_pylist()).items()))


def money_text(amount: Decimal | None, currency: str | None = None) -> str:
    """An amount for a message: at least two decimals, no trailing zeros beyond, with its currency."""
    if amount is None:
        return "nothing"
    short = tidy(amount)
    text = f"{short:f}" if -int(short.as_tuple().exponent) >= 2 else f"{short:.2f}"
    return f"{text} {currency}" if currency else text


def plain_number(number: Decimal | None) -> str:
    """A price, rate or quantity for a message: all its decimals, no trailing zeros."""
    return "nothing" if number is None else f"{tidy(number):f}"


def _order(finding: Finding) -> tuple[str, str, str, str]:
    return (finding.code, finding.invoice_number or "", finding.line_id or "", finding.message)
