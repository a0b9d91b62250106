"""Decisions about runs and waivers of findings: rows are only added, the last word counts, days end at midnight UTC."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.warehouse.approvals import APPROVED, REJECTED, decided_content, last_decision, record_decision
from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.migrations import run_revisions, upgrade
from connectors.warehouse.runs import get_run, record_load
from connectors.warehouse.schema import sql_table
from connectors.warehouse.views import drop_views
from connectors.warehouse.waivers import count_blocking, end, grant, latest_finding, list_waivers
from tests.warehouse.rows import NOON, row, rows
from transforms.errors import InputError
from transforms.tables import APPROVALS, FINDINGS, RUNS, WAIVERS

_RUN = {"run_id": "r", "period": "2026-03", "status": "reconciled", "content_digest": "d", "blocking_count": 2}
_TODAY = dt.datetime.now(dt.UTC).date()
_DAY = dt.timedelta(days=1)


def _finding(finding_id: str | None, **more: Any) -> dict[str, Any]:
    return {"run_id": "r", "period": "2026-03", "code": "ABOVE_ERP", "severity": "block", "finding_id": finding_id,
            "actual_amount": Decimal("1.5"), "line_id": "l", **more}  # fmt: skip


@pytest.fixture
def seeded(warehouse: Warehouse) -> Warehouse:
    """A run with two findings that block and one that does not; an older run has one with an id like one of them."""
    older = {"run_id": "older", "started_at": NOON - _DAY, "blocking_count": 1}
    _insert(warehouse, RUNS, _RUN, {**_RUN, **older})
    _insert(warehouse, FINDINGS, _finding("aaaaaa11"), _finding("aaaaaa22"), _finding("bbbbbb11", severity="warn"),
            _finding("aaaaaa33", run_id="older"))  # fmt: skip
    return warehouse


def _insert(warehouse: Warehouse, table: Any, *given: dict[str, Any]) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, table, rows(table, *given))


def _decide(
    warehouse: Warehouse, decision: str, by: str, at: dt.datetime = NOON, note: str | None = None, run_id: str = "r"
) -> dict[str, Any]:
    with warehouse.begin() as connection:
        run = get_run(connection, run_id)
        return record_decision(connection, run, decision, by=by, note=note, blocking=2, recorded_by="test", at=at)


def _last(warehouse: Warehouse, run_id: str = "r") -> tuple[str, str] | None:
    with warehouse.read() as connection:
        found = last_decision(connection, get_run(connection, run_id))
    return None if found is None else (found["decision"], found["decided_by"])


def _all(warehouse: Warehouse, table: Any) -> list[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return [tuple(one) for one in connection.execute(sa.select(sql_table(table)))]


def _only_adds(warehouse: Warehouse, table: Any, *actions: Callable[[], object]) -> None:
    """No action changes or takes away a row."""
    for action in actions:
        before = _all(warehouse, table)
        action()
        assert set(before) <= set(_all(warehouse, table))


def test_the_last_decision_about_a_content_counts(seeded: Warehouse) -> None:
    assert _last(seeded) is None
    _only_adds(
        seeded, APPROVALS,
        lambda: _decide(seeded, APPROVED, "Ada"), lambda: _decide(seeded, REJECTED, "Ada", NOON + _DAY),
    )  # fmt: skip
    assert _last(seeded) == _last(seeded, "older") == (REJECTED, "Ada"), "the older run has the same content"
    _only_adds(seeded, APPROVALS, lambda: _decide(seeded, APPROVED, "Grace", NOON - _DAY))
    assert _last(seeded) == (APPROVED, "Grace"), "a clock that is behind makes nobody's word an earlier one"
    with seeded.begin() as connection:
        connection.execute(sql_table(RUNS).update().where(sql_table(RUNS).c.run_id == "r").values(content_digest="e"))
    assert _last(seeded) is None
    with seeded.read() as connection:
        view = connection.exec_driver_sql("select decided_by, is_in_force from out_approvals").all()
    assert {tuple(one) for one in view} == {("Ada", False), ("Grace", False)}


def test_a_decision_is_recorded_once_however_often_it_is_repeated(seeded: Warehouse) -> None:
    first = _decide(seeded, APPROVED, "Ada", note="checked")
    assert _decide(seeded, APPROVED, "Ada", NOON + _DAY)["approval_id"] == first["approval_id"]
    assert _decide(seeded, APPROVED, "Ada", NOON + _DAY, "checked")["approval_id"] == first["approval_id"]
    assert _decide(seeded, APPROVED, "Ada", NOON + _DAY, "twice")["approval_id"] != first["approval_id"]
    assert _decide(seeded, APPROVED, "Grace", NOON + _DAY)["approval_id"] != first["approval_id"]
    assert len(_all(seeded, APPROVALS)) == 3
    with seeded.read() as connection:
        view = connection.exec_driver_sql("select decided_by, note from out_approvals where is_in_force").all()
    assert [tuple(one) for one in view] == [("Grace", None)]


def test_the_same_decision_at_the_same_time(postgresql_warehouse: Warehouse) -> None:
    _insert(postgresql_warehouse, RUNS, _RUN)
    threads = [threading.Thread(target=_decide, args=(postgresql_warehouse, APPROVED, "Ada")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_all(postgresql_warehouse, APPROVALS)) == 1


def test_what_loading_finds_makes_another_content(seeded: Warehouse) -> None:
    def loaded(*amounts: str) -> dict[str, Any]:
        changed = [_finding(None, code="BILLED_LINE_CHANGED", actual_amount=Decimal(amount)) for amount in amounts]
        with seeded.begin() as connection:
            found = rows(FINDINGS, *changed).drop_columns(["run_id", "period", "finding_id"])
            record_load(connection, "r", found, NOON)
            return get_run(connection, "r")

    _decide(seeded, APPROVED, "Ada")
    for _ in range(2):
        run = loaded("1.5")
        assert (run["blocking_count"], run["status"], decided_content(run) != "d") == (3, "loaded", True)
        assert _last(seeded) is None
    assert decided_content(loaded("1.6")) != decided_content(run)
    run = loaded()
    assert (run["blocking_count"], decided_content(run), _last(seeded)) == (2, "d", (APPROVED, "Ada"))


def _grant(warehouse: Warehouse, finding_id: str, until: dt.date, **more: Any) -> str:
    with warehouse.begin() as connection:
        given = {"by": "Ada", "reason": "agreed", "recorded_by": "test", "at": NOON, **more}
        return grant(connection, latest_finding(connection, finding_id), valid_until=until, **given)


def _end(warehouse: Warehouse, waiver_id: str, by: str = "Grace", at: dt.datetime | None = None) -> None:
    with warehouse.begin() as connection:
        end(connection, waiver_id, by=by, reason="no", recorded_by="test", at=at or dt.datetime.now(dt.UTC))


def _blocking(warehouse: Warehouse, run_id: str = "r") -> tuple[int, int]:
    with warehouse.read() as connection:
        return tuple(count_blocking(connection, get_run(connection, run_id)))  # type: ignore[return-value]


def test_a_waiver_holds_until_its_last_day_is_over_or_it_is_ended(seeded: Warehouse) -> None:
    assert _blocking(seeded) == (2, 0)
    _grant(seeded, "aaaaaa11", _TODAY - _DAY)
    assert _blocking(seeded) == (2, 0)
    today = _grant(seeded, "aaaaaa11", _TODAY)
    assert _grant(seeded, "aaaaaa11", _TODAY) == today, "granted once"
    assert _blocking(seeded) == (1, 1)
    longer = _grant(seeded, "aaaaaa11", _TODAY + _DAY)
    warned = _grant(seeded, "bbbbbb", _TODAY)
    assert _blocking(seeded) == (1, 1), "a warning blocks nothing, waived or not"
    _only_adds(seeded, WAIVERS, lambda: _end(seeded, today), lambda: _end(seeded, today, by="Ada"))
    assert _blocking(seeded) == (1, 1), "the longer one still holds"
    _only_adds(seeded, WAIVERS, lambda: _end(seeded, longer))
    assert _blocking(seeded) == (2, 0)
    with seeded.read() as connection:
        told = {one["waiver_id"]: (one["state"], one["ended_by"]) for one in list_waivers(connection, "2026-03")}
        assert [one["waiver_id"] for one in list_waivers(connection, state="in_force")] == [warned]
        assert list_waivers(connection, "2026-02") == []
    assert sorted(told.values(), key=str) == [
        ("ended", "Grace"), ("ended", "Grace"), ("expired", None), ("in_force", None)]  # fmt: skip
    with pytest.raises(InputError, match="no waiver nothing"):
        _end(seeded, "nothing")
    with pytest.raises(InputError, match="held until"):
        _end(seeded, warned, at=dt.datetime.now(dt.UTC) + 2 * _DAY)


def test_a_waiver_is_for_a_finding_of_a_latest_run_and_says_whether_it_is_found(seeded: Warehouse) -> None:
    for given, told in (("aaaaaa", "several findings"), ("aaaaaa33", "no period's latest run"), ("%", "no period's"),
                        ("______11", "no period's")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            _grant(seeded, given, _TODAY)
    _grant(seeded, "aaaaaa11", _TODAY)
    with seeded.begin() as connection:
        (waiver,) = list_waivers(connection)
        assert (waiver["is_found"], waiver["actual_amount"], waiver["line_id"]) == (True, Decimal("1.5"), "l")
        findings = sql_table(FINDINGS)
        connection.execute(findings.update().where(findings.c.finding_id == "aaaaaa11").values(finding_id="aaaaaa44"))
        assert not list_waivers(connection)[0]["is_found"]
    assert _blocking(seeded) == (2, 0)


def test_approvals_of_an_earlier_version_are_kept_both_ways(empty_warehouse: Warehouse) -> None:
    run = row(RUNS, run_id="r", period="2026-03", status="billed", content_digest="d", started_at=NOON)
    del run["blocking_count"]
    names = [name for name in run if name != "loaded_digest"]
    with empty_warehouse.begin() as connection:
        run_revisions(connection, "0003")
        values = ", ".join(f":{name}" for name in names)
        connection.execute(
            sa.text(f"insert into runs ({', '.join(names)}, blocking_count, approved_by, approval_note) "
                    f"values ({values}, 4, 'Finance', 'fine')"), run)  # fmt: skip
    upgrade(empty_warehouse)
    assert _last(empty_warehouse) == (APPROVED, "Finance")
    _insert(empty_warehouse, RUNS, {**_RUN, "run_id": "s"})
    _decide(empty_warehouse, APPROVED, "Ada", NOON, run_id="s")
    _decide(empty_warehouse, REJECTED, "Grace", NOON, run_id="s")
    with empty_warehouse.begin() as connection:
        drop_views(connection)
        run_revisions(connection, "0003")
        kept = connection.exec_driver_sql("select run_id, approved_by, approval_note from runs order by run_id").all()
        assert [tuple(one) for one in kept] == [("r", "Finance", "fine"), ("s", None, None)]
        assert connection.exec_driver_sql("select approved_at from runs where run_id = 'r'").scalar() == NOON
    upgrade(empty_warehouse)
    assert _last(empty_warehouse) == (APPROVED, "Finance")
