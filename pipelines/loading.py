"""Load a stored run to HaloPSA, and mark it as billed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.halopsa.billed import mark_billed
from connectors.halopsa.client import HaloClient
from connectors.halopsa.connection import normal_base_url
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.listing import some
from connectors.halopsa.load import load
from connectors.halopsa.plan import AbsentInvoice, HaloLoadSettings, LoadCounts, LoadPlan, MarkCounts, VoidedLines
from connectors.reports.amounts import counted, verb
from connectors.warehouse.customers import read_clients
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.lines import read_latest_lines
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.progress import count_billed_lines
from connectors.warehouse.runs import get_run, latest_run, read_run_files, record_load, set_status
from connectors.warehouse.sources import (
    read_charged_customers,
    read_invoices,
    read_invoices_elsewhere,
    read_lines_of_invoices,
    read_price_lists,
)
from pipelines.approval import hindrance, standing
from pipelines.progress import tell_progress
from pipelines.settings import PREFIX, Settings
from transforms.billed_lines import BilledLine, billed_line_changes
from transforms.categories import categorise
from transforms.customer_checks import clients_of_invoices
from transforms.documents import voided_invoices
from transforms.errors import InputError, SettingsError
from transforms.findings import findings_table

#: Longer than HaloPSA's five-minute window.
PATIENCE_SECONDS = 600

_NO_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class StepCounts:
    """How much a step did in HaloPSA, sentences about it for the user, and one about what it could not do."""

    counts: dict[str, int]
    notices: tuple[str, ...] = ()
    error: str | None = None


def open_halo(
    settings: Settings,
    what: str = "loading",
    instead: str = ", or use --dry-run to reconcile only",
    patience: int = PATIENCE_SECONDS,
) -> HaloClient:
    """A client of the HaloPSA that the settings name.

    Args:
        settings: name it.
        what: what needs it, and
        instead: what can be done without it, for the message.
        patience: seconds that temporary failures are waited out.

    Raises:
        SettingsError: the address or the credentials are not set.
    """
    secret = settings.halo_client_secret.get_secret_value()
    needed = {"HALO_URL": settings.halo_url, "HALO_CLIENT_ID": settings.halo_client_id, "HALO_CLIENT_SECRET": secret}
    missing = [f"{PREFIX}{name}" for name, value in needed.items() if not value]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} not set: {what} needs a HaloPSA (set it in the environment or in .env){instead}"
        )
    return HaloClient(
        settings.halo_url, settings.halo_client_id, secret, tenant=settings.halo_tenant or None,
        rate=settings.halo_rate, patience=patience,
    )  # fmt: skip


def log_in(settings: Settings) -> HaloClient:
    """A client for other work than loading, logged in, so that wrong credentials show before any of it is done."""
    client = open_halo(settings, "this", "")
    client.log_in()
    return client


def load_run(
    settings: Settings, run_id: str, *, all_prices: bool = False, resend_prices: bool = False
) -> StepCounts:
    """Post a run's prices, invoices and lines; what is there already and unchanged is not sent again.

    Prices whose outcome is not known, or that a restored ledger does not know, are sent only with `resend_prices`.

    Raises:
        InputError, SettingsError: see `build_plan`.
        RemoteError: HaloPSA failed; repeating continues where it stopped.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    tell_progress("reading the run")
    plan = build_plan(warehouse, settings, run_id)
    client = open_halo(settings)
    ledger = Ledger(warehouse, client.base_url)
    counts = load(client, ledger, plan, _load_settings(settings, all_prices, resend_prices), tell_progress)
    _record_load(warehouse, settings, plan, counts.billed_changed)
    loaded = {"prices": counts.prices, "invoices": counts.invoices, "lines": counts.lines}
    error = counts.missing and f"{counts.missing}; mend it there or in the exports, then load the run again"
    return StepCounts(loaded, tuple(_load_notices(counts, run_id)), error)


