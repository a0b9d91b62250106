"""A month's billing, step by step: fetch where no folder is named, extract, reconcile, store, load, mark, publish.

One description of the steps serves the command line and Prefect: each step goes through `step`, which by default
simply calls it, and inside a flow runs it as a Prefect task (`pipelines.flows`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import ParamSpec, Protocol, TypeVar

from connectors.reports.amounts import counted, verb
from connectors.warehouse.changes import read_changes
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, previous_run, read_findings, set_status
from connectors.warehouse.waivers import count_blocking
from pipelines import telemetry
from pipelines.approval import approve_where_needed, hindrance, latest_alike, read_standing
from pipelines.extract import extract
from pipelines.loading import StepCounts, load_run, mark_run, open_halo
from pipelines.month_lock import holding_month
from pipelines.progress import tell_progress
from pipelines.reconciling import reconcile
from pipelines.reporting import renewed, with_reports
from pipelines.run_summary import RunSummary as RunSummary
from pipelines.scope import Scope
from pipelines.settings import Settings
from transforms.errors import InputError, RemoteError, WarehouseError
from transforms.findings import count_codes
from transforms.periods import parse_period

P = ParamSpec("P")
R = TypeVar("R")


class Step(Protocol):
    """How a step is run."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function` with these arguments and return what it returns."""
        ...


