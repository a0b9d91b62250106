"""The Prefect flows: the same steps as the command line, recorded.

A flow's parameters are small (a period, a folder, a run id), never data; its steps run as tasks without caching,
because they hand tables to each other in memory and the warehouse, not Prefect, is the record of what was done.
Retries live in one layer, the HTTP client, so no task is retried.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipelines import billing
from pipelines.settings import load_settings
from transforms.errors import RemoteError
from transforms.periods import month_before, month_of

P = ParamSpec("P")
R = TypeVar("R")


def as_task(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step as a task of the current flow run."""
    record = task(name=function.__name__.replace("_", "-"), cache_policy=NO_CACHE, persist_result=False)
    result: R = record(function)(*args, **kwargs)
    return result


def last_month() -> str:
    """The month before the current one, UTC: what a scheduled run bills when no period is given."""
    return month_before(month_of(datetime.now(UTC).date()))


@flow(name="monthly-billing", flow_run_name="monthly-billing {period}", validate_parameters=True)
def monthly_billing(
    period: str | None = None,
    exports: str | None = None,
    dry_run: bool = False,
    approve: bool = False,
    all_prices: bool = False,
) -> dict[str, Any]:
    """Reconcile a month, load it to HaloPSA and mark it billed unless something blocks.

    Args:
        period: YYYY-MM; the last month when empty.
        exports: folder with the partner exports; the setting when empty.
        dry_run: stop before HaloPSA.
        approve: mark as billed although findings of severity block are open.
        all_prices: post the whole price list, not only the products seen in lines.
    """
    summary = billing.bill_month(
        load_settings(exports=exports),
        period or last_month(),
        dry_run=dry_run,
        approve=approve,
        all_prices=all_prices,
        step=as_task,
    )
    return _recorded(summary)


@flow(name="reconcile", flow_run_name="reconcile {period}", validate_parameters=True)
def reconcile(
    period: str | None = None,
    exports: str | None = None,
    customers: list[str] | None = None,
    invoices: list[str] | None = None,
) -> dict[str, Any]:
    """Reconcile a month, or some customers or invoices of it, without any HaloPSA write."""
    scope = billing.Scope(tuple(customers or ()), tuple(invoices or ()))
    settings = load_settings(exports=exports)
    return _recorded(billing.reconcile_month(settings, period or last_month(), scope, step=as_task))


@flow(name="load", flow_run_name="load {run_id}", validate_parameters=True)
def load(run_id: str, all_prices: bool = False) -> dict[str, Any]:
    """Load a stored run to HaloPSA; what is there already is not sent again."""
    return _recorded(billing.load_stored_run(load_settings(), run_id, all_prices=all_prices, step=as_task))


def _recorded(summary: billing.RunSummary) -> dict[str, Any]:
    """Log the outcome; a run that HaloPSA failed is a failed flow run."""
    logger = get_run_logger()
    for notice in summary.notices:
        logger.warning(notice)
    logger.info(
        "run %s: %s, %d lines, %d findings (%d blocking)",
        summary.run_id, summary.status, summary.lines, sum(summary.findings.values()), summary.blocking,
    )  # fmt: skip
    if summary.error:
        raise RemoteError(summary.error)
    return summary.to_dict()
