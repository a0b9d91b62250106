"""Where each period stands, and what is to be done next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.progress import Progress, count_progress, last_halo_url, latest_runs
from connectors.warehouse.runs import count_findings
from pipelines.approval import Standing, standing, told
from pipelines.settings import PREFIX, Settings
from transforms.errors import InputError
from transforms.periods import parse_period

#: The overview, which fits on 80 columns; `--json` has everything.
STATUS_COLUMNS = ["period", "status", "blocking", "waived", "loaded", "billed"]

_DONE = "nothing: the month is billed"


def period_status(settings: Settings, period: str | None = None) -> list[dict[str, Any]]:
    """Where every period stands by its latest full run, the latest period first; or only one period.

    Counts come from the warehouse alone; HaloPSA is not asked.

    Raises:
        InputError: the period is no month, or has no run.
    """
    wanted = parse_period(period) if period else None
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        runs = [run for run in latest_runs(connection) if wanted in (None, run["period"])]
        if wanted and not runs:
            raise InputError(f"there is no run of period {wanted}: make one with `csp-billing run --period {wanted}`")
        halo_url = _halo_url(connection, settings)
        return [_status(connection, run, settings, halo_url) for run in runs]


def status_row(document: Mapping[str, Any]) -> list[Any]:
    """A period's status in the columns of STATUS_COLUMNS; `loaded` and `billed` are lines."""
    lines = document["halopsa"]["lines"]
    counts = [f"{lines[name]} of {lines['wanted']}" for name in ("loaded", "billed")]
    return [*(document[name] for name in STATUS_COLUMNS[:4]), *counts]


def status_sentences(document: Mapping[str, Any]) -> list[str]:
    """A period's latest run in sentences, the last of which says what to do; one for a month that is done."""
    if document["next"] == _DONE:
        return [f"{document['period']}: {_DONE}"]
    decision = document["decision"]
    decided = told(decision) if decision else "nobody has decided upon it" if document["blocking"] else "nothing blocks"
    return [
        f"{document['period']}: run {document['run_id']}, {document['lines']} lines, {document['invoices']} invoices, "
        f"{document['findings']} findings; {decided}",
        f"  next: {document['next']}",
    ]


def _status(
    connection: sa.Connection, run: Mapping[str, Any], settings: Settings, halo_url: str | None
) -> dict[str, Any]:
    found = standing(connection, run)
    progress = count_progress(connection, run, halo_url, settings.halo_usage)
    decided = ("decision", "decided_by", "decided_at", "note", "run_id")
    return {
        "period": run["period"],
        "run_id": run["run_id"],
        "status": run["status"],
        "finished_at": run["finished_at"],
        "lines": run["line_count"],
        "invoices": run["invoice_count"],
        "findings": count_findings(connection, run["run_id"]),
        "blocking": found.blocking.open,
        "waived": found.blocking.waived,
        "decision": {name: found.decision[name] for name in decided} if found.decision else None,
        "halopsa": {"url": halo_url, **{what: counts._asdict() for what, counts in progress.items()}},
        "next": _next_step(run, found, progress, settings, halo_url),
    }


def _next_step(
    run: Mapping[str, Any], found: Standing, progress: Mapping[str, Progress], settings: Settings, halo_url: str | None
) -> str:
    """The one thing to do, with the command to type."""
    run_id, lines = run["run_id"], progress["lines"]
    load = f"`csp-billing load {run_id}`"
    if not settings.halo_url:
        load = f"{PREFIX}HALO_URL and its credentials first (`csp-billing doctor`), then {load}"
    look = f"look at the {found.blocking.open} findings that block with `csp-billing findings --run {run_id}`"
    if run["status"] == "billed" and lines.billed >= lines.wanted:
        return _DONE
    if run["status"] == "reconciled":
        return f"{look}, then load it with {load}" if found.blocking.open else f"load it with {load}"
    if lines.loaded < lines.wanted:
        where = f" in {halo_url}" if halo_url else " in HaloPSA"
        return f"{lines.wanted - lines.loaded} lines are not{where}: load it with {load}"
    if found.is_cleared:
        return f"mark it as billed with `csp-billing mark-billed {run_id}`"
    if found.decision is not None:
        return f"mend the exports, then `csp-billing run --period {run['period']}`"
    return f"{look}, then approve them with `csp-billing approve {run_id} --by NAME`"


def _halo_url(connection: sa.Connection, settings: Settings) -> str | None:
    """The HaloPSA of the settings, else the one that was posted to last, which a demonstration's is."""
    if not settings.halo_url:
        return last_halo_url(connection)
    from connectors.halopsa.connection import normal_base_url

    return normal_base_url(settings.halo_url)
