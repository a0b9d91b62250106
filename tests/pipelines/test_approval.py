"""Who may say yes, to what, and for how long: approvals, waivers and status, against a HaloPSA over real HTTP."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from examples.month import generate_month
from pipelines.billing import resume_month
from pipelines.people import approver, recorder
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command
from tests.pipelines.test_month import query, retax, warehouse_url
from tests.warehouse.rows import rows
from transforms.errors import SettingsError
from transforms.tables import FINDINGS, RUNS

__all__ = ["warehouse_url"]

#: The views and tables of decisions are tested on both engines in `tests/warehouse`; a story needs one.
duckdb, postgresql = (
    pytest.mark.parametrize("warehouse_url", [engine], indirect=True) for engine in ("duckdb", "postgresql")
)

MONTH = ("--period", "2025-11")
ROOT = Path(__file__).parents[2]


def approvals() -> list[tuple[Any, ...]]:
    rows = query("select decision, decided_by, note, recorded_by, run_id from out_approvals order by decided_at")
    return [tuple(row.values()) for row in rows]


def standing(command: Command) -> dict[str, Any]:
    (document,) = command("status", *MONTH, "--json").document
    found: dict[str, Any] = document
    return found


@postgresql
def test_an_approval_holds_for_the_same_results_and_for_no_others(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    generate_month(Path("exports"), period="2025-11")
    first = command("run", *MONTH, "--json").document
    assert (first["status"], first["blocking"], first["waived"]) == ("awaiting_approval", 18, 0)
    assert f"csp-billing approve {first['run_id']}" in standing(command)["next"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSP_BILLING_HALO_CLIENT_SECRET", "another")
        assert command("mark-billed", first["run_id"], "--approve").code == 2
    assert approvals() == [], "nothing is done before the login"
    told = command("approve", first["run_id"], "--by", " Ada  Lovelace ", "--note", "checked")
    assert (told.code, "Ada Lovelace approved" in told.out) == (0, True)
    assert not any(line.get("isbilled") for line in halo.lines())
    assert f"csp-billing mark-billed {first['run_id']}" in standing(command)["next"]

    again = command("run", *MONTH, "--json").document
    assert (again["status"], again["run_id"] != first["run_id"]) == ("billed", True)
    assert all(line["isbilled"] for line in halo.lines())
    assert [row[:3] for row in approvals()] == [("approved", "Ada Lovelace", "checked")]
    found = standing(command)
    assert (found["next"].partition(":")[0], found["decision"]["decided_by"]) == (
        "nothing, if that is accepted", "Ada Lovelace")  # fmt: skip
    assert {one["reason"]: (one["lines"], one["amounts"]) for one in found["unbilled"]} == {
        "no_document": (3, {"USD": "1155.15"}), "no_lines": (0, {"CHF": "412.6"}), "short": (0, {"EUR": "2344.91"}),
        "unreadable": (3, {}),
    }  # fmt: skip
    lines = found["halopsa"]["lines"]
    assert lines["wanted"] == lines["loaded"] == lines["billed"] == len(halo.lines())

    retax(20)
    changed = command("run", *MONTH, "--json")
    assert changed.document["status"] == "awaiting_approval"
    assert changed.document["findings"]["BILLED_LINE_CHANGED"] == 20
    assert "Ada Lovelace approved" in changed.err
    refused = command("mark-billed", changed.document["run_id"])
    assert (refused.code, "that was about other results" in refused.err) == (2, True)
    replaced = command("approve", first["run_id"], "--by", "Ada")
    assert (replaced.code, changed.document["run_id"] in replaced.err) == (2, True)


@postgresql
def test_what_loading_finds_is_not_covered_by_an_approval_before_it(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    assert command("run", *MONTH, "--json").document["status"] == "billed"
    before = halo.lines()
    retax(20)
    run_id = command("reconcile", *MONTH, "--json").document["run_id"]
    assert command("approve", run_id, "--by", "Ada").code == 0
    unloaded = command("mark-billed", run_id)
    assert (unloaded.code, f"csp-billing load {run_id}" in unloaded.err) == (2, True)
    loaded = command("load", run_id, "--json")
    assert (loaded.code, loaded.document["blocking"]) == (1, 20)
    refused = command("mark-billed", run_id)
    assert (refused.code, "other results" in refused.err) == (2, True)

    assert command("approve", run_id, "--by", "Grace").code == 0
    reconciled = command("reconcile", *MONTH, "--json").document["run_id"]
    assert standing(command)["decision"]["decided_by"] == "Ada", "what billing changed is known after loading only"
    assert command("load", reconciled).code == 1
    assert standing(command)["decision"]["decided_by"] == "Grace"
    assert command("mark-billed", reconciled, "--json").document["status"] == "billed"
    assert command("run", *MONTH, "--json").document["status"] == "billed", "a rerun is as approved"
    assert halo.lines() == before


@postgresql
def test_a_rejected_month_is_not_billed_even_when_nothing_blocks(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    run_id = command("reconcile", *MONTH, "--json").document["run_id"]
    part = command("reconcile", *MONTH, "--code", "ABOVE_ERP", "--json").document["run_id"]
    assert (command("approve", part, "--by", "Ada").code, approvals()) == (2, [])
    assert command("approve", run_id, "--by", "Ada", "--reject", "--note", "wait for Contoso").code == 0
    run = command("run", *MONTH, "--json")
    assert (run.code, run.document["status"], run.document["blocking"]) == (0, "awaiting_approval", 0)
    assert "wait for Contoso" in run.err
    assert "rejected by Ada" in command("status").out
    refused = command("mark-billed", run.document["run_id"])
    assert (refused.code, "Ada rejected" in refused.err) == (2, True)
    assert command("mark-billed", run.document["run_id"], "--approve", "--by", "Grace").code == 0
    assert [row[:2] for row in approvals()] == [("rejected", "Ada"), ("approved", "Grace")]
    assert all(line["isbilled"] for line in halo.lines())
    too_late = command("approve", run.document["run_id"], "--by", "Ada", "--reject")
    assert (too_late.code, "never undone" in too_late.err) == (2, True)


@postgresql
def test_a_command_that_approves_records_who(
    warehouse_url: str, halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("clean"), period="2025-11", plant=False)
    assert command("run", *MONTH, "--exports", "clean", "--approve").code == 0
    assert approvals() == [], "nothing had to be approved"
    generate_month(Path("exports"), period="2025-11")
    monkeypatch.setattr(getpass, "getuser", lambda: "batch")
    for _ in range(2):
        run = command("run", *MONTH, "--approve", "--json")
        assert (run.code, run.document["status"]) == (1, "billed")
    ((decision, by, note, recorded_by, _),) = approvals()
    assert (decision, by, note, recorded_by.partition("@")[0]) == ("approved", "batch", None, "batch")
    assert approver(load_settings(approver="Billing"), None) == "Billing"
    assert approver(load_settings(approver="Billing"), "Ada") == "Ada"
    for unusable in (" ", "A\x1b[2J", "\u202eadA", "\udcff", "x" * 300):
        assert command("approve", run.document["run_id"], "--by", unusable).code == 2
    assert command("approve", run.document["run_id"], "--by", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627").code == 0
    alone = command("run", *MONTH, "--by", "Ada")
    assert (alone.code, "--approve" in alone.err) == (2, True)


def test_a_user_without_a_name_has_to_say_who_approves(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user is a number."""

    def nobody() -> str:
        raise KeyError("uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert recorder().startswith("uid ")
    with pytest.raises(SettingsError, match="CSP_BILLING_APPROVER"):
        approver(load_settings(), None)


@duckdb
def test_waived_findings_stay_and_do_not_block(warehouse_url: str, halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    command("reconcile", *MONTH)
    found = command("findings", "--json").document
    blocking = [one["finding_id"] for one in found if one["severity"] == "block"]
    waive = ("--reason", "agreed", "--by", "Ada", "--until", "2999-12-31")
    for wrong in (["nothing"], ["0" * 24], [blocking[0], "0" * 24]):
        assert command("waivers", "add", *wrong, *waive).code == 2
    assert command("waivers", "add", blocking[0], *waive[:-1], "2020-01-01").code == 2
    assert command("waivers", "list", "--json").document == [], "all or none of them"
    assert len(command("waivers", "add", *blocking[:-1], *waive, "--json").document) == 17
    one_left = command("run", *MONTH, "--json")
    assert (one_left.code, one_left.document["blocking"], one_left.document["waived"]) == (1, 1, 17)
    assert one_left.document["status"] == "awaiting_approval"
    assert "17 findings of severity block are waived" in one_left.err

    assert command("waivers", "add", blocking[-1][:10], *waive).code == 0
    run = command("run", *MONTH, "--json")
    assert (run.code, run.document["status"], run.document["blocking"]) == (0, "billed", 0)
    assert run.document["findings"] == one_left.document["findings"]
    assert all(line["isbilled"] for line in halo.lines())
    listed = {one["finding_id"]: one for one in command("findings", "--json").document}
    assert {listed[one]["waived_by"] for one in blocking} == {"Ada"}
    assert {one["severity"] for one in listed.values() if one["waived_by"]} == {"block"}
    of_line = next(one["line_id"] for one in listed.values() if one["waived_by"] and one["line_id"])
    assert "waived by Ada until 2999-12-31: agreed" in command("explain", of_line).out
    assert query("select count(*) as n from out_findings where severity = 'block'")[0]["n"] == 54
    assert query(f"select * from out_open_findings where run_id = '{run.document['run_id']}'") == []

    waiver = command("waivers", "list", "--json").document[0]
    assert command("waivers", "end", waiver["waiver_id"], "--by", "Grace", "--reason", "no").code == 0
    ended = standing(command)
    assert (ended["blocking"], ended["waived"], ended["status"]) == (1, 17, "billed")
    assert len(command("waivers", "list", *MONTH, "--json").document) == 17
    assert len(command("waivers", "list", "--all", "--json").document) == 18


def test_a_waiver_lapses_when_an_amount_changes(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    command("reconcile", *MONTH)
    wrong = command("findings", "--code", "TOTAL_MISMATCH", "--json").document
    ids = [one["finding_id"] for one in wrong]
    assert command("waivers", "add", *ids, "--reason", "x", "--by", "Ada", "--until", "2999-01-01").code == 0
    recon = next(Path("exports").glob("*Reconciliation*.csv"))
    rows = recon.read_text(encoding="utf-8-sig").splitlines()
    row = wrong[0]["source_row"] - 1
    old = f"{wrong[0]['actual_amount']}"
    assert rows[row].count(old) == 1
    rows[row] = rows[row].replace(old, f"{old[:-1]}{(int(old[-1]) + 1) % 10}")
    Path("exports", "again.csv").write_text("\n".join(rows), encoding="utf-8")
    recon.unlink()
    rerun = command("reconcile", *MONTH, "--json")
    assert (rerun.document["findings"]["TOTAL_MISMATCH"], rerun.document["waived"]) == (3, 2)
    states = {one["finding_id"]: one["is_found"] for one in command("waivers", "list", "--json").document}
    assert states == {ids[0]: False, ids[1]: True, ids[2]: True}


def test_status_counts_what_a_load_would_post(
    halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the usage rows stand for the Azure-plan lines, and before anything is set or done."""
    assert "no month was reconciled yet" in command("status").out
    assert command("status", "--json").document == []
    missing = command("status", *MONTH)
    assert (missing.code, "csp-billing run --period 2025-11" in missing.err) == (2, True)
    generate_month(Path("exports"), period="2025-11")
    monkeypatch.setenv("CSP_BILLING_HALO_USAGE", "daily")
    run_id = command("reconcile", *MONTH, "--json").document["run_id"]
    wanted = standing(command)
    assert (wanted["status"], wanted["halopsa"]["lines"]["loaded"]) == ("reconciled", 0)
    assert f"csp-billing load {run_id}" in wanted["next"]
    loaded = command("load", run_id, "--json").document["loaded"]
    found = standing(command)["halopsa"]
    assert found["url"] == halo.base_url
    for what in ("invoices", "lines"):
        assert loaded[what] == wanted["halopsa"][what]["wanted"] == found[what]["wanted"] == found[what]["loaded"] > 0
    monkeypatch.delenv("CSP_BILLING_HALO_URL")
    assert standing(command)["halopsa"] == found, "the HaloPSA that was posted to last"
    *_, told, without_document, without_lines, short, unreadable, next_step = command("status").out.splitlines()
    assert told == f"2025-11: run {run_id}, 2,145 lines, 5 invoices, 27 findings; nobody has decided upon it"
    assert without_document.startswith("  cannot be billed: 3 lines of 1,155.15 USD: ")
    assert without_lines.startswith("  cannot be billed: 412.60 CHF of invoice G127110794: ")
    assert short.startswith("  cannot be billed: 2,344.91 EUR of invoice G127110741: ")
    assert unreadable.startswith("  cannot be billed: 3 rows that could not be read")
    assert next_step.startswith("  next: look at the 18 findings that block")


@postgresql
def test_a_month_that_waited_goes_on_with_the_run_that_has_the_same_results(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    """What a resumed flow run does; meanwhile somebody ran the month again."""
    from pipelines.approval import decide

    generate_month(Path("exports"), period="2025-11")
    looked_at = command("run", *MONTH, "--json").document["run_id"]
    again = command("reconcile", *MONTH, "--json").document["run_id"]
    settings = load_settings()

    def approve(summary: Any) -> None:
        decide(settings, summary.run_id, "approved", by="Ada")

    summary = resume_month(settings, looked_at, approve)
    assert (summary.run_id, summary.status, summary.marked["lines"]) == (again, "billed", len(halo.lines()))
    assert approvals()[0][4] == looked_at
    assert resume_month(settings, looked_at, approve).marked == {"invoices": 0, "lines": 0}
    generate_month(Path("exports"), period="2025-11", plant=False)
    other = command("reconcile", *MONTH, "--json").document["run_id"]
    with pytest.raises(Exception, match=other):
        resume_month(settings, looked_at, approve)


def test_killed_at_any_statement_a_decision_is_there_once_or_not_at_all(warehouse: Warehouse) -> None:
    run = {"run_id": "r", "period": "2025-11", "status": "loaded", "blocking_count": 1}
    finding: dict[str, Any] = {**run, "severity": "block", "finding_id": "f" * 24}
    with warehouse.begin() as connection:
        for table, row in ((RUNS, run), (FINDINGS, finding)):
            own = {name: value for name, value in row.items() if name in table.names}
            insert_arrow(connection, table, rows(table, own))
    url = warehouse.engine.url.render_as_string(hide_password=False)
    program = [sys.executable, "-m", "tests.pipelines.die_deciding", url, "r", finding["finding_id"]]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    deaths = done.stdout.splitlines()
    assert sum(death.startswith("before insert into") for death in deaths) == deaths.count("after commit") == 2
