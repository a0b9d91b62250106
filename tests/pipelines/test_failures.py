"""What a user can mend: one line, the contract's exit code, and nothing half-written."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command, Outcome


def told(outcome: Outcome, code: int, *words: str) -> None:
    """Exit code, one line on stderr that has these words, and no run in the warehouse."""
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("csp-billing: ")
    for word in words:
        assert word in outcome.err
    if Path(".csp-billing/warehouse.duckdb").exists():
        with open_warehouse(load_settings().warehouse).read() as connection:
            for table in ("runs", "lines", "src_invoice_recon", "source_files", "halo_postings"):
                assert connection.exec_driver_sql(f"select count(*) from {table}").scalar_one() == 0, table


def test_a_missing_folder(command: Command) -> None:
    told(command("reconcile", "--period", "2025-11"), 2, "exports")


def test_an_empty_folder(command: Command) -> None:
    Path("exports").mkdir()
    told(command("reconcile", "--period", "2025-11"), 2, "exports")


def test_an_unreadable_file_is_named(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    whole = gzip.compress(b"PartnerId,CustomerId\n" * 1000)
    Path("exports/broken.csv.gz").write_bytes(whole[: len(whole) // 2])
    told(command("reconcile", "--period", "2025-11"), 2, "broken.csv.gz")


def test_a_missing_column_is_named(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    recon = next(Path("exports").glob("*Reconciliation*.csv"))
    recon.write_bytes(recon.read_bytes().replace(b"EffectiveUnitPrice", b"EffectivePrice"))
    told(command("reconcile", "--period", "2025-11"), 2, recon.name, "EffectiveUnitPrice")


def test_a_period_without_data_tells_which_there_are(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    told(command("reconcile", "--period", "2025-10"), 2, "2025-10", "2025-11")


def test_a_period_that_is_no_month(command: Command) -> None:
    told(command("reconcile", "--period", "2025-13"), 2, "YYYY-MM")


def test_an_unset_halopsa_is_told_before_anything_is_done(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    told(command("run", "--period", "2025-11"), 2, "CSP_BILLING_HALO_URL")


def test_wrong_credentials_and_an_unreachable_halopsa(
    command: Command, halo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11")
    monkeypatch.setenv("CSP_BILLING_HALO_CLIENT_SECRET", "canary-secret")
    wrong = command("run", "--period", "2025-11")
    told(wrong, 2, "CSP_BILLING_HALO_CLIENT_SECRET")
    told(command("orders", "sync"), 2, "CSP_BILLING_HALO_CLIENT_SECRET")
    assert "canary-secret" not in wrong.err + wrong.out
    monkeypatch.setenv("CSP_BILLING_HALO_URL", "http://127.0.0.1:1")
    told(command("run", "--period", "2025-11"), 3, "CSP_BILLING_HALO_URL")


@pytest.mark.parametrize(("kind", "name"), [("documenttype", "id"), ("parentid", "subscriptionid")])
def test_what_halopsa_refuses_ends_the_load_as_failed(
    kind: str, name: str, command: Command, halo: Sandbox
) -> None:
    """An invoice, or lines: all else is posted, nothing is marked; once it is mended, the month ends."""
    generate_month(Path("exports"), period="2025-11", plant=False)
    run_id = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    refused: list[str] = []

    def refuse(row: Mapping[str, Any]) -> str:
        """The first one that comes, whenever it comes."""
        if row.get(kind) is None:
            return ""
        refused[:] = refused or [row[name]]
        return "This customer is on hold." if row[name] in refused else ""

    halo.rule = refuse
    for arguments in (["load", run_id], ["run", "--period", "2025-11"]):
        outcome = command(*arguments, "--json")
        assert (outcome.code, outcome.document["status"]) == (3, "failed")
        assert "This customer is on hold." in outcome.document["error"]
        (left,) = command("status", "--period", "2025-11", "--json").document
        assert [one["reason"] for one in left["unbilled"]] == ["refused"]
        lines = left["halopsa"]["lines"]
        assert left["unbilled"][0]["lines"] == lines["wanted"] - lines["loaded"] > 0
        assert not any(line.get("isbilled") for line in halo.lines())
    halo.rule = None
    assert command("run", "--period", "2025-11", "--json").document["status"] == "billed"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HALO_RATE", "fast"), ("HALO_USAGE", "both"), ("HALO_CSP_TENANT_ID", "x"), ("POLICY", "no.toml")],
)
def test_a_wrong_setting_is_named(command: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CSP_BILLING_{name}", value)
    told(command("reconcile", "--period", "2025-11"), 2, f"CSP_BILLING_{name}")


@pytest.mark.parametrize("arguments", [["run"], ["nonsense"], ["run", "--period"], ["identify", "nowhere.csv"]])
def test_wrong_usage(command: Command, arguments: list[str]) -> None:
    told(command(*arguments), 2)


def test_with_json_a_failure_is_a_document_too(command: Command) -> None:
    outcome = command("reconcile", "--period", "2025-11", "--json")
    assert outcome.document["exit_code"] == outcome.code == 2
    assert "exports" in outcome.document["error"]


def test_the_demo_leaves_a_folder_alone_that_is_not_its_own(command: Command) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    told(command("demo", "--dir", "mine"), 2, "mine")
    assert Path("mine/thesis.txt").read_text() == "precious"
