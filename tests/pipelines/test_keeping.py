"""A restored ledger, even one from before the load, posts nothing twice; and a month has one worker at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse import lock
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines.month_lock import holding_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command

PERIOD = "2025-11"


@pytest.fixture(params=["duckdb", "postgresql"])
def urls(request: pytest.FixtureRequest, working_folder: Path) -> tuple[str, str]:
    """The warehouse, and where it is restored to: DuckDB in its place, PostgreSQL in another database."""
    if request.param == "duckdb":
        url = f"duckdb:///{working_folder / 'warehouse.duckdb'}"
        return url, url
    make: Callable[[str], str] = request.getfixturevalue("make_database")
    return make("template0"), make("template0")


def _run(command: Command) -> dict[str, Any]:
    outcome = command("run", "--period", PERIOD, "--json")
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = outcome.document
    return document


def _in_halo(halo: Sandbox) -> str:
    """Everything that is there, to the last property."""
    return json.dumps([halo.summary(), halo.invoices(), halo.lines()], sort_keys=True, default=str)


def test_a_restored_ledger_posts_nothing_twice(
    urls: tuple[str, str], halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup from before the load, and one from after it, each restored and followed by a run of the month."""
    url, restored = urls
    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", url)
    monkeypatch.setenv("CSP_BILLING_SNAPSHOT", "false")
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    assert command("run", "--period", PERIOD, "--dry-run").code == 0
    assert command("warehouse", "backup", "--to", "before").code == 0
    first = _run(command)
    assert (first["status"], min(first["loaded"].values()) > 0) == ("billed", True)
    backup = command("warehouse", "backup", "--to", "after", "--json").document
    assert (backup["backup"], backup["engine"]) == ("after", url.partition(":")[0].partition("+")[0])
    posted, requests = _in_halo(halo), len(halo.requests)

    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", restored)
    refused = command("warehouse", "restore", "--from", "nowhere")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    if url == restored:
        assert command("warehouse", "restore", "--from", "before").code == 2
    outcome = command("warehouse", "restore", "--from", "before", "--set-aside")
    assert outcome.code == 0, outcome.err
    assert "is not known here: invoices and lines are found in HaloPSA before any is posted" in outcome.err
    again = _run(command)
    assert again["status"] == "billed"
    assert again["loaded"] == {"prices": 0, "invoices": 0, "lines": 0}
    assert any("records were in HaloPSA already and are taken over" in notice for notice in again["notices"])
    assert any("not sent that may be in HaloPSA, which has no list" in notice for notice in again["notices"])
    assert _in_halo(halo) == posted, "a ledger from before the load posts nothing that is there"
    assert not any(request.startswith("POST cspsub") for request in halo.requests[requests:])
    assert command("warehouse", "check").code == 0
    third = _run(command)
    assert third["loaded"] == {"prices": 0, "invoices": 0, "lines": 0}
    assert _in_halo(halo) == posted

    # Who has looked in HaloPSA, and wants them once more, says so; then the ledger is trusted again.
    sent = command("load", third["run_id"], "--resend-prices", "--json").document
    assert sent["loaded"] == {**first["loaded"], "invoices": 0, "lines": 0}
    assert _run(command)["loaded"]["prices"] == 0
    prices = halo.summary()["prices"]
    assert prices == 2 * first["loaded"]["prices"]

    if url == restored:
        assert command("warehouse", "restore", "--from", "after", "--set-aside", "--nothing-posted-since").err == ""
        last = _run(command)
        assert last["loaded"] == {"prices": 0, "invoices": 0, "lines": 0}
        assert not any("taken over" in notice or "not sent that may be" in notice for notice in last["notices"])
        assert (last["status"], halo.summary()["prices"]) == ("billed", prices)


def test_who_is_second_to_work_on_a_month_is_refused(
    halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    run_id = command("reconcile", "--period", PERIOD, "--json").document["run_id"]
    monkeypatch.setattr(lock, "RENEW_EVERY", lock.RENEW_EVERY / 600)
    with holding_month(load_settings(), PERIOD):
        for typed in (
            ["run", "--period", PERIOD], ["run", "--period", PERIOD, "--dry-run"], ["reconcile", "--period", PERIOD],
            ["load", run_id], ["mark-billed", run_id],
        ):  # fmt: skip
            refused = command(*typed)
            assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), typed
            assert refused.err.startswith(f"csp-billing: {PERIOD} is being worked on already (process ")
        assert command("reconcile", "--period", PERIOD, "--code", "ABOVE_ERP").code == 0, "a part replaces nothing"
        (held,) = command("warehouse", "locks", "--json").document
        assert (held["name"], held["is_stale"]) == (f"month {PERIOD}", False)
    assert not any(request.startswith("POST csp") for request in halo.requests)
    assert command("warehouse", "locks").err == "nobody is at work\n"
    assert command("run", "--period", PERIOD).code == 0


def test_a_month_is_let_go_while_a_person_decides(halo: Sandbox, working_folder: Path) -> None:
    """The lock is renewed beside the work, and is nobody's while somebody is asked."""
    from pipelines.billing import bill_month

    generate_month(Path("exports"), period=PERIOD, customers=7)
    settings = load_settings()
    asked: list[int] = []

    def decide(summary: object) -> None:
        with open_warehouse(settings.warehouse).read() as connection:
            asked.append(len(lock.read_locks(connection)))

    summary = bill_month(settings, PERIOD, decide=decide)
    assert (summary.status, asked) == ("awaiting_approval", [0])


def test_a_lock_is_renewed_beside_long_work(
    halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few milliseconds here, so that it meets every transaction of a run on DuckDB's one file."""
    monkeypatch.setattr(lock, "RENEW_EVERY", lock.RENEW_EVERY / 10_000)
    beats: list[bool] = []
    renew = lock.Lock.renew

    def renewing(held: lock.Lock) -> bool:
        beats.append(renew(held))
        return beats[-1]

    monkeypatch.setattr(lock.Lock, "renew", renewing)
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    outcome = command("run", "--period", PERIOD, "--json")
    assert (outcome.code, outcome.document["status"]) == (0, "billed"), outcome.err
    assert len(beats) > 3
    assert all(beats)
