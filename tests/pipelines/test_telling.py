"""What commands tell people: what was found and is at stake, what stays unbilled, and what to type next."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox
from examples.month import generate_month
from pipelines.aftermath import aftermath
from pipelines.cli import app
from pipelines.finding_list import short_ids
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command
from tests.pipelines.test_feel import Terminal

MONTH = ("--period", "2025-11")
#: What the contract promises of `run --json`, and what was added before it was fixed.
RUN_KEYS = {
    "run_id", "period", "status", "lines", "invoices", "findings", "blocking", "loaded", "marked", "warehouse",
    "seconds", "waived", "changes", "changed", "reports", "notices",
}  # fmt: skip
UNBILLED = [
    "not billed: 3 lines of 1,155.15 USD: the exports have no document of invoice G127110787",
    "not billed: 412.60 CHF of invoice G127110794: the exports have no line of it",
    "not billed: 2,344.91 EUR of invoice G127110741: it is that much more than the lines that could be read",
]


def test_a_month_tells_what_is_at_stake_until_it_is_billed(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    dry = command("run", *MONTH, "--dry-run")
    assert dry.code == 1
    assert re.search(r"ABOVE_ERP +block +3 +545\.28 GBP, 1,079\.10 USD\n", dry.out)
    assert re.search(r"G127110741 +mismatch +12696\.09 +10351\.18 +-2344\.91 +EUR\n", dry.out)
    assert "18 block, 9 warn open; leaks at most 412.60 CHF, 2,356.10 EUR, 589.86 GBP, 1,085.76 USD" in dry.out
    assert "nothing was sent to HaloPSA" in dry.out
    run_id = re.findall(r"^run (\S+) of 2025-11: reconciled$", dry.out, re.M)[0]
    assert re.search(rf"^next: .*`csp-billing load {run_id}`$", dry.out, re.M)
    again = command("reconcile", *MONTH)
    assert f"nothing changed since run {run_id} of {datetime.now(UTC):%Y-%m-%d}" in again.out

    run = command("run", *MONTH, "--report", "--json")
    assert set(run.document) == RUN_KEYS
    run_id = run.document["run_id"]
    page = Path(".csp-billing", "reports", run_id, "reconciliation.html")
    assert "Nobody" not in page.read_text(encoding="utf-8")
    assert "18 findings block" in page.read_text(encoding="utf-8")
    assert f"csp-billing cut-values {run_id}" in run.err
    cut = command("cut-values", run_id, "--json").document
    assert f"{len(cut)} values were cut to HaloPSA's limits" in run.err
    assert {one["what"] for one in cut} <= {"cut", "left_out"}

    command("approve", run_id, "--by", "Ada Lovelace")
    approved = f"approved by Ada Lovelace on {datetime.now(UTC):%Y-%m-%d}"
    status = command("status").out
    assert "awaiting_approval" in status
    assert approved in status
    assert f"next: mark it as billed with `csp-billing mark-billed {run_id}`" in status
    marked = command("mark-billed", run_id)
    told = marked.out.splitlines()
    assert marked.code == 1
    assert [line for line in told if line in UNBILLED] == UNBILLED
    assert re.search(rf"^{approved}.*; 18 findings of severity block stay open: exit code 1$", marked.out, re.M)
    assert f"newly marked as billed: {halo.summary()['invoices_billed']} invoices, 195 lines" in marked.out
    assert "invoice G127110794 has no line in HaloPSA" in marked.err
    assert "Ada Lovelace approved it" in page.read_text(encoding="utf-8"), "the report was renewed"
    assert str(page) in marked.out
    halo.requests.clear()
    rerun = command("run", *MONTH)
    assert rerun.out.startswith("run 2025-11-")
    assert f": billed, {approved}" in rerun.out.splitlines()[0]
    assert {request for request in halo.requests if request.startswith("POST")} == {"POST auth/token"}


def test_findings_are_listed_whole_months_first_and_explained_by_what_their_ids_begin_with(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11")
    whole = command("reconcile", *MONTH, "--json").document["run_id"]
    found = command("findings", "--json").document
    tenant = next(one["customer_id"] for one in found if one["customer_name"] == "Contoso Dental")
    by_name = command("reconcile", *MONTH, "--customer", "contoso dental")
    assert (by_name.code, by_name.err.count(" (Contoso Dental)"), tenant in by_name.err) == (2, 2, True)
    part = command("reconcile", *MONTH, "--customer", tenant)
    assert f"only customer {tenant}" in part.out
    (part_id,) = re.findall(r"^run (\S+) ", part.out, re.M)

    listed = command("findings")
    assert f"27 findings of run {whole} of 2025-11: 18 block, 9 warn" in listed.err
    assert f"csp-billing findings --run {part_id}" in listed.err
    assert f"Contoso Dental ({tenant[:8]})" in listed.out
    assert "Fabrikam, Inc. (" not in listed.out
    warned = command("findings", "--severity", "warn", "--json").document
    assert {one["severity"] for one in warned} == {"warn"}
    above = next(one for one in found if one["code"] == "ABOVE_ERP")
    command("waivers", "add", above["finding_id"][:8], "--by", "Ada", "--reason", "agreed", "--until", "2999-12-31")
    assert len(command("findings", "--open", "--run", whole, "--json").document) == 26

    by_line = command("explain", above["line_id"][:10], "--json").document
    assert command("explain", above["finding_id"][:10], "--json").document == by_line
    assert by_line["line_id"] == above["line_id"]
    about_invoice = next(one for one in found if one["code"] == "INVOICE_WITHOUT_LINES")
    explained = command("explain", about_invoice["finding_id"][:8])
    assert about_invoice["message"] in explained.out
    assert "add its reconciliation file" in explained.out
    for given, what in (("ffff00001111", "no line and no finding ffff00001111"), ("Contoso", "is no line and")):
        refused = command("explain", given)
        assert (refused.code, what in refused.err) == (2, True)

    # On a terminal each is one line, at any width, but for sentences that say all there is.
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(sys, "argv", ["csp-billing", "findings", "--code", "TOTAL_MISMATCH"])
    monkeypatch.setattr(sys, "stdout", terminal)
    app(standalone_mode=False)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    own = [one for one in found if one["code"] == "TOTAL_MISMATCH"]
    for one in own:
        assert len([line for line in lines if one["finding_id"][:8] in line]) == 1
    assert short_ids(["a" * 24, "a" * 9 + "b" * 15]) == {"a" * 24: "a" * 10, "a" * 9 + "b" * 15: "a" * 9 + "b"}


def test_ids_that_begin_alike_are_named(command: Command) -> None:
    """Of every line some two begin with the same digits, if these are few enough."""
    from connectors.warehouse import lines

    generate_month(Path("exports"), period="2025-11")
    command("reconcile", *MONTH)
    from connectors.warehouse.engine import open_warehouse
    from transforms.errors import InputError

    with (
        open_warehouse(load_settings().warehouse).read() as connection,
        pytest.raises(InputError, match=r"several begin with 1: line 1\w{23}, .* and more; write more of it"),
    ):
        lines.find_named(connection, "1")


def test_what_did_not_come_to_its_end_says_where_it_stands(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    began = datetime.now(UTC)
    command("warehouse", "upgrade")
    assert aftermath(load_settings(), began, period="2025-11").startswith("nothing of it was stored")
    halo.faults.append(Fault("POST cspconsumptiondata/manage", "403-before", nth=2, times=99))
    failed = command("run", *MONTH)
    assert failed.code == 3
    last = failed.err.splitlines()[-1]
    assert re.search(r"lines are in HaloPSA and 0 billed, and nothing is ever sent twice; next: .*`csp-billing ", last)
    (run_id,) = re.findall(r"run (\S+) is stored \(reconciled\)", last)
    again = command("load", run_id)
    assert (again.code, f"next: load it with `csp-billing load {run_id}`" in again.err.splitlines()[-1]) == (3, True)


def test_an_interrupt_is_one_line(tmp_path: Path) -> None:
    generate_month(tmp_path / "exports", period="2025-11")
    root = Path(__file__).parents[2]
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from pipelines.cli import main"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}; print('ready', flush=True); main()", "reconcile", *MONTH],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 60
        # Its transaction is open.
        while not (tmp_path / ".csp-billing" / "warehouse.duckdb.wal").exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip().startswith("csp-billing: interrupted; ")
    assert "Traceback" not in err
