"""Approvals: who accepted the results of a run, and whether a run may be marked as billed.

A decision holds for a content: for the lines, the findings and their figures, not for a run. A run that comes to the
same results again is as approved as the one that was looked at; one with other results is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from connectors.reports.amounts import counted
from connectors.warehouse.approvals import (
    APPROVED,
    REJECTED,
    decided_content,
    last_decision,
    last_decision_of_period,
    record_decision,
)
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, latest_run
from connectors.warehouse.waivers import Blocking, count_blocking
from pipelines.people import person, recorder, remark
from pipelines.settings import Settings
from transforms.errors import InputError


class Standing(NamedTuple):
    """Where a run stands.

    Attributes:
        blocking: its findings of severity block, open and waived.
        decision: the last decision about its content (columns of APPROVALS).
        other: the last decision about its period, where that was about another content.
    """

    blocking: Blocking
    decision: dict[str, Any] | None
    other: dict[str, Any] | None

    @property
    def is_approved(self) -> bool:
        """Whether the last word about this content is yes."""
        return self.decision is not None and self.decision["decision"] == APPROVED

    @property
    def is_cleared(self) -> bool:
        """Whether it may be marked as billed: approved, or nothing blocks and nobody said no."""
        return self.is_approved or (self.decision is None and not self.blocking.open)


def standing(connection: sa.Connection, run: Mapping[str, Any]) -> Standing:
    """Where a run (columns of RUNS) stands today."""
    newest = last_decision_of_period(connection, run["period"])
    is_other = newest is not None and newest["content_digest"] != decided_content(run)
    decision = last_decision(connection, run) if newest else None
    return Standing(count_blocking(connection, run), decision, newest if is_other else None)


def read_standing(settings: Settings, run_id: str) -> Standing:
    """Where a run of the warehouse stands; raises InputError when there is no such run."""
    with open_warehouse(settings.warehouse).read() as connection:
        return standing(connection, get_run(connection, run_id))


def hindrance(run_id: str, found: Standing) -> str:
    """Why a run that is not cleared is not marked as billed, and what to do."""
    approve = f"`csp-billing approve {run_id} --by NAME`"
    if found.decision is not None:
        return f"{told(found.decision)}: mend the exports and run the month again, or approve it with {approve}"
    blocking = counted(found.blocking.open, "finding")
    waived = f" ({found.blocking.waived} more waived)" if found.blocking.waived else ""
    other = f"; {told(found.other)}, but that was about other results" if found.other else ""
    return (
        f"run {run_id} has {blocking} of severity block{waived}{other}: look at them with "
        f"`csp-billing findings --run {run_id} --severity block`, then approve it with {approve}"
    )


def decided_by(decision: Mapping[str, Any], run_id: str) -> str:
    """A decision about a run's content in words, said of that run."""
    note = f" ({decision['note']})" if decision["note"] else ""
    other = "" if decision["run_id"] == run_id else f", as run {decision['run_id']} with the same results"
    when = f"{decision['decided_at']:%Y-%m-%d %H:%M} UTC"
    return f"{decision['decision']} by {decision['decided_by']} on {when}{note}{other}"


def told(decision: Mapping[str, Any]) -> str:
    """A decision in words."""
    note = f" ({decision['note']})" if decision["note"] else ""
    return (
        f"{decision['decided_by']} {decision['decision']} run {decision['run_id']} on "
        f"{decision['decided_at']:%Y-%m-%d %H:%M} UTC{note}"
    )


def decide(settings: Settings, run_id: str, decision: str, *, by: str, note: str | None = None) -> dict[str, Any]:
    """Record a decision about a run's results, in one transaction.

    The same decision by the same person about the same content is recorded once, however often the command is
    repeated.

    Args:
        settings: name the warehouse.
        run_id: the run that was looked at.
        decision: `approved` or `rejected`.
        by: who decides.
        note: why.

    Returns:
        The decision (columns of APPROVALS) with the run's `status` and what of it is `blocking` and `waived`.

    Raises:
        InputError: there is no such run, it cannot be decided upon, or the name or note cannot be used.
    """
    by, note = person(by), remark(note, "the note") if note else None
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.begin() as connection:
        run = get_run(connection, run_id)
        _check_decidable(connection, run, decision)
        blocking = count_blocking(connection, run)
        row = record_decision(
            connection, run, decision, by=by, note=note, blocking=blocking.open,
            recorded_by=recorder(), at=datetime.now(UTC),
        )  # fmt: skip
    return {**row, "status": run["status"], "blocking": blocking.open, "waived": blocking.waived}


def approve_where_needed(settings: Settings, run_id: str, by: str) -> None:
    """Approve a run that is not cleared: what `--approve` does. Where nothing hinders it there is nothing to decide."""
    if not read_standing(settings, run_id).is_cleared:
        decide(settings, run_id, APPROVED, by=by)


def latest_alike(settings: Settings, run_id: str) -> str:
    """The id of the latest run of this run's period, which must have come to the same results.

    Raises:
        InputError: there is no such run, or a later one has other results.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        _check_decidable(connection, run, APPROVED)
        latest = latest_run(connection, run["period"])
    return str(latest["run_id"]) if latest else run_id


def _check_decidable(connection: sa.Connection, run: Mapping[str, Any], decision: str) -> None:
    run_id, period = run["run_id"], run["period"]
    latest = latest_run(connection, period)
    if run["scope"] is not None:
        instead = f": decide upon run {latest['run_id']}" if latest else ""
        raise InputError(f"run {run_id} is of a part of period {period} only, which cannot be billed{instead}")
    if latest is not None and latest["content_digest"] != run["content_digest"]:
        raise InputError(f"run {run_id} was replaced by run {latest['run_id']}, whose results differ: decide upon that")
    if decision == REJECTED and run["status"] == "billed":
        raise InputError(f"run {run_id} is marked as billed already, which is never undone: credit it in HaloPSA")
