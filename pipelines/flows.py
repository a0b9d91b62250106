"""The Prefect flows: the same steps as the command line, recorded.

A flow's parameters are small (a period, a folder, a run id), never data; its steps run as tasks without caching,
because they hand tables to each other in memory and the warehouse, not Prefect, is the record of what was done.
Retries live in one layer, the HTTP client, so no task is retried. A failure that a user can mend is a failed state
with one line, not a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from prefect import flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from pipelines import artifacts, billing, decisions, orders
from pipelines.people import approver
from pipelines.reporting import with_reports
from pipelines.scope import Scope, finding_codes
from pipelines.settings import Settings, load_settings
from transforms.errors import BillingError, RemoteError
from transforms.periods import month_before, month_of

P = ParamSpec("P")
R = TypeVar("R")

_RECONCILING = ("extract", "reconcile")
_BILLING = (*_RECONCILING, "load_run", "mark_run")


def as_task(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step as a task of the current flow run; raises what the step raises."""

    def told(*task_args: Any, **task_kwargs: Any) -> Any:
        try:
            return billing.call(function, *task_args, **task_kwargs)
        except BillingError as error:
            return Failed(message=str(error), data=error)

    record = task(name=function.__name__.replace("_", "-"), cache_policy=NO_CACHE, persist_result=False)
    result: R = outcome_of(record(told)(*args, return_state=True, **kwargs))
    return result


def last_month() -> str:
    """The month before the current one, UTC: what a scheduled run bills when no period is given."""
    return month_before(month_of(datetime.now(UTC).date()))


def outcome_of(state: Any) -> Any:
    """What a step or flow returned; raises the error that ended it."""
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _name() -> str:
    """What a flow run is called: the flow, and the period or run it is about."""
    parameters = runtime.flow_run.parameters
    about = parameters.get("run_id") or parameters.get("period") or last_month()
    return f"{runtime.flow_run.flow_name} {about}"


@flow(name="monthly-billing", flow_run_name=_name, validate_parameters=True)
def monthly_billing(
    period: str | None = None,
    exports: str | None = None,
    dry_run: bool = False,
    approve: bool = False,
    approved_by: str | None = None,
    all_prices: bool = False,
    report: bool = False,
    wait_for_approval: bool = False,
    approval_hours: int = 168,
) -> Any:
    """Reconcile a month, load it to HaloPSA and mark it billed unless something blocks.

    Args:
        period: YYYY-MM; the last month when empty.
        exports: folder with the partner exports; the setting when empty, and without it they are fetched.
        dry_run: stop before HaloPSA.
        approve: approve the results in advance, although findings of severity block may be open.
        approved_by: who approves them; the setting when empty.
        all_prices: post the whole price list, not only the products seen in lines.
        report: write the reports, also before somebody is to decide by them.
        wait_for_approval: when something blocks, wait until somebody has approved or rejected the results here.
        approval_hours: how long.
    """
    month = period or last_month()
    reporting = ["write_reports"] if report else []

    def steps(settings: Settings) -> billing.RunSummary:
        waited_for = decisions.run_waited_for()

        def decide(summary: billing.RunSummary) -> None:
            if not waited_for:
                artifacts.tell(settings, with_reports(settings, summary, as_task) if report else summary)
            decisions.wait_for_decision(settings, summary, approval_hours)

        if waited_for:
            step = _counted(artifacts.Progress(month, ["mark_run", *reporting]))
            return billing.resume_month(settings, waited_for, decide, report=report, step=step)
        return billing.bill_month(
            settings,
            month,
            dry_run=dry_run,
            approved_by=approver(settings, approved_by) if approve else None,
            all_prices=all_prices,
            report=report,
            decide=decide if wait_for_approval else None,
            step=_counted(artifacts.Progress(
                month, [*_fetching(settings), *(_RECONCILING if dry_run else _BILLING), *reporting])),
        )

    return _recorded(steps, exports)


@flow(name="reconcile", flow_run_name=_name, validate_parameters=True)
def reconcile(
    period: str | None = None,
    exports: str | None = None,
    customers: list[str] | None = None,
    invoices: list[str] | None = None,
    codes: list[str] | None = None,
) -> Any:
    """Reconcile a month, or some customers, invoices or findings of it, without any HaloPSA write."""
    month = period or last_month()

    def steps(settings: Settings) -> billing.RunSummary:
        scope = Scope(tuple(customers or ()), tuple(invoices or ()), finding_codes(codes or ()))
        step = _counted(artifacts.Progress(month, [*_fetching(settings), *_RECONCILING]))
        return billing.reconcile_month(settings, month, scope, step=step)

    return _recorded(steps, exports)


@flow(name="load", flow_run_name=_name, validate_parameters=True)
def load(run_id: str, all_prices: bool = False, resend_prices: bool = False) -> Any:
    """Load a stored run to HaloPSA; what is there already is not sent again.

    Args:
        run_id: the run.
        all_prices: post the whole price list, not only the products seen in lines.
        resend_prices: send also prices that may be in HaloPSA already.
    """
    return _recorded(
        lambda settings: billing.load_stored_run(
            settings, run_id, all_prices=all_prices, resend_prices=resend_prices, step=as_task
        )
    )


def _sync_name() -> str:
    return f"{runtime.flow_run.flow_name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


@flow(name="orders-sync", flow_run_name=_sync_name)
def orders_sync() -> Any:
    """Copy HaloPSA's e-commerce orders and the state of its integrations into the warehouse."""
    logger = get_run_logger()
    try:
        summary = orders.sync_orders(load_settings(), step=as_task)
    except BillingError as error:
        logger.error("%s", error)
        return Failed(message=str(error), data=error)
    for notice in summary.notices:
        logger.warning("%s", notice)
    logger.info("orders %s, integrations %s", summary.orders, summary.integrations)
    return summary.to_dict()


def _fetching(settings: Settings) -> list[str]:
    """The step before the others, where no folder of exports is named."""
    return ["fetch"] if settings.is_to_fetch else []


def _counted(progress: artifacts.Progress) -> billing.Step:
    """Runs steps as tasks, and counts them as progress."""

    def step(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        result = as_task(function, *args, **kwargs)
        progress.done(function.__name__)
        return result

    return step


def _recorded(
    steps: Callable[[Settings], billing.RunSummary], exports: str | None = None
) -> dict[str, Any] | State[Any]:
    """Run the steps, make the artifacts and log the outcome: the run's document, or a failed state."""
    logger = get_run_logger()
    try:
        settings = load_settings(exports=exports)
        summary = steps(settings)
    except BillingError as error:
        logger.error("%s", error)
        return Failed(message=str(error), data=error)
    artifacts.tell(settings, summary)
    for notice in summary.notices:
        logger.warning("%s", notice)
    logger.info(
        "run %s: %s, %d lines, %d findings (%d blocking)",
        summary.run_id, summary.status, summary.lines, sum(summary.findings.values()), summary.blocking,
    )  # fmt: skip
    if summary.error:
        return Failed(message=summary.error, data=RemoteError(summary.error))
    return summary.to_dict()
