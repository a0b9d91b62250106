"""What a run found, on one screen: findings by code and what they cost, and the invoices that do not tie out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from connectors.reports.amounts import sums_by_currency
from connectors.warehouse.of_run import read_of, report_sql
from connectors.warehouse.runs import read_tieout
from transforms.policy import SEVERITY_ORDER
from transforms.tables.reports import REPORT_STAKES


@dataclass(frozen=True)
class CodeCount:
    """Findings of one code and severity.

    Attributes:
        code, severity: which.
        open: how many no waiver is in force for.
        waived: how many one is in force for.
        leaks: what they cost, by currency.
    """

    code: str
    severity: str
    open: int
    waived: int
    leaks: dict[str | None, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Overview:
    """What a run found.

    Attributes:
        codes: the blocking ones first.
        tieout: its invoices against their lines, by column name of INVOICE_TIEOUT.
    """

    codes: list[CodeCount]
    tieout: list[dict[str, Any]]

    def count(self, severity: str) -> int:
        """How many findings of a severity are open."""
        return sum(one.open for one in self.codes if one.severity == severity)

    @property
    def leaks(self) -> dict[str | None, Decimal]:
        """What all findings cost at most, by currency; a line with two findings counts in both."""
        return sums_by_currency(pair for one in self.codes for pair in one.leaks.items())


def read_overview(connection: sa.Connection, run_id: str) -> Overview:
    """Read what a run found."""
    parameters, findings = {"run_id": run_id}, {"report_findings": report_sql("findings")}
    rows = read_of(connection, REPORT_STAKES, report_sql("stakes"), parameters, findings).to_pylist()
    return Overview(_codes(rows), read_tieout(connection, run_id).to_pylist())


def _codes(rows: list[dict[str, Any]]) -> list[CodeCount]:
    """Codes from their rows, of which each currency has one."""
    by_code: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_code.setdefault((SEVERITY_ORDER.index(row["severity"]), row["code"]), []).append(row)
    return [
        CodeCount(
            code,
            SEVERITY_ORDER[rank],
            open=sum(row["finding_count"] - row["waived_count"] for row in own),
            waived=sum(row["waived_count"] for row in own),
            leaks=sums_by_currency((row["leak_currency"], row["leak_amount"]) for row in own),
        )
        for (rank, code), own in sorted(by_code.items())
    ]
