"""Worker processes write what threads write, and neither they nor their files outlive a run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.exports import delimited, limits
from connectors.handover import take_over
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.runs import read_lines
from examples.month import generate_month
from pipelines.processes import ProcessEngine
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command, Outcome
from tests.pipelines.stored import TABLES, in_three_files, stored
from tests.warehouse.rows import stored_source

Reconcile = Callable[[str, int], Outcome]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files are cut where large ones would be, and the files of this test's runs are told from others'."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 16 << 10)
    monkeypatch.setattr(limits, "CHUNK_BYTES", 16 << 10)
    monkeypatch.setattr("pipelines.engines.WORKERS", 3)
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))


@pytest.fixture
def reconcile(command: Command, monkeypatch: pytest.MonkeyPatch) -> Reconcile:
    """Reconciles the month in a working folder of its own; in processes where files have so many bytes."""

    def run(home: str, many_bytes: int) -> Outcome:
        monkeypatch.setenv("CSP_BILLING_HOME", home)
        monkeypatch.setattr("pipelines.engines.MANY_BYTES", many_bytes)
        return command("reconcile", "--period", "2025-11", "--json")

    return run


def left() -> tuple[list[Any], list[Path]]:
    """Worker processes and their files that are still there."""
    return multiprocessing.active_children(), list(Path(tempfile.gettempdir()).iterdir())


@pytest.mark.parametrize("workers_are_ahead", [False, True])
def test_processes_write_what_threads_write(
    reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch, workers_are_ahead: bool
) -> None:
    """Ranges of a file, packed text, JSON Lines, rows in quarantine, and an invoice without a document."""
    monkeypatch.setattr(ProcessEngine, "_workers_are_ahead", lambda _: workers_are_ahead)
    generate_month(Path("exports"), period="2025-11")
    in_three_files()
    threads, workers = reconcile("threads", 1 << 40), reconcile("workers", 0)
    assert threads.document["findings"]["ROW_REJECTED"] > 3
    assert threads.document["findings"]["INVOICE_NOT_FOUND"] == 1
    assert (threads.code, threads.document["findings"]) == (workers.code, workers.document["findings"]), workers.err
    assert stored("threads") == stored("workers")
    assert left() == ([], [])


def test_processes_write_to_postgresql_what_threads_write_to_duckdb(
    reconcile: Reconcile, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11")
    found = [_rows(reconcile("threads", 1 << 40))]
    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", postgresql_url)
    found.append(_rows(reconcile("workers", 0)))
    assert found[0] == found[1]
    assert len(found[0]["daily_usage"]) > 300


def _rows(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    """The delivered and the judged lines that a run wrote."""
    run_id = outcome.document["run_id"]
    with open_warehouse(load_settings().warehouse).read() as connection:
        tables = {kind: stored_source(connection, kind, "2025-11") for kind in ("invoice_recon", "daily_usage")}
        tables["lines"] = read_lines(connection, run_id).drop_columns("run_id")
    place = [("source_file", "ascending"), ("source_row", "ascending")]
    return {name: table.sort_by(place).to_pylist() for name, table in tables.items()}


def test_a_worker_that_is_killed_leaves_nothing_written(
    reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11")
    take = take_over
    killed: list[int] = []

    def taking(*arguments: Any, **options: Any) -> Any:
        for child in multiprocessing.active_children() if not killed else ():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)
        return take(*arguments, **options)

    monkeypatch.setattr("pipelines.processes.take_over", taking)
    outcome = reconcile("workers", 0)
    assert (outcome.code, outcome.err.count("\n"), "worker process ended" in outcome.err) == (3, 1, True), outcome.err
    assert len(killed) == 2
    assert [len(rows) for rows in stored("workers").values()] == [0] * (len(TABLES) + 1)
    assert left() == ([], [])


#: Without the guard that multiprocessing asks of a program.
_KILLED_WHILE_WRITING = """
import os, signal
from connectors.exports import delimited, limits
from connectors.warehouse.period_lines import PeriodLines
from pipelines import engines
from pipelines.cli import main

delimited.BLOCK_BYTES = limits.CHUNK_BYTES = 16 << 10
engines.MANY_BYTES, engines.WORKERS = 0, 3
PeriodLines.write = lambda self, lines: os.kill(os.getpid(), signal.SIGKILL)
main()
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    generate_month(tmp_path / "exports", period="2025-11")
    temporary = tmp_path / "killed"
    temporary.mkdir()
    arguments = ["reconcile", "--period", "2025-11", "--exports", str(tmp_path / "exports")]
    program = tmp_path / "program.py"
    program.write_text(_KILLED_WHILE_WRITING)
    # In a process group of its own, by which the workers that are left can be told.
    killed = subprocess.Popen(
        [sys.executable, str(program), *arguments],
        env={**os.environ, "CSP_BILLING_HOME": str(tmp_path / "home"), "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    assert killed.wait(timeout=120) == -signal.SIGKILL
    give_up_at = time.monotonic() + 30
    while _lives(killed.pid) or list(temporary.iterdir()):
        assert time.monotonic() < give_up_at, "workers or their files are left"
        time.sleep(0.1)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
