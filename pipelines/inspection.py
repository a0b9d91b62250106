"""Commands that only look at what is stored: list findings, explain a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.approvals import last_decision
from connectors.warehouse.copies import copy_of
from connectors.warehouse.customers import namesakes
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, last_run, latest_run, read_findings
from connectors.warehouse.waivers import list_waivers
from pipelines.approval import decided_by
from pipelines.scope import finding_codes
from pipelines.settings import Settings
from transforms.addresses import masked
from transforms.errors import InputError
from transforms.periods import parse_period
from transforms.policy import SEVERITY_ORDER, parse_policy

#: How much of an id has to be written at least.
_LEAST_DIGITS = 6

#: What is said of the other lines of a line's event.
EVENT_COLUMNS = ["line_id", "charge_type", "charge_start_date", "charge_end_date", "billable_quantity",
                 "effective_unit_price", "subtotal", "currency"]  # fmt: skip


@dataclass(frozen=True)
class FindingList:
    """Findings of a run.

    Attributes:
        run: the run, by column name of RUNS.
        findings: rows of the findings table, each with `waived_by`, `waived_until` and `waiver_reason`, which are empty
            where no waiver is in force today.
        later_part: the run that was made after it, of a part of a period; None where there is none.
        namesakes: customers' names that several customers of the run have.
        decision: who decided what about the run's content, in words; empty where nobody has.
    """

    run: dict[str, Any]
    findings: list[dict[str, Any]]
    later_part: dict[str, Any] | None
    namesakes: frozenset[str]
    decision: str


def list_findings(
    settings: Settings,
    run_id: str | None,
    period: str | None,
    codes: Sequence[str] = (),
    severities: Sequence[str] = (),
    *,
    only_open: bool = False,
) -> FindingList:
    """Findings of a run, of a period's latest run, or of the run of a whole period that was made last.

    Where there are only runs of parts of periods, the last of these stands for them.

    Args:
        settings: name the warehouse.
        run_id: the run, or
        period: the period.
        codes: only these finding codes.
        severities: only these severities.
        only_open: leave out what is waived.

    Raises:
        InputError: there is no such run, or no such finding code.
    """
    codes = list(finding_codes(codes))
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        later_part = None
        if run_id is not None:
            run: dict[str, Any] | None = get_run(connection, run_id)
        elif period is not None:
            run = latest_run(connection, parse_period(period))
        else:
            last = last_run(connection)
            run = last_run(connection, full=True) or last
            later_part = last if last and run and last["run_id"] != run["run_id"] and last["scope"] else None
        if run is None:
            wanted = f"of period {period} " if period else ""
            raise InputError(f"there is no run {wanted}yet: make one with `csp-billing reconcile --period YYYY-MM`")
        rows = read_findings(connection, run["run_id"], codes, severities or SEVERITY_ORDER).to_pylist()
        found = _with_waivers(connection, run["period"], rows)
        names = {row["customer_name"] for row in rows if row["customer_name"]}
        decision = last_decision(connection, run)
        return FindingList(
            run,
            [row for row in found if not (only_open and row["waived_by"])],
            later_part,
            namesakes(connection, names, run["run_id"]),
            decided_by(decision, run["run_id"]) if decision else "",
        )


def explain(settings: Settings, given: str) -> dict[str, Any]:
    """A line with its source row, the untouched copy of its file, price row, rules, event, findings and postings.

    Of a finding about no line, such as one about an invoice, the finding alone.

    Args:
        settings: name the warehouse.
        given: the id of the line, or of a finding, or what either begins with.

    Raises:
        InputError: there is no such line or finding, or there are several.
    """
    # Every rule comes along with these, and with the rules pandas, which listing findings does not need.
    from connectors.warehouse.lines import find_named, read_stored_line
    from transforms.explanation import explain_line

    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        named = find_named(connection, identity(given, "line and no finding", "line_id or finding_id"))
        line_id = named.line_id
        if line_id is None and named.finding is not None:
            finding = named.finding
            (waivable,) = _with_waivers(connection, finding["period"], [finding])
            return {"finding_id": finding["finding_id"], "findings": [waivable], **_help(finding["code"])}
        stored = read_stored_line(connection, str(line_id))
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


def _help(code: str) -> dict[str, str]:
    from transforms.finding_help import FINDING_HELP

    return FINDING_HELP[code]._asdict()


def identity(given: str, what: str, name: str) -> str:
    """An id, or what it begins with, as ids are spelt; raises InputError where it cannot be one."""
    text = given.strip().lower()
    if len(text) < _LEAST_DIGITS or set(text) - set("0123456789abcdef"):
        raise InputError(f"{given} is no {what}: write its {name}, or the first digits of it, {_LEAST_DIGITS} at least")
    return text


def _with_waivers(connection: sa.Connection, period: str, findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings of a period with the waiver that is in force for each; of several the one that holds longest."""
    in_force = sorted(list_waivers(connection, period, "in_force"), key=lambda waiver: waiver["valid_until"])
    waivers = {waiver["finding_id"]: waiver for waiver in in_force}
    names = {"waived_by": "waived_by", "waived_until": "valid_until", "waiver_reason": "reason"}
    return [
        {**finding, **{name: waivers.get(finding["finding_id"], {}).get(source) for name, source in names.items()}}
        for finding in findings
    ]
