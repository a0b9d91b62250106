"""Where a command that did not come to its end leaves things, and what to type next."""

from __future__ import annotations

from datetime import datetime

from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, latest_run
from pipelines.period_status import run_status
from pipelines.settings import Settings
from transforms.errors import BillingError


def aftermath(settings: Settings, began: datetime, *, period: str | None = None, run_id: str | None = None) -> str:
    """What a command has left, in a sentence; empty where it cannot be told.

    Args:
        settings: name the warehouse.
        began: when the command began, UTC: an older run is not its own.
        period: the period that it was to make a run of, or
        run_id: the run that it worked on.
    """
    try:
        warehouse = open_warehouse(settings.warehouse)
        ensure_current(warehouse)
        with warehouse.read() as connection:
            run = get_run(connection, run_id) if run_id else latest_run(connection, period) if period else None
            if run is None or (run_id is None and run["started_at"] < began):
                return "nothing of it was stored and nothing was sent: the same command begins anew"
            status = run_status(connection, run, settings)
    except BillingError:
        return ""
    lines = status["halopsa"]["lines"]
    known = f"{lines['loaded']} of its {lines['wanted']} lines are in HaloPSA and {lines['billed']} billed"
    return (
        f"run {run['run_id']} is stored ({run['status']}); as far as is known {known}, and nothing is ever sent twice; "
        f"next: {status['next']}"
    )
