"""Runs in the warehouse: what a pipeline writes of one, and what it and the commands read back.

All functions work in the transaction they are given, so that a run is there whole or not at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import renewals_put_off
from connectors.warehouse.schema import sql_table
from connectors.warehouse.sources import write_files
from transforms.columns import Table
from transforms.digests import TableDigest, combined_digest
from transforms.errors import InputError
from transforms.findings import with_ids
from transforms.policy import SEVERITY_ORDER
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUN_FILES, RUNS
from transforms.texts import repeated

_LATEST_RUNS = sa.table("latest_runs", sa.column("period", sa.Text), sa.column("run_id", sa.Text))


@contextmanager
def writing_run(warehouse: Warehouse) -> Iterator[sa.Connection]:
    """A transaction in which a run is written, and no other one beside it."""
    with renewals_put_off(warehouse.dialect) as renew, warehouse.begin(loading=True) as connection:
        open_run(connection)
        yield connection
        renew(connection)


def open_run(connection: sa.Connection) -> None:
    """Begin to write a run, or to remove what runs were made from; nobody does either at the same time.

    DuckDB has one writer anyway. On PostgreSQL bulk tables have no key that would stop two runs from writing the same
    partition.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("lock table runs in share row exclusive mode")


def after_all_runs(connection: sa.Connection, started_at: dt.datetime) -> dt.datetime:
    """A run's start, or a moment after that of the newest run where a clock is behind the one that timed it.

    The latest run of a period is told by its start. With a clock that was set back, or of another machine, a new run
    would count as an older one, and nobody could load it.
    """
    newest = connection.execute(sa.select(sa.func.max(sql_table(RUNS).c.started_at))).scalar()
    return started_at if newest is None else max(started_at, newest + dt.timedelta(microseconds=1))


def write_run(
    connection: sa.Connection,
    run: Mapping[str, Any],
    files: pa.Table,
    run_files: pa.Table,
    findings: pa.Table,
    tieout: pa.Table,
) -> None:
    """Write a run whose lines are written.

    Args:
        connection: the transaction of `open_run`.
        run: one row of RUNS by column name.
        files: columns of SOURCE_FILES; files already known are left as they are.
        run_files: columns of RUN_FILES.
        findings: columns of FINDINGS but `finding_id`.
        tieout: columns of INVOICE_TIEOUT.
    """
    connection.execute(sql_table(RUNS).insert(), [dict(run)])
    write_files(connection, files)
    for table, rows in ((RUN_FILES, run_files), (FINDINGS, with_ids(findings)), (INVOICE_TIEOUT, tieout)):
        insert_arrow(connection, table, rows)


def record_load(connection: sa.Connection, run_id: str, found: pa.Table, at: dt.datetime) -> None:
    """Record that a run is loaded, with the findings that loading added in place of those of an earlier load of it.

    They are part of what is approved: with them the run's content is another one (`loaded_digest`). A billed run stays
    billed.

    Args:
        connection: an open transaction.
        run_id: the run.
        found: BILLED_LINE_CHANGED findings, columns of FINDINGS without run_id, period and finding_id.
        at: now, UTC.
    """
    run = get_run(connection, run_id)
    findings, runs = sql_table(FINDINGS), sql_table(RUNS)
    own = findings.c.run_id == run_id
    connection.execute(findings.delete().where(own, findings.c.code == "BILLED_LINE_CHANGED"))
    digest = TableDigest()
    digest.add(found.drop_columns(["source_file", "source_row", "message"]))
    for name in ("run_id", "period"):
        found = found.append_column(name, repeated(run[name], found.num_rows))
    insert_arrow(connection, FINDINGS, with_ids(found))
    blocking = sa.select(sa.func.count()).where(own, findings.c.severity == "block").scalar_subquery()
    loaded = combined_digest(run["content_digest"], digest.hexdigest()) if found.num_rows else None
    status = run["status"] if run["status"] == "billed" else "loaded"
    values = {"blocking_count": blocking, "loaded_digest": loaded, "status": status, "finished_at": at}
    connection.execute(runs.update().where(runs.c.run_id == run_id).values(**values))


def get_run(connection: sa.Connection, run_id: str) -> dict[str, Any]:
    """One run by column name of RUNS.

    Raises:
        InputError: there is no such run.
    """
    runs = sql_table(RUNS)
    row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().one_or_none()
    if row is None:
        raise InputError(f"there is no run {run_id}: `csp-billing status` names the latest run of each period")
    return dict(row)


