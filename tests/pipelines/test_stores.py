"""A month whose exports lie in a store and are landed in one: the same results as from a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command
from tests.stores.places import Place
from tests.stores.places import azure as azure
from tests.stores.places import memory as memory
from tests.stores.places import place as place
from tests.stores.places import s3 as s3
from tests.stores.serving import Fault
from transforms.addresses import TEMPORARY


def stored(sql: str) -> list[tuple[object, ...]]:
    with open_warehouse(load_settings().warehouse).read() as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


@pytest.fixture
def delivered() -> dict[str, bytes]:
    """An example month in the folder `exports`, and its files by name."""
    generate_month(Path("exports"), period="2025-11", customers=6)
    return {path.name: path.read_bytes() for path in Path("exports").iterdir()}


@pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
def test_a_month_from_a_store_is_the_month_from_a_folder(
    place: Place, delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_SNAPSHOT", "false")
    command("reconcile", "--period", "2025-11")
    told = "select source_file, source_row, code, line_id, message from out_findings order by all"
    expected = stored("select content_digest from runs"), stored(told)
    for name, content in delivered.items():
        place.put(f"exports/2025-11/{name}", content)
    monkeypatch.setenv("CSP_BILLING_HOME", "home")
    monkeypatch.setenv("CSP_BILLING_EXPORTS", f"{place.url}/exports/2025-11")
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{place.url}/landing")
    outcome = command("reconcile", "--period", "2025-11", "--json")
    assert (outcome.code, outcome.document["status"]) == (1, "reconciled")
    assert (stored("select content_digest from runs"), stored(told)) == expected
    assert not Path("home", "landing").exists()

    landed = {f"landing/{place}": sha256 for place, sha256 in stored("select landed_as, file_sha256 from source_files")}
    assert {name for name in place.names() if name.startswith("landing/")} == set(landed)
    assert all(name.split("/")[2] == sha256 for name, sha256 in landed.items())

    put = _copied(place)
    read = len([one for one in place.faulty.requests if one.startswith("GET") and one.endswith((".csv", ".zip"))])
    assert command("reconcile", "--period", "2025-11").code == 1
    assert _copied(place) == put
    assert read == len(
        [one for one in place.faulty.requests if one.startswith("GET") and one.endswith((".csv", ".zip"))]
    )


def _copied(place: Place) -> int:
    """How many requests wrote something, but for those that ask whether the landing zone can be written."""
    return sum(one.startswith("PUT ") and TEMPORARY not in one for one in place.faulty.requests)


def test_what_lies_in_the_zone_is_not_landed_again(
    s3: Place, delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in delivered.items():
        s3.put(f"landing/partner-center/2025-11/{name}", content)
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{s3.url}/landing")
    monkeypatch.setenv("CSP_BILLING_EXPORTS", f"{s3.url}/landing/partner-center/2025-11")
    assert command("reconcile", "--period", "2025-11").code == 1
    assert s3.faulty.count("PUT", ".csv") == sum(name.endswith(".csv") for name in delivered)
    assert {place for (place,) in stored("select landed_as from source_files")} == {
        f"partner-center/2025-11/{name}" for name in delivered
    }


def test_a_run_that_cannot_land_is_not_there(
    s3: Place, delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{s3.url}/landing")
    s3.faulty.faults.append(Fault("PUT", ".csv", deny=True))
    refused = command("reconcile", "--period", "2025-11")
    assert (refused.code, refused.out) == (2, "")
    assert "the store denies access" in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    assert stored("select * from runs") == []
    assert not [name for name in s3.names() if name.endswith(".csv")]
    s3.faulty.faults.clear()
    assert command("reconcile", "--period", "2025-11").code == 1


@pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
def test_a_zone_that_can_only_be_listed_is_told_of_before_anything_is_read(
    place: Place, delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in delivered.items():
        place.put(f"exports/{name}", content)
    monkeypatch.setenv("CSP_BILLING_EXPORTS", f"{place.url}/exports")
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{place.url}/landing")
    place.faulty.faults.append(Fault("PUT", "", deny=True))
    refused = command("reconcile", "--period", "2025-11")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.startswith("csp-billing: CSP_BILLING_LANDING: no copy can be kept there: ")
    assert "the store denies access" in refused.err
    assert "let it be written, or name another place" in refused.err
    assert not any(one.startswith("GET ") and "/exports/" in one for one in place.faulty.requests)
    for read_only in (["identify", f"{place.url}/exports"], ["doctor"], ["landing", "list"], ["status"]):
        assert "no copy can be kept" not in command(*read_only).err, read_only

    # A bucket that is locked lets nothing be removed; hidden, what asked is told to be left over after a day.
    place.faulty.faults[:] = [Fault("DELETE", "", deny=True)]
    assert command("reconcile", "--period", "2025-11").code == 1
    (left,) = [name for name in place.names() if TEMPORARY in name]
    assert left.startswith(f"landing/{TEMPORARY}")
    assert left.removeprefix("landing/") not in command("landing", "list").out
    place.faulty.faults.clear()
    assert command("reconcile", "--period", "2025-11").code == 1
    assert [name for name in place.names() if TEMPORARY in name] == [left]


@pytest.mark.parametrize("zone", ["exports/landing", "exports", "file://exports/landing"])
def test_a_zone_among_the_exports_is_refused(
    delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("CSP_BILLING_LANDING", zone)
    refused = command("reconcile", "--period", "2025-11")
    assert refused.code == 2
    assert "lies in the exports" in refused.err


def test_commands_take_urls_and_tell_no_secret(
    s3: Place, delivered: dict[str, bytes], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("exports/invoices.json", delivered["invoices_2025-11.json"])
    (identity,) = command("identify", f"{s3.url}/exports", "--json").document
    assert (identity["path"], identity["kind"]) == ("s3://billing/exports/invoices.json", "invoices")
    assert command("identify", "file://exports").out == command("identify", "exports").out
    monkeypatch.setenv("CSP_BILLING_EXPORTS", f"{s3.url}/exports")
    monkeypatch.setenv("CSP_BILLING_LANDING", "https://user:CANARY@127.0.0.1:9/landing?sig=CANARY")
    examined = command("doctor", "--json")
    assert examined.document["exports"] == "1 objects at s3://billing/exports"
    assert "cannot be reached" in examined.document["landing"]
    assert examined.document["settings"]["CSP_BILLING_LANDING"].startswith("https://user:********@127.0.0.1:9/")
    assert "CANARY" not in examined.out + examined.err
    read_only = command("reconcile", "--period", "2025-11")
    assert (read_only.code, read_only.err.count("\n")) == (2, 1)
    assert "this kind of store cannot be used for that, such as writing" in read_only.err
    assert "CANARY" not in read_only.err
    monkeypatch.delenv("CSP_BILLING_LANDING")
    failed = command("reconcile", "--period", "2025-11", "--exports", "https://user:CANARY@127.0.0.1:9/x?sig=CANARY")
    assert failed.code == 3
    assert "CANARY" not in failed.out + failed.err
    assert command("reconcile", "--period", "2025-11", "--exports", "s3://nobucket/x").code == 2
