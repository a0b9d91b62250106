"""What the warehouse's commands print: results of queries, checks, and what the views mean."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from connectors.reports.amounts import counted
from connectors.warehouse.checks import CheckResult
from connectors.warehouse.query import QueryResult
from pipelines.cli_warehouse import SHOWN_ROWS
from pipelines.output import note, print_json, print_table, say
from transforms.errors import InputError
from transforms.money import tidy
from transforms.tables.views import VIEWS

#: A terminal on which what each check means is beside it.
_WIDE = 120
VIEW_COLUMNS = ["view", "has"]
COLUMN_COLUMNS = ["column", "type", "unit", "means"]


def read_sql_text(sql: str | None, file: Path | None) -> str:
    """The SQL of a command: given itself, or in a file; `-` is standard input.

    Raises:
        InputError: neither or both are given, or the file cannot be read.
    """
    if (sql is None) == (file is None):
        raise InputError("give either one SQL statement in quotes, or a file that has it with --file")
    if file is None:
        return str(sql)
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} cannot be read: it is no UTF-8 text") from None


def most_rows(limit: int | None, *, is_table: bool) -> int | None:
    """How many rows are fetched: as asked, else some for a table on a terminal, else all."""
    if limit is not None:
        return limit or None
    return SHOWN_ROWS if is_table and sys.stdout.isatty() else None


def print_result(result: QueryResult, kind: Literal["table", "csv", "json"]) -> None:
    """Print what a query gave; that rows are left out is said beside it."""
    if kind == "json":
        names = unique_names(result.columns)
        print_json([dict(zip(names, row, strict=True)) for row in result.rows])
    elif kind == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows([_csv_text(value) for value in row] for row in result.rows)
    else:
        print_table(result.columns, result.rows)
        if sys.stdout.isatty() and not result.is_cut:
            say(counted(len(result.rows), "row"))
    if result.is_cut:
        note(f"{counted(len(result.rows), 'row')}, and there are more: --limit N gives N of them, --limit 0 all")


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of columns, those that came before with a number, so that a record holds every column."""
    unique: list[str] = []
    for name in names:
        number, own = 2, name
        while own in unique:
            own, number = f"{name}_{number}", number + 1
        unique.append(own)
    return unique


def print_checks(results: Sequence[CheckResult], *, whole: bool) -> None:
    """Print which checks returned rows, those first, with some of the rows or, where `whole`, all that were read."""
    order = {"fail": 0, "warn": 1, "ok": 2}
    ordered = sorted(results, key=lambda one: (order[one.state], one.name))
    told = ["a row means"] if shutil.get_terminal_size().columns >= _WIDE or not sys.stdout.isatty() else []
    columns = ["state", "check", "rows", *told]
    print_table(columns, [[one.state, one.name, one.rows, one.meaning][: len(columns)] for one in ordered])
    for one in ordered:
        if not (one.rows or whole):
            continue
        print()
        say(f"{one.name} ({one.severity}): {one.meaning}")
        if one.examples:
            print_table(list(one.examples[0]), [list(row.values()) for row in one.examples])
        if (more := one.rows - len(one.examples)) > 0:
            say(f"and {counted(more, 'row')} more" + ("" if whole else f": `csp-billing warehouse check {one.name}`"))
    print()
    counts = {state: sum(one.state == state for one in results) for state in order}
    summed = [f"{counts['ok']} ok"]
    summed += [f"{count} {word}" + ("" if count > 1 else "s") for word in ("warn", "fail") if (count := counts[word])]
    say(f"{counted(len(results), 'check')}: {', '.join(summed)}")


def check_document(result: CheckResult) -> dict[str, Any]:
    """A check as JSON."""
    return {
        "check": result.name, "severity": result.severity, "state": result.state, "rows": result.rows,
        "meaning": result.meaning, "examples": list(result.examples),
    }  # fmt: skip


def view_records() -> list[dict[str, Any]]:
    """Every view and what it has."""
    return [{"view": view.name, "has": view.meaning} for view in VIEWS]


def column_records(name: str) -> list[dict[str, Any]]:
    """The columns of a view, with what they mean.

    Raises:
        InputError: there is no such view; names those that there are.
    """
    view = next((view for view in VIEWS if view.name == name.lower()), None)
    if view is None:
        raise InputError(f"there is no view {name}: the views are {', '.join(view.name for view in VIEWS)}")
    return [
        {"column": one.name, "type": one.kind.name.lower(), "unit": one.unit, "means": one.meaning}
        for one in view.columns
    ]


def _csv_text(value: Any) -> Any:
    """A value as CSV has it: exact decimals without zeros at their end, times in ISO 8601, nothing for NULL."""
    if isinstance(value, Decimal):
        return f"{tidy(value):f}"
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime | date) else value
