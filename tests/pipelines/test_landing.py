"""Retention of the landing zone: what nothing needs any more is removed and told to be, all else stays."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import run_revisions, upgrade
from connectors.warehouse.schema import sql_table
from connectors.warehouse.views import drop_views
from examples.month import generate_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command, Outcome
from tests.pipelines.test_month import warehouse_url as warehouse_url
from tests.stores.places import Place
from tests.stores.places import s3 as s3
from tests.stores.serving import Fault
from tests.warehouse.rows import row
from transforms.tables import QUARANTINE, SOURCE_FILES


def sql(statement: str, **values: Any) -> list[dict[str, Any]]:
    with open_warehouse(load_settings().warehouse).begin() as connection:
        result = connection.execute(sa.text(statement), values)
        return [dict(found) for found in result.mappings()] if result.returns_rows else []


def a_year_ago() -> None:
    sql("update runs set started_at = :at", at=datetime.now(UTC) - timedelta(days=365))


def copies() -> set[str]:
    zone = load_settings().home / "landing"
    return {path.relative_to(zone).as_posix() for path in zone.rglob("*") if path.is_file()}


@pytest.fixture
def billed(halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month that was billed a year ago."""
    monkeypatch.setenv("CSP_BILLING_SNAPSHOT", "false")
    generate_month(Path("exports"), period="2025-06", customers=6, plant=False)
    assert command("run", "--period", "2025-06", "--json").document["status"] == "billed"
    a_year_ago()


def test_what_nothing_needs_is_removed_and_told_to_be(warehouse_url: str, billed: None, command: Command) -> None:
    zone = load_settings().home / "landing"
    before = copies()
    listed = command("landing", "list", "--json").document
    assert {one["place"] for one in listed} == before
    assert {(one["state"], one["runs"], *one["periods"]) for one in listed} == {("kept", 1, "2025-06")}

    (zone / "partner-center").mkdir()
    (zone / "partner-center" / "fetched.json.gz").write_bytes(b"not read yet")
    for name, age in {".landing-old": 2, ".landing-young": 0}.items():
        (zone / name).write_bytes(b"half")
        os.utime(zone / name, (time.time() - age * 86_400,) * 2)
    # A copy of which a row is still in quarantine stays.
    quarantined = next(one for one in listed if "daily_usage" in one["kinds"])
    with open_warehouse(load_settings().warehouse).begin() as connection:
        values = row(QUARANTINE, file_sha256=quarantined["file_sha256"], period="2025-06")
        connection.execute(sql_table(QUARANTINE).insert(), [values])

    planned = command("landing", "prune", "--keep-months", "2", "--dry-run", "--json").document
    assert copies() >= before
    pruned = command("landing", "prune", "--keep-months", "2", "--json")
    assert pruned.code == 0
    gone = before - {quarantined["place"]}
    for document in (planned, pruned.document):
        assert {one["place"] for one in document["removed"]} == gone
        assert document["left_over"] == [".landing-old"]
        assert document["kept"] == {"a row of it is in quarantine": 1}
    assert copies() == {quarantined["place"], "partner-center/fetched.json.gz", ".landing-young"}
    states = {one["place"]: one["state"] for one in command("landing", "list", "--json").document}
    assert states == {**dict.fromkeys(gone, "pruned"), quarantined["place"]: "kept",
                      "partner-center/fetched.json.gz": "unknown"}  # fmt: skip
    (line,) = sql("select line_id from out_lines where source = 'invoice_recon' order by line_id limit 1")
    assert f"it was pruned on {datetime.now(UTC):%Y-%m-%d}" in command("explain", line["line_id"]).out
    assert command("landing", "prune", "--keep-months", "2", "--json").document["removed"] == []

    # Delivered again it is landed again, and counts from then on.
    assert command("reconcile", "--period", "2025-06").code == 0
    assert copies() >= before
    assert sql("select * from source_files where pruned_at is not null") == []
    assert command("landing", "prune", "--keep-months", "2", "--json").document["removed"] == []
    assert copies() >= before


@pytest.fixture
def zone_in_store(s3: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A landing zone in S3, before anything is billed."""
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{s3.url}/landing")
    return s3


def test_in_a_store_too_what_a_run_may_need_stays_and_an_interrupted_prune_is_finished(
    zone_in_store: Place, billed: None, command: Command
) -> None:
    before = zone_in_store.names()

    def prune() -> Outcome:
        return command("landing", "prune", "--keep-months", "1", "--json")

    sql("update runs set started_at = :at", at=datetime.now(UTC))
    recent = prune().document
    assert (recent["removed"], sum(recent["kept"].values())) == ([], len(before))
    a_year_ago()
    sql("update runs set status = 'awaiting_approval'")
    assert prune().document["kept"] == {"2025-06 is not billed": len(before)}
    sql("update runs set status = 'billed'")
    assert command("landing", "prune", "--keep-months", "0").code == 2
    assert zone_in_store.names() == before

    zone_in_store.faulty.faults.append(Fault("DELETE", ".json", deny=True))
    failed = prune()
    assert failed.code == 2
    assert "the store denies access" in failed.document["error"]
    left = set(zone_in_store.names())
    assert len(left) == len(before) - len(failed.document["removed"]) > 0
    zone_in_store.faulty.faults.clear()
    assert {f"landing/{one['place']}" for one in prune().document["removed"]} == left
    assert zone_in_store.names() == []


def test_copies_of_before_are_found_below_the_zone(empty_warehouse: Any) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        drop_views(connection)
        run_revisions(connection, "0005")
        values = row(SOURCE_FILES, landed_as="landing/ab/abc/x.csv")
        names = [name for name in values if name != "pruned_at"]
        connection.execute(
            sa.text(f"insert into source_files ({', '.join(names)}) values ({', '.join(f':{one}' for one in names)})"),
            values,
        )
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        assert connection.execute(sa.text("select landed_as, pruned_at from source_files")).one() == (
            "ab/abc/x.csv", None,
        )  # fmt: skip
        drop_views(connection)
        run_revisions(connection, "0005")
        found = connection.execute(sa.text("select landed_as from source_files")).scalar_one()
        assert found == "landing/ab/abc/x.csv"
