"""A month's billing, step by step: extract, reconcile, store, load, mark.

One description of the steps serves the command line and Prefect: each step goes through `step`, which by default
simply calls it, and inside a flow runs it as a Prefect task (`pipelines.flows`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ParamSpec, Protocol, TypeVar

import pyarrow as pa

from connectors.warehouse.changes import count_changes, first_changes
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, read_findings, set_status, write_run
from pipelines.extract import Extraction, extract
from pipelines.loading import load_run, mark_run, open_halo
from pipelines.scope import Scope
from pipelines.settings import Settings
from pipelines.version import code_version
from transforms.errors import InputError, RemoteError
from transforms.findings import count_codes
from transforms.periods import parse_period
from transforms.policy import Policy
from transforms.reconcile import Reconciliation, reconcile
from transforms.tables import FINDINGS, INVOICE_TIEOUT, LINES

P = ParamSpec("P")
R = TypeVar("R")


#: How many changes a summary names; the view has them all.
SHOWN_CHANGES = 20


class Step(Protocol):
    """How a step is run."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function` with these arguments and return what it returns."""
        ...


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step in this process, unrecorded."""
    return function(*args, **kwargs)


@dataclass(frozen=True)
class RunSummary:
    """What a run did, as the contract prints it.

    `changes` counts lines and findings that are new, gone or changed since the period's last run, `changed` has the
    first of them; `notices` and `error` are sentences for the user.
    """

    run_id: str
    period: str
    status: str
    lines: int
    invoices: int
    findings: dict[str, int]
    blocking: int
    loaded: dict[str, int] = field(default_factory=lambda: {"prices": 0, "invoices": 0, "lines": 0})
    marked: dict[str, int] = field(default_factory=lambda: {"invoices": 0, "lines": 0})
    warehouse: str = ""
    seconds: int | float = 0
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: tuple[dict[str, Any], ...] = ()
    notices: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `run` and `reconcile`."""
        document = asdict(self)
        if self.error is None:
            del document["error"]
        return document


def reconcile_month(settings: Settings, period: str, scope: Scope | None = None, step: Step = call) -> RunSummary:
    """Extract, reconcile and store a period, without any HaloPSA write.

    Raises:
        InputError, SettingsError, WarehouseError: nothing was done.
    """
    began = time.monotonic()
    scope = scope or Scope()
    policy = settings.read_policy()
    parse_period(period)
    ensure_current(open_warehouse(settings.warehouse))
    started_at = datetime.now(UTC)
    extraction = step(extract, settings, period)
    result = step(reconcile, extraction.rows, policy)
    summary = step(store, settings, extraction, result, policy, scope, started_at)
    return replace(summary, seconds=_seconds(began))


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
    summary = reconcile_month(settings, period, step=step)
    try:
        summary = _load_and_mark(settings, summary, approve, all_prices, step)
    except RemoteError as error:
        summary = replace(summary, status="failed", error=str(error))
    return replace(summary, seconds=_seconds(began))


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


def store(
    settings: Settings,
    extraction: Extraction,
    result: Reconciliation,
    policy: Policy,
    scope: Scope,
    started_at: datetime,
) -> RunSummary:
    """Write a run in one transaction: its source rows, lines, findings and tie-out; an ad hoc run only its results."""
    period, run_id = extraction.period, new_run_id(extraction.period, started_at)
    result = scope.limit(result)
    lines, findings, tieout = result.lines, result.findings, result.tieout
    if not scope.is_full and not scope.codes and not lines.num_rows and not findings.num_rows and not tieout.num_rows:
        raise InputError(f"period {period} has no line of these customers and invoices: check --customer and --invoice")
    own = extraction.rows
    files = extraction.land(settings.home)
    warehouse = open_warehouse(settings.warehouse)
    run = {
        "run_id": run_id,
        "period": period,
        "status": "reconciled",
        "scope": scope.to_json(),
        "started_at": started_at,
        "finished_at": datetime.now(UTC),
        "code_version": code_version(),
        "policy_digest": policy.digest,
        "policy": policy.to_json(),
        "content_digest": result.content_digest,
        "line_count": lines.num_rows,
        "invoice_count": own.invoices.num_rows,
        "blocking_count": result.blocking,
    }
    sources = {
        "invoice_recon": own.recon,
        "daily_usage": own.usage,
        "invoices": own.invoices,
        "price_list": extraction.delivered_prices,
    }
    with warehouse.begin() as connection:
        write_run(
            connection,
            run,
            files,
            extraction.run_files(run_id),
            sources if scope.is_full else None,
            own.rejected,
            _of_run(LINES.conform, lines, run_id, period),
            _of_run(FINDINGS.conform, findings, run_id, period),
            _of_run(INVOICE_TIEOUT.conform, tieout, run_id, period),
        )
        changes = count_changes(connection, run_id) if scope.is_full else {}
        changed = first_changes(connection, run_id, SHOWN_CHANGES) if changes else []
    return RunSummary(
        run_id, period, "reconciled", lines.num_rows, own.invoices.num_rows, count_codes(findings),
        result.blocking, warehouse=warehouse.url_masked, notices=tuple(extraction.notices), changes=changes,
        changed=tuple(changed),
    )  # fmt: skip


def new_run_id(period: str, started_at: datetime) -> str:
    """A run's id: its period, when it started, and four random digits for two runs of one second."""
    return f"{period}-{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def load_stored_run(settings: Settings, run_id: str, *, all_prices: bool = False, step: Step = call) -> RunSummary:
    """Load a stored run to HaloPSA; what is there already is not sent again."""
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    open_halo(settings).log_in()
    loaded = step(load_run, settings, run_id, all_prices=all_prices)
    summary = _refreshed(settings, summary)
    status = "billed" if summary.status == "billed" else "loaded"
    _set_status(settings, run_id, status)
    return replace(summary, status=status, loaded=loaded.counts, notices=loaded.notices, seconds=_seconds(began))


def mark_stored_run(settings: Settings, run_id: str, *, approve: bool = False, step: Step = call) -> RunSummary:
    """Mark a loaded run's lines and invoices as billed.

    Raises:
        InputError: findings of severity block are open and the run is not approved, or it is not loaded.
    """
    began = time.monotonic()
    summary = stored_summary(settings, run_id)
    marked = step(mark_run, settings, run_id, approve=approve)
    return replace(summary, status="billed", marked=marked.counts, seconds=_seconds(began))


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


def _refreshed(settings: Settings, summary: RunSummary) -> RunSummary:
    """The summary with what loading added to the findings."""
    stored = stored_summary(settings, summary.run_id)
    return replace(summary, status=stored.status, findings=stored.findings, blocking=stored.blocking)


def _set_status(settings: Settings, run_id: str, status: str) -> None:
    with open_warehouse(settings.warehouse).begin() as connection:
        set_status(connection, run_id, status, datetime.now(UTC))


def _of_run(conform: Callable[[pa.Table], pa.Table], rows: pa.Table, run_id: str, period: str) -> pa.Table:
    """Rows with their run and period, as their table wants them."""
    count = rows.num_rows
    with_run = rows.append_column("run_id", pa.repeat(pa.scalar(run_id), count))
    return conform(with_run.append_column("period", pa.repeat(pa.scalar(period), count)))


def _seconds(began: float) -> int | float:
    return round(time.monotonic() - began, 2)
