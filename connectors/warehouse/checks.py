"""The warehouse's checks: each file in `sql/checks` is a query that must return nothing.

Its first line says how grave a row is and what it means: `-- fail: …` or `-- warn: …`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import sqlalchemy as sa

from connectors.progress import Progress, silent
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.migrations import ensure_current
from transforms.errors import InputError

_EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """One check as its file has it."""

    name: str
    severity: str
    meaning: str
    sql: str


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: the check's file name without its ending.
        severity: `fail` or `warn`.
        meaning: what a row of it means.
        rows: how many rows it returned; 0 is good.
        examples: a few of them, by column name.
    """

    name: str
    severity: str
    meaning: str
    rows: int
    examples: tuple[dict[str, Any], ...]

    @property
    def state(self) -> str:
        """`ok`, or its severity where it returned rows."""
        return self.severity if self.rows else "ok"


def read_checks() -> list[Check]:
    """The checks, by name.

    Raises:
        ValueError: a file whose first line says neither fail nor warn.
    """
    folder = resources.files("sql").joinpath("checks")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [_parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in files]


def run_checks(
    warehouse: Warehouse, progress: Progress = silent, names: Sequence[str] = (), examples: int = _EXAMPLES
) -> list[CheckResult]:
    """Run checks in one read-only transaction.

    Args:
        warehouse: the warehouse.
        progress: is told how many of them are done.
        names: the checks; empty for all.
        examples: how many of the rows of each are read at most.

    Raises:
        InputError: there is no such check; names those that there are.
        WarehouseError: not reachable or not upgraded.
    """
    checks = read_checks()
    if unknown := sorted(set(names) - {check.name for check in checks}):
        known = ", ".join(check.name for check in checks)
        raise InputError(f"there is no check {', '.join(unknown)}: the checks are {known}")
    wanted = [check for check in checks if not names or check.name in names]
    ensure_current(warehouse)
    with warehouse.read() as connection:
        results = []
        for done, check in enumerate(wanted):
            progress("checking", done, len(wanted))
            results.append(_run(connection, check, examples))
        return results


def _parse(name: str, text: str) -> Check:
    first, _, sql = text.partition("\n")
    severity, _, meaning = first.removeprefix("--").strip().partition(": ")
    if severity not in ("fail", "warn") or not meaning:
        raise ValueError(f"sql/checks/{name}.sql must begin with `-- fail: …` or `-- warn: …`")
    return Check(name, severity, meaning, sql)


def _run(connection: sa.Connection, check: Check, most: int) -> CheckResult:
    failing = f"from (\n{check.sql}) as failing"
    rows = connection.exec_driver_sql(f"select count(*) {failing}").scalar_one()
    examples: list[dict[str, Any]] = []
    if rows:
        found = connection.exec_driver_sql(f"select * {failing} limit {most}").mappings()
        examples = [dict(row) for row in found]
    return CheckResult(check.name, check.severity, check.meaning, rows, tuple(examples))
