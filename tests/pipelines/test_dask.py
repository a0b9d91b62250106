"""Dask's workers, each reading its piece, write what the threads of one process write."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.exports import delimited, limits
from connectors.parts import PartsFolder
from examples.month import generate_month
from tests.pipelines.conftest import Command, Outcome
from tests.pipelines.stored import TABLES, in_three_files, stored

distributed = pytest.importorskip("distributed", reason="Dask is not installed")



@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are cut where large ones would be, into ranges of 16 KiB."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 16 << 10)
    monkeypatch.setattr(limits, "CHUNK_BYTES", 16 << 10)
    monkeypatch.setattr("pipelines.dask_engine.WORKERS", 2)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster that is there already, in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as made:
        yield made


Reconcile = Callable[[str, str], Outcome]


@pytest.fixture
def reconcile(command: Command, monkeypatch: pytest.MonkeyPatch) -> Reconcile:
    """Reconciles the month by an engine, in a working folder of its own that has its name."""

    def run(engine: str, address: str = "") -> Outcome:
        monkeypatch.setenv("CSP_BILLING_HOME", engine)
        monkeypatch.setenv("CSP_BILLING_ENGINE", engine)
        monkeypatch.setenv("CSP_BILLING_DASK_ADDRESS", address)
        return command("reconcile", "--period", "2025-11", "--json")

    return run


def same(local: Outcome, dask: Outcome) -> None:
    """Both ended alike, wrote the same, and left no part behind."""
    assert (local.code, local.document["findings"]) == (dask.code, dask.document["findings"]), dask.err
    one, other = stored("local"), stored("dask")
    assert {name: len(rows) for name, rows in one.items()} == {name: len(rows) for name, rows in other.items()}
    assert one == other
    assert list(Path("dask/parts").iterdir()) == []


def test_worker_processes_give_what_threads_give(reconcile: Reconcile) -> None:
    """With rows in quarantine, an invoice without a document, ranges of a file and a packed one."""
    generate_month(Path("exports"), period="2025-11")
    local = reconcile("local", "")
    assert local.document["findings"]["ROW_REJECTED"] == 3
    assert local.document["findings"]["INVOICE_NOT_FOUND"] == 1
    same(local, reconcile("dask", ""))
    assert multiprocessing.active_children() == []


def test_a_cluster_reads_text_gzip_and_json_alike_and_forgets_the_run(reconcile: Reconcile, cluster: Any) -> None:
    generate_month(Path("exports"), period="2025-11")
    in_three_files()
    local = reconcile("local", "")
    before = set(next(iter(cluster.workers.values())).plugins)
    same(local, reconcile("dask", cluster.scheduler_address))
    assert set(next(iter(cluster.workers.values())).plugins) == before
    lines = len(stored("local")["src_daily_usage"])
    assert lines > 300


def at_the_first_part(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> list[str]:
    """Let something happen once, when this process takes the first rows that a worker has landed."""
    taken: list[str] = []
    take = PartsFolder.take

    def taking(folder: PartsFolder, name: str) -> pa.Table:
        taken.append(name)
        if len(taken) == 1:
            happens()
        return take(folder, name)

    monkeypatch.setattr(PartsFolder, "take", taking)
    return taken


def test_what_a_killed_worker_had_is_done_again(reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_month(Path("exports"), period="2025-11")
    killed: list[int] = []

    def kill() -> None:
        pid = multiprocessing.active_children()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    taken = at_the_first_part(monkeypatch, kill)
    same(reconcile("local", ""), reconcile("dask", ""))
    assert killed
    assert len(taken) > 10


def test_a_cluster_that_goes_away_leaves_nothing_written(
    reconcile: Reconcile, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11")
    monkeypatch.setattr("pipelines.dask_engine._CONNECT_SECONDS", 1)
    at_the_first_part(monkeypatch, cluster.close)
    outcome = reconcile("dask", cluster.scheduler_address)
    assert (outcome.code, "workers were lost" in outcome.err) == (3, True), outcome.err
    assert [len(rows) for rows in stored("dask").values()] == [0] * (len(TABLES) + 1)
    assert list(Path("dask/parts").iterdir()) == []


def test_an_unreachable_cluster_is_told_in_a_line(reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_month(Path("exports"), period="2025-11")
    monkeypatch.setattr("pipelines.dask_engine._CONNECT_SECONDS", 1)
    outcome = reconcile("dask", "tcp://127.0.0.1:1")
    assert (outcome.code, outcome.err.count("\n"), "127.0.0.1:1" in outcome.err) == (3, 1, True), outcome.err
    assert list(Path("dask/parts").iterdir()) == []


def test_a_missing_dask_is_told_with_what_to_install(reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_month(Path("exports"), period="2025-11")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else found(name))
    outcome = reconcile("dask", "")
    assert (outcome.code, "pip install 'csp-billing[dask]'" in outcome.err) == (2, True), outcome.err


def test_parts_that_cannot_be_kept_are_told(reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_month(Path("exports"), period="2025-11")
    Path("file").write_text("")
    monkeypatch.setenv("CSP_BILLING_PARTS", "file")
    outcome = reconcile("dask", "")
    assert (outcome.code, outcome.err.count("\n"), "parts" in outcome.err) == (2, 1, True), outcome.err


@pytest.mark.parametrize("values", [["a", None, "b"], ["a", "b", "a"], []])
def test_dictionaries_that_parquet_cannot_have_keep_their_values(tmp_path: Path, values: list[str | None]) -> None:
    codes = pa.array([0, 1, 2, None] if values else [None], pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string()))
    prices = pa.array([123456789] * len(codes), pa.int64()).cast(pa.decimal128(38, 15))
    rows = pa.table({"text": texts, "price": prices})
    folder = PartsFolder.make(str(tmp_path), "run")
    name = folder.write(rows)
    taken = folder.take(name)
    assert taken.to_pylist() == rows.to_pylist()
    assert [field.type for field in taken.schema] == [field.type for field in rows.schema]
    assert list(Path(folder.location).iterdir()) == []
    folder.remove()
    assert not Path(folder.location).exists()
