"""A month's billing, step by step: extract, reconcile, store, load, mark, publish.

One description of the steps serves the command line and Prefect: each step goes through `step`, which by default
simply calls it, and inside a flow runs it as a Prefect task (`pipelines.flows`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import ParamSpec, Protocol, TypeVar

from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, read_findings, set_status
from pipelines.extract import extract
from pipelines.loading import load_run, mark_run, open_halo
from pipelines.reconciling import reconcile
from pipelines.run_summary import RunSummary as RunSummary
from pipelines.scope import Scope
from pipelines.settings import Settings
from transforms.errors import RemoteError, WarehouseError
from transforms.findings import count_codes
from transforms.periods import parse_period

P = ParamSpec("P")
R = TypeVar("R")


class Step(Protocol):
    """How a step is run."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function` with these arguments and return what it returns."""
        ...


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step in this process, unrecorded."""
    return function(*args, **kwargs)


def reconcile_month(settings: Settings, period: str, scope: Scope | None = None, step: Step = call) -> RunSummary:
    """Extract, reconcile and store a period, without any HaloPSA write.

    Raises:
        InputError, SettingsError, WarehouseError: nothing was done.
    """
    began = time.monotonic()
    scope = scope or Scope()
    summary = _reconcile(settings, period, scope, step)
    if scope.is_full:
        summary = _published(settings, summary, step)
    return replace(summary, seconds=_seconds(began))


def _reconcile(settings: Settings, period: str, scope: Scope, step: Step) -> RunSummary:
    policy = settings.read_policy()
    parse_period(period)
    ensure_current(open_warehouse(settings.warehouse))
    started_at = datetime.now(UTC)
    extraction = step(extract, settings, period)
    return step(reconcile, settings, extraction, policy, scope, started_at)


def bill_month(
    settings: Settings,
    period: str,
    *,
    dry_run: bool = False,
    approve: bool = False,
    all_prices: bool = False,
    step: Step = call,
) -> RunSummary:
    """The whole month: reconcile, load to HaloPSA, and mark as billed if nothing blocks or `approve` is given.

    The HaloPSA login is tried first, so that a wrong setting shows before anything is done. A failure of HaloPSA
    during the load leaves the stored run and the posting ledger as they are; the summary then has the status
    `failed` and an `error`, and running the month again continues where it stopped.
    """
    began = time.monotonic()
    if dry_run:
        return reconcile_month(settings, period, step=step)
    open_halo(settings).log_in()
    summary = _reconcile(settings, period, Scope(), step)
    try:
        summary = _load_and_mark(settings, summary, approve, all_prices, step)
    except RemoteError as error:
        summary = replace(summary, status="failed", error=str(error))
    return replace(_published(settings, summary, step), seconds=_seconds(began))


def _load_and_mark(
    settings: Settings, summary: RunSummary, approve: bool, all_prices: bool, step: Step
) -> RunSummary:
    loaded = step(load_run, settings, summary.run_id, all_prices=all_prices)
    summary = _refreshed(settings, summary)
    summary = replace(summary, status="loaded", loaded=loaded.counts, notices=summary.notices + loaded.notices)
    if summary.blocking and not approve:
        _set_status(settings, summary.run_id, "awaiting_approval")
        return replace(summary, status="awaiting_approval")
    marked = step(mark_run, settings, summary.run_id, approve=approve)
    return replace(summary, status="billed", marked=marked.counts)


def load_stored_run(settings: Settings, run_id: str, *, all_prices: bool = False, step: Step = call) -> RunSummary:
    """Load a stored run to HaloPSA; what is there already is not sent again."""
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    open_halo(settings).log_in()
    loaded = step(load_run, settings, run_id, all_prices=all_prices)
    summary = _refreshed(settings, summary)
    status = "billed" if summary.status == "billed" else "loaded"
    _set_status(settings, run_id, status)
    summary = replace(summary, status=status, loaded=loaded.counts, notices=loaded.notices)
    return replace(_published(settings, summary, step), seconds=_seconds(began))


def mark_stored_run(settings: Settings, run_id: str, *, approve: bool = False, step: Step = call) -> RunSummary:
    """Mark a loaded run's lines and invoices as billed.

    Raises:
        InputError: findings of severity block are open and the run is not approved, or it is not loaded.
    """
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    marked = step(mark_run, settings, run_id, approve=approve)
    summary = replace(summary, status="billed", marked=marked.counts)
    return replace(_published(settings, summary, step), seconds=_seconds(began))


def stored_summary(settings: Settings, run_id: str) -> RunSummary:
    """The summary of a run that is in the warehouse."""
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        findings = read_findings(connection, run_id)
    return RunSummary(
        run_id, run["period"], run["status"], run["line_count"], run["invoice_count"], count_codes(findings),
        run["blocking_count"], warehouse=warehouse.url_masked,
    )  # fmt: skip


def publish(settings: Settings) -> tuple[str, ...]:
    """Renew the analysts' copy; what is stored is not undone where that fails.

    Returns:
        Notices: why it failed.
    """
    from connectors.warehouse.snapshot import publish_snapshot

    try:
        publish_snapshot(open_warehouse(settings.warehouse), settings.home)
    except WarehouseError as error:
        return (f"the analysts' copy is not renewed: {error}; `csp-billing warehouse snapshot` makes it anew",)
    return ()


def _published(settings: Settings, summary: RunSummary, step: Step) -> RunSummary:
    """The summary with what publishing has to say, if the settings want it published."""
    notices = step(publish, settings) if settings.snapshot else ()
    return replace(summary, notices=summary.notices + notices)


def _refreshed(settings: Settings, summary: RunSummary) -> RunSummary:
    """The summary with what loading added to the findings."""
    stored = stored_summary(settings, summary.run_id)
    return replace(summary, status=stored.status, findings=stored.findings, blocking=stored.blocking)


def _set_status(settings: Settings, run_id: str, status: str) -> None:
    with open_warehouse(settings.warehouse).begin() as connection:
        set_status(connection, run_id, status, datetime.now(UTC))


def _seconds(began: float) -> int | float:
    return round(time.monotonic() - began, 2)
