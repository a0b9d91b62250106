"""Commands that only look at what is stored: list findings, explain a line."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from connectors.warehouse.copies import copy_of
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, last_run, latest_run, read_findings
from connectors.warehouse.waivers import list_waivers
from pipelines.scope import finding_codes
from pipelines.settings import Settings
from transforms.addresses import masked
from transforms.errors import InputError
from transforms.periods import parse_period
from transforms.policy import parse_policy

#: What of a finding fits on a screen; `--json` and the view out_findings have everything.
FINDING_COLUMNS = ["finding_id", "code", "severity", "waived_until", "invoice_number", "customer_name", "line_id",
                   "expected_amount", "actual_amount", "difference_amount", "currency", "message"]  # fmt: skip

#: What is said of the other lines of a line's event.
EVENT_COLUMNS = ["line_id", "charge_type", "charge_start_date", "charge_end_date", "billable_quantity",
                 "effective_unit_price", "subtotal", "currency"]  # fmt: skip


def list_findings(
    settings: Settings, run_id: str | None, period: str | None, codes: list[str]
) -> list[dict[str, Any]]:
    """Findings of a run, of a period's latest run, or of the run made last: rows of the findings table.

    Each with `waived_by`, `waived_until` and `waiver_reason`, which are empty where no waiver is in force today.

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
        return _with_waivers(connection, run["period"], read_findings(connection, run["run_id"], codes).to_pylist())


def explain(settings: Settings, line_id: str) -> dict[str, Any]:
    """A line with its source row, the untouched copy of its file, price row, rules, event, findings and postings.

    Raises:
        InputError: there is no such line.
    """
    # Every rule comes along with these, and with the rules pandas, which listing findings does not need.
    from connectors.warehouse.lines import read_stored_line
    from transforms.explanation import explain_line

    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        stored = read_stored_line(connection, line_id)
        findings = _with_waivers(connection, stored.run["period"], stored.findings)
        copy = copy_of(connection, stored.source["file_sha256"], stored.source["source_file"])
    policy = parse_policy(stored.run["policy"], "of the run")
    codes = {finding["code"] for finding in findings}
    return {
        "line_id": line_id,
        "run_id": stored.run["run_id"],
        "period": stored.run["period"],
        "source": f"{stored.line['source_file']} row {stored.line['source_row']}",
        "copy": {**copy, "zone": masked(settings.landing_location)} if copy else None,
        "rules": [vars(rule) for rule in explain_line(stored.line, stored.source, stored.price, policy, codes)],
        "event": [{name: row[name] for name in EVENT_COLUMNS} for row in stored.event],
        "findings": findings,
        "halopsa": stored.postings,
        "line": stored.line,
        "price": stored.price,
    }


def _with_waivers(connection: sa.Connection, period: str, findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings of a period with the waiver that is in force for each; of several the one that holds longest."""
    in_force = sorted(list_waivers(connection, period, "in_force"), key=lambda waiver: waiver["valid_until"])
    waivers = {waiver["finding_id"]: waiver for waiver in in_force}
    names = {"waived_by": "waived_by", "waived_until": "valid_until", "waiver_reason": "reason"}
    return [
        {**finding, **{name: waivers.get(finding["finding_id"], {}).get(source) for name, source in names.items()}}
        for finding in findings
    ]
