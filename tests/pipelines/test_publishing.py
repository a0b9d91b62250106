"""Analysts read while billing goes on: the copy is renewed after each run, and no reader of it is in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from tests.pipelines.conftest import Command
from tests.pipelines.test_month import query, warehouse_url

__all__ = ["warehouse_url"]

COPY = Path(".csp-billing/snapshot/warehouse.duckdb")

#: Another process that opens a file for reading, as an analyst's tool does, and answers questions about it.
_READER = """
import itertools
import sys
import duckdb
reader = duckdb.connect(sys.argv[1], read_only=True)
for question in itertools.chain(["select 1"], sys.stdin):
    print(reader.execute(question).fetchone()[0], flush=True)
"""


class Reader:
    """An analyst's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str) -> str:
        assert self._process.stdin is not None
        print(question, file=self._process.stdin, flush=True)
        return self.answer()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def reading(file: Path) -> Iterator[Reader]:
    command = [sys.executable, "-c", _READER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        reader = Reader(process)
        assert reader.answer() == "1"
        yield reader


def copied(question: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(COPY), read_only=True) as copy:
        return copy.sql(question).fetchall()


def test_a_run_publishes_what_it_did_and_so_does_what_follows(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    generate_month(Path("exports"), period="2025-11")
    run = command("run", "--period", "2025-11", "--json").document
    assert copied("select status from out_runs") == [("awaiting_approval",)]
    assert copied("select count(halo_id), bool_or(is_billed) from out_lines") == [(run["loaded"]["lines"], False)]
    command("mark-billed", run["run_id"], "--approve")
    assert copied("select status from out_runs") == [("billed",)]
    assert copied("select count(*) from out_lines where is_billed") == [(run["loaded"]["lines"],)]
    at = COPY.parent.resolve()
    command("reconcile", "--period", "2025-11", "--code", "ABOVE_ERP")
    assert COPY.parent.resolve() == at, "a part of a month is nobody's result"


def test_every_run_is_kept_and_the_latest_is_shown(warehouse_url: str, command: Command) -> None:
    planted = generate_month(Path("exports"), period="2025-11")
    first = command("reconcile", "--period", "2025-11", "--json").document
    generate_month(Path("exports"), period="2025-11", plant=False)
    second = command("reconcile", "--period", "2025-11", "--json").document
    both = {first["run_id"], second["run_id"]}
    for table in ("runs", "lines", "invoice_tieout", "run_files", "out_runs", "out_invoice_tieout"):
        assert {row["run_id"] for row in query(f"select distinct run_id from {table}")} == both, table
    assert query("select count(*) as kept from lines") == [{"kept": first["lines"] + second["lines"]}]
    assert query("select run_id, count(*) as kept from out_findings group by run_id") == [
        {"run_id": first["run_id"], "kept": len(planted.rows)}
    ]
    assert query("select period, run_id from latest_runs") == [{"period": "2025-11", "run_id": second["run_id"]}]
    assert query("select run_id, count(*) as shown from out_lines group by run_id") == [
        {"run_id": second["run_id"], "shown": second["lines"]}
    ]


def test_nothing_is_published_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setenv("CSP_BILLING_SNAPSHOT", "false")
    generate_month(Path("exports"), period="2025-11")
    assert command("reconcile", "--period", "2025-11").code == 1
    assert not COPY.exists()
    assert command("warehouse", "snapshot").code == 0
    assert COPY.exists()


def test_a_copy_that_cannot_be_published_is_a_notice(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    COPY.parent.mkdir(parents=True)
    outcome = command("reconcile", "--period", "2025-11", "--json")
    assert (outcome.code, outcome.document["status"]) == (0, "reconciled")
    (notice,) = outcome.document["notices"]
    assert notice.startswith("the analysts' copy is not renewed: the snapshot cannot be written")
    assert notice in outcome.err
    told = command("warehouse", "snapshot")
    assert (told.code, told.err.count("\n")) == (2, 1)


def test_a_reader_of_the_copy_is_in_nobody_s_way(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    first = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    with reading(COPY) as reader:
        runs = [command("reconcile", "--period", "2025-11", "--json").document["run_id"] for _ in range(3)]
        assert reader.ask("select run_id from latest_runs") == first
        assert reader.ask("select count(distinct run_id) from out_lines") == "1"
    assert copied("select run_id from latest_runs") == [(runs[-1],)]


def test_a_reader_of_the_warehouse_itself_is_named_and_nothing_is_half_done(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_warehouse, "__defaults__", (1,))
    generate_month(Path("exports"), period="2025-11")
    first = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    # A command is a process of its own, which has not reached the warehouse before.
    monkeypatch.setattr("connectors.warehouse.engine._reached", set())
    with reading(Path(".csp-billing/warehouse.duckdb")) as reader:
        blocked = command("reconcile", "--period", "2025-11")
        assert (blocked.code, blocked.err.count("\n")) == (2, 1)
        assert "in use by process" in blocked.err
        assert "csp-billing warehouse snapshot" in blocked.err
        assert command("findings", "--run", first).code == 0, "reading goes on beside a reader"
        assert reader.ask("select count(*) from out_runs") == "1"
    assert command("reconcile", "--period", "2025-11").code == 1
    assert query("select count(*) as runs from out_runs") == [{"runs": 2}]