#: Asks a person about a run that awaits its approval, and records the decision.
Decide = Callable[[RunSummary], None]


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step in this process; only the log tells of it."""
    with telemetry.step(function.__name__) as counts:
        result = function(*args, **kwargs)
        counts.update(telemetry.counts_of(result))
        return result


def reconcile_month(settings: Settings, period: str, scope: Scope | None = None, step: Step = call) -> RunSummary:
    """Extract, reconcile and store a period, without any HaloPSA write.

    A part of a period is reconciled beside anything else; the whole of it replaces the run before, so that nobody else
    may be at work on the period.

    Raises:
        InputError, SettingsError, WarehouseError: nothing was done.
    """
    began = time.monotonic()
    scope = scope or Scope()
    parse_period(period)
    if not scope.is_full:
        with telemetry.about("reconcile", period=period):
            ensure_current(open_warehouse(settings.warehouse))
            return _finished(_reconcile(settings, period, scope, step), began)
    with holding_month(settings, period):
        summary = _reconcile(settings, period, scope, step)
        return _finished(_published(settings, summary, step), began)


def bill_month(
    settings: Settings,
    period: str,
    *,
    dry_run: bool = False,
    approved_by: str | None = None,
    all_prices: bool = False,
    report: bool = False,
    decide: Decide | None = None,
    step: Step = call,
) -> RunSummary:
    """The whole month: reconcile, load to HaloPSA, and mark as billed if nothing blocks or the results are approved.

    The HaloPSA login is tried first, so that a wrong setting shows before anything is done. A failure of HaloPSA
    during the load leaves the stored run and the posting ledger as they are; so does a record that it refuses. The
    summary then has the status `failed` and an `error`, and running the month again continues where it stopped. Who is
    second to work on a month is refused before anything is done; nobody is while a person decides.

    Args:
        settings: name the exports, the warehouse and HaloPSA.
        period: YYYY-MM.
        dry_run: stop before HaloPSA.
        approved_by: who approves the results in advance, whatever they are.
        all_prices: post the whole price list.
        report: write the reports at the end.
        decide: asks a person to decide upon a run that waits for approval.
        step: how a step is run.
    """
    began = time.monotonic()
    parse_period(period)
    if not dry_run:
        open_halo(settings).log_in()
    with holding_month(settings, period) as month:
        summary = _reconcile(settings, period, Scope(), step, is_to_bill=not dry_run)
        try:
            if not dry_run:
                summary = _compared(settings, _load(settings, summary, step, all_prices), summary)
                summary = _mark_if_cleared(settings, summary, approved_by, decide and month.let_go_for(decide), step)
        except RemoteError as error:
            summary = replace(summary, status="failed", error=str(error))
        summary = with_reports(settings, summary, step) if report else summary
        return _finished(_published(settings, summary, step), began)


def resume_month(
    settings: Settings, run_id: str, decide: Decide, *, report: bool = False, step: Step = call
) -> RunSummary:
    """Go on with a month that was loaded and waited for a decision, without reading the exports again.

    The decision is about the run that was looked at. Where another one has replaced it meanwhile and came to the same
    results, that is marked.

    Raises:
        InputError: a later run has other results, about which nobody has decided.
    """
    began = time.monotonic()
    latest = latest_alike(settings, run_id)
    decide(stored_summary(settings, run_id))
    summary = stored_summary(settings, latest)
    with holding_month(settings, summary.period, latest):
        try:
            if summary.status == "reconciled":
                summary = _load(settings, summary, step)
            summary = _mark_if_cleared(settings, summary, None, None, step)
        except RemoteError as error:
            summary = replace(summary, status="failed", error=str(error))
        summary = with_reports(settings, summary, step) if report else summary
        return _finished(_published(settings, summary, step), began)


def load_stored_run(
    settings: Settings, run_id: str, *, all_prices: bool = False, resend_prices: bool = False, step: Step = call
) -> RunSummary:
    """Load a stored run to HaloPSA; what is there already is not sent again.

    With `resend_prices` prices are sent of which nobody knows whether they are there.
    """
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    open_halo(settings).log_in()
    with holding_month(settings, summary.period, run_id):
        summary = renewed(settings, _load(settings, summary, step, all_prices, resend_prices), step)
        return _finished(_published(settings, summary, step), began)


def mark_stored_run(
    settings: Settings, run_id: str, *, approved_by: str | None = None, step: Step = call
) -> RunSummary:
    """Mark a loaded run's lines and invoices as billed.

    Raises:
        InputError: findings of severity block are open and nobody approved the run, or it is not loaded.
    """
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    open_halo(settings).log_in()
    with holding_month(settings, summary.period, run_id):
        if approved_by is not None:
            step(approve_where_needed, settings, run_id, approved_by)
        marked = step(mark_run, settings, run_id)
        summary = renewed(settings, _as_billed(summary, marked), step)
        return _finished(_published(settings, summary, step), began)


def stored_summary(settings: Settings, run_id: str) -> RunSummary:
    """The summary of a run that is in the warehouse."""
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    return _stored(warehouse, run_id)


def _stored(warehouse: Warehouse, run_id: str) -> RunSummary:
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        findings = read_findings(connection, run_id)
        blocking = count_blocking(connection, run)
    return RunSummary(
        run_id, run["period"], run["status"], run["line_count"], run["invoice_count"], count_codes(findings),
        blocking.open, blocking.waived, warehouse=warehouse.url_masked,
    )  # fmt: skip


def _reconcile(
    settings: Settings, period: str, scope: Scope, step: Step, *, is_to_bill: bool = False
) -> RunSummary:
    policy = settings.read_policy()
    settings, notices = _with_exports(settings, period, step, is_to_bill)
    started_at = datetime.now(UTC)
    extraction = step(extract, settings, period)
    summary = step(reconcile, settings, extraction, policy, scope, started_at)
    summary = replace(summary, notices=notices + summary.notices)
    return _refreshed(settings, summary) if summary.blocking else summary


def _with_exports(
    settings: Settings, period: str, step: Step, is_to_bill: bool
) -> tuple[Settings, tuple[str, ...]]:
    """The settings with the folder to read, once it is fetched where that is to be done, and what to tell of it.

    Raises:
        InputError: Partner Center has nothing of the period, or only estimates where it is to be billed.
    """
    if not settings.is_to_fetch:
        return settings, ()
    from pipelines.fetching import fetch, notices_of

    fetched = step(fetch, settings, period)
    if not fetched.has_lines(billed=is_to_bill):
        what = "no invoice" if fetched.has_lines(billed=False) else "nothing"
        raise InputError(f"Partner Center has {what} of period {period} yet: repeat the command later, or name a "
                         "folder with --exports")  # fmt: skip
    return settings.model_copy(update={"exports": fetched.location}), notices_of(fetched)


def _load(
    settings: Settings, summary: RunSummary, step: Step, all_prices: bool = False, resend_prices: bool = False
) -> RunSummary:
    loaded = step(load_run, settings, summary.run_id, all_prices=all_prices, resend_prices=resend_prices)
    summary = replace(_refreshed(settings, summary), loaded=loaded.counts, notices=summary.notices + loaded.notices)
    return summary if loaded.error is None else replace(summary, status="failed", error=loaded.error)


def _mark_if_cleared(
    settings: Settings, summary: RunSummary, approved_by: str | None, decide: Decide | None, step: Step
) -> RunSummary:
    """Mark a loaded run that may be marked; any other awaits its approval, of whoever is there to decide.

    What is not wholly in HaloPSA is neither marked nor decided upon.
    """
    run_id = summary.run_id
    if summary.error is not None:
        return summary
    if approved_by is not None:
        step(approve_where_needed, settings, run_id, approved_by)
    found = read_standing(settings, run_id)
    if not found.is_cleared:
        _set_status(settings, run_id, "awaiting_approval")
        summary = replace(summary, status="awaiting_approval")
        if decide is not None:
            decide(summary)
            found = read_standing(settings, run_id)
    if not found.is_cleared:
        told = (hindrance(run_id, found),) if found.decision or found.other else ()
        return replace(summary, notices=summary.notices + told)
    marked = step(mark_run, settings, run_id)
    return _as_billed(summary, marked)


def _as_billed(summary: RunSummary, marked: StepCounts) -> RunSummary:
    return replace(summary, status="billed", marked=marked.counts, notices=summary.notices + marked.notices)


def publish(settings: Settings) -> tuple[str, ...]:
    """Renew the analysts' copy; what is stored is not undone where that fails.

    Returns:
        Notices: why it failed.
    """
    from connectors.warehouse.snapshot import publish_snapshot

    try:
        publish_snapshot(open_warehouse(settings.warehouse), settings.home, progress=tell_progress)
    except WarehouseError as error:
        return (f"the analysts' copy is not renewed: {error}; `csp-billing warehouse snapshot` makes it anew",)
    return ()


def _published(settings: Settings, summary: RunSummary, step: Step) -> RunSummary:
    """The summary with what publishing has to say, if the settings want it published."""
    notices = step(publish, settings) if settings.snapshot else ()
    return replace(summary, notices=summary.notices + notices)


def _refreshed(settings: Settings, summary: RunSummary) -> RunSummary:
    """The summary with what loading added to the findings, and what of them is waived."""
    stored = _stored(open_warehouse(settings.warehouse), summary.run_id)
    return replace(
        summary, status=stored.status, findings=stored.findings, blocking=stored.blocking, waived=stored.waived
    )


def _compared(settings: Settings, loaded: RunSummary, reconciled: RunSummary) -> RunSummary:
    """The summary with what changed since the period's last run, if loading may have found otherwise than then."""
    with open_warehouse(settings.warehouse).read() as connection:
        before = previous_run(connection, get_run(connection, loaded.run_id))
        codes = ["BILLED_LINE_CHANGED"]
        found_before = before is not None and read_findings(connection, before["run_id"], codes).num_rows > 0
        if loaded.findings == reconciled.findings and not found_before:
            return loaded
        changes, changed = read_changes(connection, loaded.run_id)
    return replace(loaded, changes=changes, changed=changed)


def _set_status(settings: Settings, run_id: str, status: str) -> None:
    with open_warehouse(settings.warehouse).begin() as connection:
        set_status(connection, run_id, status, datetime.now(UTC))


def _finished(summary: RunSummary, began: float) -> RunSummary:
    """The summary as it is told: how long it took, and how many findings are waived."""
    count = summary.waived
    waived = f"{counted(count, 'finding')} of severity block {verb('are waived and do', count)} not block"
    notices = summary.notices + ((waived,) if summary.waived else ())
    counts = {"lines": summary.lines, "invoices": summary.invoices, "blocking": summary.blocking}
    telemetry.log("info", "run ended", status=summary.status, **counts)
    return replace(summary, notices=notices, seconds=round(time.monotonic() - began, 2))
