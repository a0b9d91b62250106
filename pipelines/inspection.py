"""Commands that only look: identify files, list findings, examine the set-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.exports.identify import Identity, identify
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.lines import read_stored_line
from connectors.warehouse.migrations import ensure_current, status
from connectors.warehouse.runs import get_run, last_run, latest_run, read_findings
from pipelines.integrations import expiring_notice
from pipelines.loading import open_halo
from pipelines.scope import finding_codes
from pipelines.settings import Settings, load_settings
from transforms.errors import BillingError, InputError, RemoteError
from transforms.explanation import explain_line
from transforms.periods import parse_period
from transforms.policy import parse_policy

IDENTITY_COLUMNS = ["path", "kind", "rows", "period", "invoices", "currency", "problem"]

#: What of a finding fits on a screen; `--json` and the view out_findings have everything.
FINDING_COLUMNS = ["code", "severity", "invoice_number", "customer_name", "line_id", "expected_amount", "actual_amount",
                   "difference_amount", "currency", "message"]  # fmt: skip

#: How long an examination waits for what it can do without.
_PATIENCE_SECONDS = 5

#: What is said of the other lines of a line's event.
EVENT_COLUMNS = ["line_id", "charge_type", "charge_start_date", "charge_end_date", "billable_quantity",
                 "effective_unit_price", "subtotal", "currency"]  # fmt: skip


def identify_paths(paths: list[Path]) -> list[Identity]:
    """What every file is; folders are looked into, and a file named twice is looked at once.

    Raises:
        InputError: a path does not exist.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InputError(f"there is no {', '.join(missing)}")
    files: dict[Path, None] = {}
    for path in paths:
        inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        files |= dict.fromkeys(inside)
    return [identity for file in files for identity in identify(file)]


def list_findings(
    settings: Settings, run_id: str | None, period: str | None, codes: list[str]
) -> list[dict[str, Any]]:
    """Findings of a run, of a period's latest run, or of the run made last: rows of the findings table.

    Raises:
        InputError: there is no such run, or no such finding code.
    """
    codes = list(finding_codes(codes))
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        if run_id is not None:
            run: dict[str, Any] | None = get_run(connection, run_id)
        elif period is not None:
            run = latest_run(connection, parse_period(period))
        else:
            run = last_run(connection)
        if run is None:
            wanted = f"of period {period} " if period else ""
            raise InputError(f"there is no run {wanted}yet: make one with `csp-billing reconcile --period YYYY-MM`")
        found: list[dict[str, Any]] = read_findings(connection, run["run_id"], codes).to_pylist()
    return found


def explain(settings: Settings, line_id: str) -> dict[str, Any]:
    """A line with its source row, price row, every rule with its figures, its event, findings and postings.

    Raises:
        InputError: there is no such line.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        stored = read_stored_line(connection, line_id)
    policy = parse_policy(stored.run["policy"], "of the run")
    codes = {finding["code"] for finding in stored.findings}
    return {
        "line_id": line_id,
        "run_id": stored.run["run_id"],
        "period": stored.run["period"],
        "source": f"{stored.line['source_file']} row {stored.line['source_row']}",
        "rules": [vars(rule) for rule in explain_line(stored.line, stored.source, stored.price, policy, codes)],
        "event": [{name: row[name] for name in EVENT_COLUMNS} for row in stored.event],
        "findings": stored.findings,
        "halopsa": stored.postings,
        "line": stored.line,
        "price": stored.price,
    }


@dataclass(frozen=True)
class Examination:
    """Settings with secrets masked, and the state of each part; the exit code is the worst part's."""

    settings: dict[str, str]
    states: list[tuple[str, str]]
    exit_code: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `doctor`."""
        return {"settings": self.settings, **dict(self.states), "exit_code": self.exit_code}


def examine(settings: Settings) -> Examination:
    """Check policy, exports folder, warehouse and HaloPSA, each by itself."""
    states: list[tuple[str, str]] = []
    worst = 0
    checks = {
        "policy": _policy_state,
        "exports": _exports_state,
        "warehouse": _warehouse_state,
        "halopsa": _halo_state,
    }
    for part, check in checks.items():
        try:
            states.append((part, check(settings)))
        except BillingError as error:
            states.append((part, f"problem: {error}"))
            worst = max(worst, error.exit_code)
    return Examination(settings.masked(), states, worst)


def open_configured_warehouse() -> Warehouse:
    """The warehouse that the settings name."""
    return open_warehouse(load_settings().warehouse)


def _policy_state(settings: Settings) -> str:
    policy = settings.read_policy()
    return f"{settings.policy or 'built in'}, digest {policy.digest[:12]}"


def _exports_state(settings: Settings) -> str:
    folder = Path(settings.exports)
    if not folder.exists():
        raise InputError(f"there is no folder {folder}; create it or set CSP_BILLING_EXPORTS")
    return f"{sum(1 for one in folder.rglob('*') if one.is_file())} files in {folder}"


def _warehouse_state(settings: Settings) -> str:
    found = status(open_warehouse(settings.warehouse))
    if found.is_current:
        return f"ready, version {found.head}"
    return "not set up yet; the first run does it" if found.current is None else "needs `csp-billing warehouse upgrade`"


def _halo_state(settings: Settings) -> str:
    open_halo(settings).log_in()
    state = f"logged in to {settings.halo_url}"
    try:
        notice = expiring_notice(open_halo(settings, patience=_PATIENCE_SECONDS), datetime.now(UTC))
    except RemoteError as error:
        # Who only bills with HaloPSA needs none of them.
        return f"{state}; its Microsoft subscriptions cannot be read: {error}"
    return f"{state}; {notice}: see `csp-billing subscriptions list`" if notice else state
