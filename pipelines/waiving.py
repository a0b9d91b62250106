"""Waivers: single findings that somebody accepts until a day, with a reason. They stay listed, and do not block.

A waiver is for a finding with its figures. It holds for every run that comes to the same finding again; when an amount
changes it is another finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from connectors.warehouse import waivers
from connectors.warehouse.customers import namesakes
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from pipelines.inspection import identity
from pipelines.people import person, recorder, remark
from pipelines.settings import Settings
from transforms.errors import InputError
from transforms.periods import parse_period

#: What of a waiver fits on a screen; `--json` and the view out_waivers have everything.
WAIVER_COLUMNS = ["waiver_id", "finding_id", "period", "code", "invoice_number", "customer_name", "actual_amount",
                  "currency", "reason", "waived_by", "valid_until", "state", "is_found"]  # fmt: skip


def add_waivers(
    settings: Settings, finding_ids: Sequence[str], *, reason: str, by: str, until: str
) -> list[dict[str, Any]]:
    """Waive findings of the latest runs, all or none of them.

    Args:
        settings: name the warehouse.
        finding_ids: their ids, or what these begin with.
        reason: why.
        by: who waives them.
        until: last day, YYYY-MM-DD, UTC.

    Returns:
        The waivers, by column name of OUT_WAIVERS.

    Raises:
        InputError: a finding, the day, the name or the reason cannot be used; nothing is waived.
    """
    by, reason, now = person(by), remark(reason, "the reason"), datetime.now(UTC)
    valid_until = _last_day(until, now.date())
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.begin() as connection:
        found = [waivers.latest_finding(connection, identity(given, "finding", "finding_id")) for given in finding_ids]
        granted = {
            waivers.grant(
                connection, finding, by=by, reason=reason, valid_until=valid_until, recorded_by=recorder(), at=now
            )
            for finding in found
        }
        return [waiver for waiver in waivers.list_waivers(connection) if waiver["waiver_id"] in granted]


def end_waiver(settings: Settings, waiver_id: str, *, by: str, reason: str) -> dict[str, Any]:
    """End a waiver before its last day, and return it; what it waived blocks again.

    Raises:
        InputError: there is no such waiver, its last day is over, or the name or reason cannot be used.
    """
    by, reason = person(by), remark(reason, "the reason")
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.begin() as connection:
        waivers.end(connection, waiver_id, by=by, reason=reason, recorded_by=recorder(), at=datetime.now(UTC))
        return next(one for one in waivers.list_waivers(connection) if one["waiver_id"] == waiver_id)


def list_waivers(settings: Settings, period: str | None, *, every: bool) -> list[dict[str, Any]]:
    """The waivers that are in force, or every one, of a period or of all, by column name of OUT_WAIVERS."""
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        return waivers.list_waivers(
            connection, parse_period(period) if period else None, None if every else "in_force"
        )


def with_tenants(settings: Settings, listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Waivers as they are shown: customers' names with the beginning of their tenant where several have that name."""
    from pipelines.finding_list import with_tenant

    with open_warehouse(settings.warehouse).read() as connection:
        shared = namesakes(connection, {row["customer_name"] for row in listed if row["customer_name"]})
    return [{**row, "customer_name": with_tenant(row["customer_name"], row["customer_id"], shared)} for row in listed]


def _last_day(text: str, today: date) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InputError(f"--until {text} is no day: write it as YYYY-MM-DD") from None
    if day < today:
        raise InputError(f"--until {day} is over: a waiver holds until today, {today} UTC, or a later day")
    return day