def mark_run(settings: Settings, run_id: str) -> StepCounts:
    """Mark a run's lines and invoices as billed in HaloPSA, read both back, and record the run as billed.

    Raises:
        InputError: findings of severity block are open and nobody approved the run, somebody rejected it, or it is not
            loaded, so that nobody knows yet whether something billed has changed.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        found = standing(connection, run)
    if not found.is_cleared:
        raise InputError(hindrance(run_id, found))
    tell_progress("reading the run")
    plan = build_plan(warehouse, settings, run_id)
    if run["status"] == "reconciled":
        raise InputError(f"run {run_id} is not loaded yet: load it with `csp-billing load {run_id}`")
    client = open_halo(settings)
    ledger = Ledger(warehouse, client.base_url)
    counts = mark_billed(client, ledger, plan, _load_settings(settings, all_prices=False), tell_progress)
    with warehouse.begin() as connection:
        set_status(connection, run_id, "billed", datetime.now(UTC))
    return StepCounts({"invoices": counts.invoices, "lines": counts.lines}, tuple(_mark_notices(counts)))


def _mark_notices(counts: MarkCounts) -> list[str]:
    """What stays unmarked, though the run is billed."""
    if not (count := len(counts.unmarked)):
        return []
    numbers = ", ".join(counts.unmarked[:5]) + (f" and {count - 5} more" if count > 5 else "")
    told = f"{numbers} have no line in HaloPSA, which therefore does not call them billed"
    return [f"{'invoice' if count == 1 else 'invoices'} {verb(told, count)}"]


def _load_notices(counts: LoadCounts, run_id: str) -> list[str]:
    """What a load did beyond posting, in sentences; nothing where there is nothing to say."""
    sentences = {
        "adopted": ("record was in HaloPSA already and is taken over", "records were in HaloPSA already and are taken "
                    "over"),
        "cut": ("value was cut to HaloPSA's limits", "values were cut to HaloPSA's limits"),
        "rounded": ("number was", "numbers were"),
        "rejected": ("record was", "records were"),
        "held": ("line is held back because its invoice is not in HaloPSA", "lines are held back because their "
                 "invoices are not in HaloPSA"),
        "unknown_prices": ("price", "prices"),
    }  # fmt: skip
    more = {
        "cut": f": `csp-billing cut-values {run_id}` lists them",
        "rounded": " sent with the decimals that HaloPSA keeps",
        "rejected": " refused by HaloPSA or its limits; `csp-billing warehouse query \"select * from out_halo_load "
        "where state = 'rejected'\"` says why",
        "unknown_prices": " not sent that may be in HaloPSA, which has no list of them: look there, then `csp-billing "
        f"load {run_id} --resend-prices` sends them",
    }
    told = [
        f"{counted(count, *words)}{more.get(name, '')}"
        for name, words in sentences.items()
        if (count := getattr(counts, name))
    ]
    told += [_voided_notice(each) for each in counts.voided]
    return told + [_absent_notice(each) for each in counts.absent]


def _voided_notice(lines: VoidedLines) -> str:
    """What a person has to do about an invoice that was voided after its lines were posted."""
    told = f"invoice {lines.invoice} (haloid {lines.halo_id}) is void, and lines of it were posted before it was: "
    todo = []
    if lines.unbilled:
        count = len(lines.unbilled)
        todo.append(f"{count} {verb('are not billed, delete them', count)} in HaloPSA (ids {some(lines.unbilled)})")
    if lines.billed:
        count = len(lines.billed)
        ids = some(line.halo_id for line in lines.billed)
        todo.append(f"{count} {verb('are', count)} billed, credit who was charged (ids {ids})")
    return told + " and ".join(todo)


def _absent_notice(invoice: AbsentInvoice) -> str:
    """What a person has to do about an invoice that was posted and is not delivered any more."""
    billed = {0: "none", invoice.lines: "all"}.get(invoice.billed, str(invoice.billed))
    return (
        f"invoice {invoice.number} is not among the exports any more, and {counted(invoice.lines, 'line')} of it "
        f"{verb('are', invoice.lines)} in HaloPSA, {billed} billed: deliver it again, or credit what was billed"
    )


def _record_load(warehouse: Warehouse, settings: Settings, plan: LoadPlan, billed: Sequence[BilledLine]) -> None:
    """Record that the run is loaded, with BILLED_LINE_CHANGED findings for these lines."""
    ids = {line.line_id for line in billed if line.line_id is not None}
    with warehouse.begin() as connection:
        lines = read_latest_lines(connection, plan.period, ids)
        rows = findings_table(billed_line_changes(billed, lines), settings.read_policy())
        record_load(connection, plan.run_id, rows, datetime.now(UTC))


def build_plan(warehouse: Warehouse, settings: Settings, run_id: str) -> LoadPlan:
    """What of a run belongs in HaloPSA.

    Invoices: the period's documents. Lines: those of a document that is not voided; for Azure-plan charges either
    the invoice's lines or the daily usage rows, as the setting HALO_USAGE says, never both. Prices: the lists that
    the run was made with.

    Raises:
        InputError: there is no such run, or a later one of its period has replaced it.
        SettingsError: the other kind of lines is billed for Azure-plan charges of the period.
    """
    with warehouse.read() as connection:
        run = get_run(connection, run_id)
        latest = latest_run(connection, run["period"])
        if latest is None or latest["run_id"] != run_id:
            newer = f"; run {latest['run_id']} replaced it" if latest else ""
            raise InputError(f"run {run_id} is not the latest full run of period {run['period']}{newer}: load that one")
        documents = read_invoices(connection, run["period"])
        live = sorted(set(documents.column("invoice_number").to_pylist()) - voided_invoices(documents))
        recon = read_lines_of_invoices(connection, "invoice_recon", run["period"], live)
        daily = settings.halo_usage == "daily"
        usage = read_lines_of_invoices(connection, "daily_usage", run["period"], live if daily else ())
        prices = read_price_lists(connection, _price_files(connection, run_id))
        clients = clients_of_invoices(read_charged_customers(connection, run["period"]), read_clients(connection))
        elsewhere = read_invoices_elsewhere(connection, run["period"])
        replaced = None
        if daily:
            azure_plan = pa.array(categorise(recon).azure_plan)
            replaced = recon.filter(azure_plan).column("line_id").to_pylist()
            recon = recon.filter(pc.invert(azure_plan))
        _check_usage(connection, settings, run["period"], replaced)
    return LoadPlan(run_id, run["period"], _oldest_first(prices), documents, recon, usage, clients, elsewhere)


def _check_usage(connection: Any, settings: Settings, period: str, replaced: list[str] | None) -> None:
    """Raise SettingsError where HALO_USAGE was changed after charges were billed: they would be billed twice.

    `replaced` are the lines that usage stands for; None where they stand for all usage of the period.
    """
    if not settings.halo_url:
        return
    url = normal_base_url(settings.halo_url)
    if billed := count_billed_lines(connection, url, period, replaced):
        before = "daily" if replaced is None else "aggregate"
        raise SettingsError(
            f"{PREFIX}HALO_USAGE is {settings.halo_usage}, but {counted(billed, 'line')} for Azure-plan charges of "
            f"{period} {verb('are', billed)} billed in {url} as {before} has them, and would be billed again: set it "
            f"to {before} for this period"
        )


def _oldest_first(prices: pa.Table) -> pa.Table:
    """Price lists by age, which the newest effective start in each tells: of equal rows the last is posted."""
    newest = prices.group_by("file_sha256").aggregate([("effective_start_date", "max")])
    age = dict(zip(newest.column("file_sha256").to_pylist(), newest.column("effective_start_date_max").to_pylist(),
                   strict=True))  # fmt: skip
    ranks = {sha: rank for rank, sha in enumerate(sorted(age, key=lambda sha: (age[sha] or _NO_START, sha)))}
    column = pa.array([ranks[sha] for sha in prices.column("file_sha256").to_pylist()], pa.int64())
    ordered = prices.append_column("age", column).sort_by([("age", "ascending"), ("source_row", "ascending")])
    return ordered.drop_columns("age")


def _price_files(connection: Any, run_id: str) -> list[str]:
    files = read_run_files(connection, run_id)
    return [row["file_sha256"] for row in files.to_pylist() if row["kind"] == "price_list"]


def _load_settings(settings: Settings, all_prices: bool, resend_prices: bool = False) -> HaloLoadSettings:
    return HaloLoadSettings(
        csp_tenant_id=settings.halo_csp_tenant_id,
        line_type=settings.halo_line_type,
        usage_type=settings.halo_usage_type,
        all_prices=all_prices,
        resend_unknown_prices=resend_prices,
    )
