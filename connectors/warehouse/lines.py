"""One line with everything that is stored about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.schema import sql_table
from transforms.columns import Table
from transforms.errors import InputError
from transforms.line_identity import reference_of
from transforms.tables import EXPORT_TABLES, FINDINGS, HALO_POSTINGS, INVOICE_RECON, LINES, PRICE_LIST, RUNS


@dataclass(frozen=True)
class StoredLine:
    """A line of the last run that has it: its run, source row, price list row, findings and posting.

    `event` has the source rows of the same event besides its own: the refund that belongs to a charge, say.
    """

    run: dict[str, Any]
    line: dict[str, Any]
    source: dict[str, Any]
    price: dict[str, Any] | None
    event: list[dict[str, Any]]
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
    # First where the run found it, which is indexed; the line of an ad hoc run may be stored at another place.
    place = {name: line[name] for name in ("period", "source_file", "source_row")}
    table = EXPORT_TABLES[line["source"]]
    source = _rows(connection, table, line_id=line_id, **place) or _rows(connection, table, line_id=line_id)
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
        _event(connection, source[0]),
        _rows(connection, FINDINGS, run_id=run_id, line_id=line_id),
        _rows(connection, HALO_POSTINGS, entity="line", natural_key=line_id),
    )


def _event(connection: sa.Connection, source: dict[str, Any]) -> list[dict[str, Any]]:
    """The other reconciliation lines of the period that have the line's subscription and reference."""
    if not source.get("reference_id"):
        return []
    own = reference_of(source["reference_id"])
    rows = _rows(connection, INVOICE_RECON, period=source["period"], subscription_id=source["subscription_id"])
    return [
        row for row in rows
        if row["reference_id"] and reference_of(row["reference_id"]) == own and row["line_id"] != source["line_id"]
    ]  # fmt: skip


def _rows(connection: sa.Connection, table: Table, **values: Any) -> list[dict[str, Any]]:
    made = sql_table(table)
    statement = sa.select(made).where(*(made.c[name] == value for name, value in values.items()))
    rows: list[dict[str, Any]] = read_arrow(connection, statement, table.schema).to_pylist()
    return rows
