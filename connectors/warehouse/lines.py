"""One line with everything that is stored about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.schema import sql_table
from transforms.columns import Table
from transforms.errors import InputError
from transforms.tables import EXPORT_TABLES, FINDINGS, HALO_POSTINGS, LINES, PRICE_LIST, RUNS


@dataclass(frozen=True)
class StoredLine:
    """A line of the last run that has it: its run, source row, price list row, findings and posting."""

    run: dict[str, Any]
    line: dict[str, Any]
    source: dict[str, Any]
    price: dict[str, Any] | None
    findings: list[dict[str, Any]]
    postings: list[dict[str, Any]]


def read_stored_line(connection: sa.Connection, line_id: str) -> StoredLine:
    """Read a line by its identity.

    Raises:
        InputError: no run has such a line, or its source row is no longer there.
    """
    lines, runs = sql_table(LINES), sql_table(RUNS)
    newest = (
        sa.select(lines.c.run_id)
        .join(runs, runs.c.run_id == lines.c.run_id)
        .where(lines.c.line_id == line_id)
        .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        .limit(1)
    )
    run_id = connection.execute(newest).scalar_one_or_none()
    if run_id is None:
        raise InputError(f"there is no line {line_id}: `csp-billing findings` and the view out_lines name the lines")
    line = _rows(connection, LINES, run_id=run_id, line_id=line_id)[0]
    source = _rows(connection, EXPORT_TABLES[line["source"]], line_id=line_id)
    if not source:
        raise InputError(f"line {line_id} was in run {run_id}, but its source row has been replaced since")
    price = (
        _rows(
            connection, PRICE_LIST, file_sha256=line["price_file_sha256"], source_file=line["price_source_file"],
            source_row=line["price_source_row"],
        )
        if line["price_file_sha256"]
        else []
    )  # fmt: skip
    return StoredLine(
        _rows(connection, RUNS, run_id=run_id)[0],
        line,
        source[0],
        price[0] if price else None,
        _rows(connection, FINDINGS, run_id=run_id, line_id=line_id),
        _rows(connection, HALO_POSTINGS, entity="line", natural_key=line_id),
    )


def _rows(connection: sa.Connection, table: Table, **values: Any) -> list[dict[str, Any]]:
    made = sql_table(table)
    statement = sa.select(made).where(*(made.c[name] == value for name, value in values.items()))
    rows: list[dict[str, Any]] = read_arrow(connection, statement, table.schema).to_pylist()
    return rows
