"""Where each period stands, and what is to be done next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from connectors.reports.amounts import counted, verb
from connectors.reports.unbilled import read_unbilled
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.progress import Progress, count_progress, last_halo_url, latest_runs
from connectors.warehouse.runs import count_findings
from pipelines.approval import Standing, decided_by, standing
from pipelines.settings import PREFIX, Settings
from transforms.errors import InputError
from transforms.periods import parse_period

#: The overview, which fits on 80 columns; `--json` has everything.
STATUS_COLUMNS = ["period", "status", "blocking", "waived", "loaded", "billed"]

_DONE = "nothing: the month is billed"
_MEND = (
    "nothing, if that is accepted: all else is billed; what is mended in the exports is billed by `csp-billing run "
    "--period {period}`, and nothing twice"
)


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
        return [run_status(connection, run, settings) for run in runs]


def status_row(document: Mapping[str, Any]) -> list[Any]:
    """A period's status in the columns of STATUS_COLUMNS; `loaded` and `billed` are lines."""
    lines = document["halopsa"]["lines"]
    counts = [f"{lines[name]} of {lines['wanted']}" for name in ("loaded", "billed")]
    return [*(document[name] for name in STATUS_COLUMNS[:4]), *counts]


def status_sentences(document: Mapping[str, Any]) -> list[str]:
    """A period's latest run in sentences, the last of which says what to do; one for a month that is done."""
    if document["next"] == _DONE:
        return [f"{document['period']}: {_DONE}"]
    decision, run_id = document["decision"], document["run_id"]
    undecided = "nobody has decided upon it" if document["blocking"] else "nothing blocks"
    counts = (counted(document[f"{what}s"], what) for what in ("line", "invoice", "finding"))
    return [
        f"{document['period']}: run {run_id}, {', '.join(counts)}; "
        f"{decided_by(decision, run_id) if decision else undecided}",
        *(f"  {not_billed(document['status'])}: {one['why']}" for one in document["unbilled"]),
        f"  next: {document['next']}",
    ]


def not_billed(status: str) -> str:
    """What is said of charges that a run of this status leaves."""
    return "not billed" if status == "billed" else "cannot be billed"


def run_status(connection: sa.Connection, run: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Where a period stands by its latest full run (columns of RUNS)."""
    halo_url = configured_halo_url(connection, settings)
    found = standing(connection, run)
    unbilled = read_unbilled(connection, run["run_id"], halo_url)
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
        "unbilled": [one.to_dict(run["run_id"]) for one in unbilled],
        "next": _next_step(run, found, progress, settings, halo_url, bool(unbilled)),
    }


def _next_step(
    run: Mapping[str, Any],
    found: Standing,
    progress: Mapping[str, Progress],
    settings: Settings,
    halo_url: str | None,
    leaves_some: bool,
) -> str:
    """The one thing to do, with the command to type."""
    run_id, lines = run["run_id"], progress["lines"]
    load = f"`csp-billing load {run_id}`"
    if not settings.halo_url:
        load = f"{PREFIX}HALO_URL and its credentials first (`csp-billing doctor`), then {load}"
    blocking = verb(f"{counted(found.blocking.open, 'finding')} that block", found.blocking.open)
    look = f"look at the {blocking} with `csp-billing findings --run {run_id} --severity block`"
    if run["status"] == "billed" and lines.billed >= lines.wanted:
        return _MEND.format(period=run["period"]) if leaves_some else _DONE
    if found.decision is not None and not found.is_cleared:
        return f"mend the exports, then `csp-billing run --period {run['period']}`"
    if run["status"] == "reconciled":
        return f"load it with {load}" if found.is_cleared or lines.loaded else f"{look}, then load it with {load}"
    if (missing := lines.wanted - lines.loaded) > 0:
        where = f" in {halo_url}" if halo_url else " in HaloPSA"
        return f"{counted(missing, 'line')} {'is' if missing == 1 else 'are'} not{where}: load it with {load}"
    if found.is_cleared:
        return f"mark it as billed with `csp-billing mark-billed {run_id}`"
    return f"{look}, then approve the run with `csp-billing approve {run_id} --by NAME`"


def configured_halo_url(connection: sa.Connection, settings: Settings) -> str | None:
    """The HaloPSA of the settings, else the one that was posted to last, which a demonstration's is."""
    if not settings.halo_url:
        return last_halo_url(connection)
    from connectors.halopsa.connection import normal_base_url

    return normal_base_url(settings.halo_url)
