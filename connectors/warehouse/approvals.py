"""Decisions about a run's results in the warehouse: they are added, and never changed or deleted."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.schema import sql_table
from transforms.tables import APPROVALS

APPROVED, REJECTED = "approved", "rejected"

_TABLE = sql_table(APPROVALS)


def decided_content(run: Mapping[str, Any]) -> str:
    """The digest that a decision about a run holds for: what was reconciled, and what loading found in addition."""
    return str(run["loaded_digest"] or run["content_digest"])


def last_decision(connection: sa.Connection, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last decision about the content of a run (columns of APPROVALS), whichever run it was made about."""
    return _last(connection, _TABLE.c.period == run["period"], _TABLE.c.content_digest == decided_content(run))


def last_decision_of_period(connection: sa.Connection, period: str) -> dict[str, Any] | None:
    """The last decision about a period, whatever its content."""
    return _last(connection, _TABLE.c.period == period)


def record_decision(
    connection: sa.Connection,
    run: Mapping[str, Any],
    decision: str,
    *,
    by: str,
    note: str | None,
    blocking: int,
    recorded_by: str,
    at: dt.datetime,
) -> dict[str, Any]:
    """Add a decision about a run's content, and return it (columns of APPROVALS).

    The same decision by the same person, where it is the last one about that content, is not added again, unless there
    is another note to it.

    Args:
        connection: an open transaction.
        run: columns of RUNS.
        decision: `approved` or `rejected`.
        by: who decided.
        note: why.
        blocking: findings that block now.
        recorded_by: what records it.
        at: now, UTC; a later time is written where the period has a later decision.
    """
    if connection.dialect.name == "postgresql":
        # One at a time, so that of two the later one is the last; DuckDB has one writer anyway.
        connection.exec_driver_sql("lock table approvals in share row exclusive mode")
    last = last_decision(connection, run)
    same = last is not None and (last["decision"], last["decided_by"]) == (decision, by)
    if last is not None and same and note in (None, last["note"]):
        return last
    newest = last_decision_of_period(connection, run["period"])
    row = {
        "approval_id": secrets.token_hex(6),
        "run_id": run["run_id"],
        "period": run["period"],
        "content_digest": decided_content(run),
        "decision": decision,
        "decided_by": by,
        "decided_at": max(at, newest["decided_at"] + dt.timedelta(microseconds=1)) if newest else at,
        "note": note,
        "blocking_count": blocking,
        "recorded_by": recorded_by,
    }
    connection.execute(_TABLE.insert(), [row])
    return row


def _last(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> dict[str, Any] | None:
    statement = sa.select(_TABLE).where(*where).order_by(_TABLE.c.decided_at.desc()).limit(1)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else dict(row)
