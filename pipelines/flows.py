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

from pipelines import billing, orders
from pipelines.scope import Scope, finding_codes
from pipelines.settings import load_settings
from transforms.errors import BillingError, RemoteError
from transforms.periods import month_before, month_of

P = ParamSpec("P")
R = TypeVar("R")


def as_task(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step as a task of the current flow run; raises what the step raises."""

    def told(*task_args: Any, **task_kwargs: Any) -> Any:
        try:
            return function(*task_args, **task_kwargs)
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
    all_prices: bool = False,
) -> Any:
    """Reconcile a month, load it to HaloPSA and mark it billed unless something blocks.

    Args:
        period: YYYY-MM; the last month when empty.
        exports: folder with the partner exports; the setting when empty.
        dry_run: stop before HaloPSA.
        approve: mark as billed although findings of severity block are open.
        all_prices: post the whole price list, not only the products seen in lines.
    """
    return _recorded(
        lambda: billing.bill_month(
            load_settings(exports=exports),
            period or last_month(),
            dry_run=dry_run,
            approve=approve,
            all_prices=all_prices,
            step=as_task,
        )
    )


@flow(name="reconcile", flow_run_name=_name, validate_parameters=True)
def reconcile(
    period: str | None = None,
    exports: str | None = None,
    customers: list[str] | None = None,
    invoices: list[str] | None = None,
    codes: list[str] | None = None,
) -> Any:
    """Reconcile a month, or some customers, invoices or findings of it, without any HaloPSA write."""

    def steps() -> billing.RunSummary:
        scope = Scope(tuple(customers or ()), tuple(invoices or ()), finding_codes(codes or ()))
        return billing.reconcile_month(load_settings(exports=exports), period or last_month(), scope, step=as_task)

    return _recorded(steps)


@flow(name="load", flow_run_name=_name, validate_parameters=True)
def load(run_id: str, all_prices: bool = False) -> Any:
    """Load a stored run to HaloPSA; what is there already is not sent again."""
    return _recorded(
        lambda: billing.load_stored_run(load_settings(), run_id, all_prices=all_prices, step=as_task)
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


def _recorded(steps: Callable[[], billing.RunSummary]) -> dict[str, Any] | State[Any]:
    """Run the steps and log the outcome: the run's document, or a failed state."""
    logger = get_run_logger()
    try:
        summary = steps()
    except BillingError as error:
        logger.error("%s", error)
        return Failed(message=str(error), data=error)
    for notice in summary.notices:
        logger.warning("%s", notice)
    logger.info(
        "run %s: %s, %d lines, %d findings (%d blocking)",
        summary.run_id, summary.status, summary.lines, sum(summary.findings.values()), summary.blocking,
    )  # fmt: skip
    if summary.error:
        return Failed(message=summary.error, data=RemoteError(summary.error))
    return summary.to_dict()