def latest_run(connection: sa.Connection, period: str) -> dict[str, Any] | None:
    """The latest full run of a period that did not fail; None when there is none (the view `latest_runs`)."""
    runs = sql_table(RUNS)
    statement = sa.select(runs).join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == runs.c.run_id)
    row = connection.execute(statement.where(_LATEST_RUNS.c.period == period)).mappings().one_or_none()
    return None if row is None else dict(row)


def last_run(connection: sa.Connection, *, full: bool = False) -> dict[str, Any] | None:
    """The run that was started last, of whatever period; None when there is none.

    Args:
        connection: an open transaction.
        full: only of whole periods, and none that failed.
    """
    runs = sql_table(RUNS)
    statement = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id).limit(1)
    if full:
        statement = statement.where(runs.c.scope.is_(None), runs.c.status != "failed")
    found = connection.execute(statement).mappings().one_or_none()
    return None if found is None else dict(found)


def previous_run(connection: sa.Connection, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The full run of the period before this one (columns of RUNS); None when there is none."""
    runs = sql_table(RUNS)
    earlier = sa.or_(
        runs.c.started_at < run["started_at"],
        sa.and_(runs.c.started_at == run["started_at"], runs.c.run_id < run["run_id"]),
    )
    statement = (
        sa.select(runs)
        .where(runs.c.period == run["period"], runs.c.scope.is_(None), runs.c.status != "failed", earlier)
        .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        .limit(1)
    )
    found = connection.execute(statement).mappings().one_or_none()
    return None if found is None else dict(found)


def set_status(connection: sa.Connection, run_id: str, status: str, finished_at: dt.datetime | None = None) -> None:
    """Set a run's status and, where given, when it ended (UTC).

    Raises:
        InputError: there is no such run.
    """
    values: dict[str, Any] = {"status": status}
    if finished_at is not None:
        values["finished_at"] = finished_at
    get_run(connection, run_id)
    runs = sql_table(RUNS)
    connection.execute(runs.update().where(runs.c.run_id == run_id).values(**values))


def read_lines(connection: sa.Connection, run_id: str) -> pa.Table:
    """A run's lines, columns of LINES, by source, file and row."""
    rows = _of_run(connection, LINES, run_id)
    return rows.sort_by([("source", "ascending"), ("source_file", "ascending"), ("source_row", "ascending")])


def read_tieout(connection: sa.Connection, run_id: str) -> pa.Table:
    """A run's invoices against their lines, columns of INVOICE_TIEOUT, by invoice."""
    return _of_run(connection, INVOICE_TIEOUT, run_id).sort_by("invoice_number")


def read_run_files(connection: sa.Connection, run_id: str) -> pa.Table:
    """The files a run was made from, columns of RUN_FILES."""
    return _of_run(connection, RUN_FILES, run_id)


def read_findings(
    connection: sa.Connection, run_id: str, codes: Collection[str] = (), severities: Collection[str] = SEVERITY_ORDER
) -> pa.Table:
    """A run's findings, columns of FINDINGS, the blocking ones first.

    Args:
        connection: an open transaction.
        run_id: the run.
        codes: only these finding codes; empty for all.
        severities: only these severities.
    """
    findings = sql_table(FINDINGS)
    where = [findings.c.severity.in_(list(severities))]
    if codes:
        where.append(findings.c.code.in_(list(codes)))
    rows = _of_run(connection, FINDINGS, run_id, *where)
    ordered = rows.sort_by([(name, "ascending") for name in ("code", "invoice_number", "customer_name", "line_id")])
    rank = pa.array([SEVERITY_ORDER.index(severity) for severity in ordered["severity"].to_pylist()], pa.int8())
    return ordered.append_column("rank", rank).sort_by("rank").drop_columns("rank")


def count_findings(connection: sa.Connection, run_id: str) -> int:
    """How many findings a run has."""
    findings = sql_table(FINDINGS)
    statement = sa.select(sa.func.count()).select_from(findings).where(findings.c.run_id == run_id)
    return connection.execute(statement).scalar_one()


def _of_run(connection: sa.Connection, table: Table, run_id: str, *where: sa.ColumnElement[bool]) -> pa.Table:
    made = sql_table(table)
    return read_arrow(connection, sa.select(made).where(made.c.run_id == run_id, *where), table.schema)

