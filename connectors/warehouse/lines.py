"""Single lines with what is stored about them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.schema import sql_table, texts_of
from transforms.columns import Table
from transforms.errors import InputError
from transforms.line_identity import reference_of
from transforms.tables import EXPORT_TABLES, FINDINGS, HALO_POSTINGS, INVOICE_RECON, LINES, PRICE_LIST, RUNS

#: How many ids are named where several begin alike.
_CANDIDATES = 5


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


@dataclass(frozen=True)
class Named:
    """What an id, or the beginning of one, names: a line, or a finding, which is about a line or about none."""

    line_id: str | None
    finding: dict[str, Any] | None


def find_named(connection: sa.Connection, begun: str) -> Named:
    """The one line, or the one finding, whose id is this or begins with it.

    A finding is that of the last run that has it.

    Raises:
        InputError: there is none, or there are several; names these.
    """
    lines, findings, runs = sql_table(LINES), sql_table(FINDINGS), sql_table(RUNS)
    if connection.execute(sa.select(lines.c.line_id).where(lines.c.line_id == begun).limit(1)).scalar() is not None:
        return Named(begun, None)
    line_ids = sa.select(lines.c.line_id).where(lines.c.line_id.startswith(begun, autoescape=True)).distinct()
    finding = (
        sa.select(findings)
        .join(runs, runs.c.run_id == findings.c.run_id)
        .where(findings.c.finding_id.startswith(begun, autoescape=True))
        .order_by(runs.c.started_at)
    )
    found_lines = sorted(connection.execute(line_ids.limit(_CANDIDATES + 1)).scalars())
    found = {row["finding_id"]: dict(row) for row in connection.execute(finding).mappings()}
    candidates = [f"line {line_id}" for line_id in found_lines]
    candidates += [f"finding {finding_id} ({row['code']})" for finding_id, row in sorted(found.items())]
    if len(candidates) > 1:
        more = " and more" if len(candidates) > _CANDIDATES else ""
        raise InputError(f"several begin with {begun}: {', '.join(candidates[:_CANDIDATES])}{more}; write more of it")
    if found_lines:
        return Named(found_lines[0], None)
    if found:
        row = found.popitem()[1]
        return Named(row["line_id"], row)
    raise InputError(f"there is no line and no finding {begun}: `csp-billing findings` lists findings with their ids")


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


def read_latest_lines(connection: sa.Connection, period: str, line_ids: Collection[str]) -> pa.Table:
    """These lines of a period as its latest full run that has them judged them, columns of LINES, each once.

    What no run has any more is left out.
    """
    lines, runs = sql_table(LINES), sql_table(RUNS)
    recency = sa.func.row_number().over(
        partition_by=lines.c.line_id, order_by=(runs.c.started_at.desc(), runs.c.run_id.desc())
    )
    ranked = (
        sa.select(lines, recency.label("recency"))
        .join(runs, runs.c.run_id == lines.c.run_id)
        .where(lines.c.period == period, lines.c.line_id.in_(texts_of(line_ids)), runs.c.scope.is_(None))
        .subquery()
    )
    newest = sa.select(*(ranked.c[name] for name in LINES.names)).where(ranked.c.recency == 1)
    return read_arrow(connection, newest.order_by(ranked.c.line_id), LINES.schema)


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
