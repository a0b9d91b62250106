"""Waivers of single findings in the warehouse: they are granted and ended by rows that are added, never changed."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from connectors.warehouse.schema import sql_table
from transforms.errors import InputError
from transforms.tables import FINDINGS, WAIVERS
from transforms.tables.approvals import WAIVED_COLUMNS
from transforms.tables.views import OUT_OPEN_FINDINGS, OUT_WAIVERS

_TABLE, _FINDINGS = sql_table(WAIVERS), sql_table(FINDINGS)
_VIEW = sa.table(OUT_WAIVERS.name, *(sa.column(name) for name in OUT_WAIVERS.names))
_OPEN = sa.table(OUT_OPEN_FINDINGS.name, sa.column("run_id"))
_LATEST_RUNS = sa.table("latest_runs", sa.column("run_id"))


class Blocking(NamedTuple):
    """A run's findings of severity block: how many are open, and how many a waiver is in force for."""

    open: int
    waived: int


def count_blocking(connection: sa.Connection, run: Mapping[str, Any]) -> Blocking:
    """What blocks a run (columns of RUNS) today, UTC."""
    if not run["blocking_count"]:
        return Blocking(0, 0)
    still_open = connection.execute(
        sa.select(sa.func.count()).select_from(_OPEN).where(_OPEN.c.run_id == run["run_id"])
    ).scalar_one()
    return Blocking(still_open, run["blocking_count"] - still_open)


def list_waivers(
    connection: sa.Connection, period: str | None = None, state: str | None = None
) -> list[dict[str, Any]]:
    """Waivers by column name of OUT_WAIVERS, the latest last; of a period and in a state, where these are given."""
    wanted = {"period": period, "state": state}
    where = [_VIEW.c[name] == value for name, value in wanted.items() if value is not None]
    statement = sa.select(_VIEW).where(*where).order_by(_VIEW.c.waived_at, _VIEW.c.waiver_id)
    return [dict(row) for row in connection.execute(statement).mappings()]


def latest_finding(connection: sa.Connection, finding_id: str) -> dict[str, Any]:
    """A finding of the latest run of any period (columns of FINDINGS), by its id or what its id begins with.

    Raises:
        InputError: there is none, or several.
    """
    statement = (
        sa.select(_FINDINGS)
        .join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == _FINDINGS.c.run_id)
        .where(_FINDINGS.c.finding_id.startswith(finding_id, autoescape=True))
    )
    found = {row["finding_id"]: dict(row) for row in connection.execute(statement).mappings()}
    if len(found) > 1:
        raise InputError(f"several findings begin with {finding_id}: {', '.join(sorted(found)[:5])}; write more of it")
    if not found:
        raise InputError(
            f"no period's latest run has a finding {finding_id}: `csp-billing findings --period YYYY-MM` lists them "
            "with their ids, which change with their figures"
        )
    return found.popitem()[1]


def grant(
    connection: sa.Connection,
    finding: Mapping[str, Any],
    *,
    by: str,
    reason: str,
    valid_until: dt.date,
    recorded_by: str,
    at: dt.datetime,
) -> str:
    """Grant a waiver of a finding (columns of FINDINGS), and return its id.

    One that is in force for the same finding, with the same reason and last day, by the same person, is not granted
    again.
    """
    same = (_VIEW.c.finding_id == finding["finding_id"], _VIEW.c.state == "in_force", _VIEW.c.waived_by == by,
            _VIEW.c.reason == reason, _VIEW.c.valid_until == valid_until)  # fmt: skip
    known: str | None = connection.execute(sa.select(_VIEW.c.waiver_id).where(*same)).scalars().first()
    if known is not None:
        return known
    waiver_id = secrets.token_hex(6)
    of_finding = {name: finding[name] for name in ("finding_id", "run_id", "period", *WAIVED_COLUMNS)}
    of_person = {"reason": reason, "valid_until": valid_until, "decided_by": by, "decided_at": at}
    row = {"waiver_id": waiver_id, "action": "granted", **of_finding, **of_person, "recorded_by": recorded_by}
    connection.execute(_TABLE.insert(), [row])
    return waiver_id


def end(
    connection: sa.Connection, waiver_id: str, *, by: str, reason: str, recorded_by: str, at: dt.datetime
) -> None:
    """End a waiver that is in force; one that was ended stays as it is.

    Raises:
        InputError: there is no such waiver, or its last day is over.
    """
    rows = {
        row["action"]: dict(row)
        for row in connection.execute(sa.select(_TABLE).where(_TABLE.c.waiver_id == waiver_id)).mappings()
    }
    if "ended" in rows:
        return
    if "granted" not in rows:
        raise InputError(f"there is no waiver {waiver_id}: `csp-billing waivers list --all` lists them")
    granted = rows["granted"]
    if granted["valid_until"] < at.date():
        raise InputError(f"waiver {waiver_id} held until {granted['valid_until']}: there is nothing to end")
    ended = {"action": "ended", "reason": reason, "decided_by": by, "decided_at": at, "recorded_by": recorded_by}
    # Another may have ended it in the same moment.
    connection.execute(insert(_TABLE).values({**granted, **ended}).on_conflict_do_nothing(index_elements=WAIVERS.key))
