"""What a command shows of a run besides its summary: read from the warehouse once the work is done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from connectors.reports.overview import Overview, read_overview
from connectors.reports.unbilled import read_unbilled
from connectors.warehouse.customers import namesakes
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.runs import get_run, latest_run, previous_run
from pipelines.approval import decided_by, standing
from pipelines.period_status import configured_halo_url, run_status
from pipelines.progress import tell_progress
from pipelines.scope import part_of
from pipelines.settings import Settings
from transforms.errors import BillingError


@dataclass(frozen=True)
class RunView:
    """What is shown of a run.

    Attributes:
        part: which part of the period it was limited to, in words; empty for all of it.
        overview: its findings by code, and its invoices.
        decision: who decided what about its content, in words; empty where nobody has.
        unbilled: what of it is not billed whatever is done, in sentences.
        next: what to do, with the command to type.
        namesakes: customers' names that several customers of the run have.
        previous: the full run before it, by column name of RUNS; None where there is none, or it is no full run.
    """

    part: str
    overview: Overview
    decision: str
    unbilled: tuple[str, ...]
    next: str
    namesakes: frozenset[str]
    previous: dict[str, Any] | None


def read_run_view(settings: Settings, run_id: str, customers: Collection[str] = ()) -> RunView | None:
    """Read what is shown of a run; None where it cannot be read, which undoes nothing of what was done.

    Args:
        settings: name the warehouse.
        run_id: the run.
        customers: names of customers that are going to be shown.
    """
    tell_progress("reading the run")
    try:
        with open_warehouse(settings.warehouse).read() as connection:
            run = get_run(connection, run_id)
            latest = latest_run(connection, run["period"])
            is_latest = latest is not None and latest["run_id"] == run_id
            found = standing(connection, run)
            unbilled = read_unbilled(connection, run_id, configured_halo_url(connection, settings))
            look = f"look at its findings with `csp-billing findings --run {run_id}`"
            return RunView(
                part_of(run),
                read_overview(connection, run_id),
                decided_by(found.decision, run_id) if found.decision else "",
                tuple(one.why(run_id) for one in unbilled) if is_latest else (),
                run_status(connection, run, settings)["next"] if is_latest else look,
                namesakes(connection, customers, run_id),
                previous_run(connection, run) if run["scope"] is None else None,
            )
    except BillingError:
        return None
