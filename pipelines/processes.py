"""Parts of a run worked on by other processes of this machine, because threads of one share its interpreter.

Each worker gets pieces of whole rows: as a range of the file where that can be cut, else as bytes. The workers end with
the run, also when this process is killed.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.exports.delivery import Export
from connectors.handover import Handed, hand_over, hand_over_prepared, take_over, take_over_prepared
from connectors.unfinished import remove_left, temporary_folder
from connectors.warehouse.period_lines import LinePreparer
from pipelines.extract import Extraction
from pipelines.partitions import Partition, Workers, work
from pipelines.parts import GivePart, JudgedPart, PartJudge, PartReport, PreparedPart
from pipelines.threads import collect_rarely
from transforms.errors import RemoteError

#: What the name of a run's folder begins with.
_FOLDER = "csp-billing-parts-"


class _Judged(NamedTuple):
    """A part whose rows are files."""

    report: PartReport
    rows: Path
    lines: Path


class _Prepared(NamedTuple):
    """A part that is ready to be written, whose prepared rows are files."""

    part: PreparedPart
    handed: tuple[Handed, ...]


_Landed = _Judged | _Prepared


class ProcessEngine(Workers[_Landed]):
    """Worker processes of this machine, for one run."""

    #: One part is taken ahead while another one is written.
    threads = 1

    def __init__(self, pool: ProcessPoolExecutor, count: int, folder: Path) -> None:
        super().__init__()
        self._pool = pool
        self._count = count
        self._folder = folder
        self._under_way: deque[Future[Any]] = deque(maxlen=self._ahead())

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge, prepare: LinePreparer
    ) -> Iterator[GivePart]:
        """See `pipelines.engines.Engine.parts`."""
        try:
            yield from super().parts(exports, extraction, judge, prepare)
            # What is left to be done is this process's, which may need their memory.
            self._pool.shutdown()
        except BrokenProcessPool:
            raise RemoteError(
                "a worker process ended before its time, as when memory runs out: nothing is written, run again"
            ) from None

    def _begin(self, judge: PartJudge, prepare: LinePreparer) -> None:
        self._prepare = prepare
        self._tell("judge", judge)
        self._tell("prepare", prepare)
        for _ in range(self._count):
            # They take the price lists in while this process waits for the first file's digest.
            self._pool.submit(_prepare, self._folder)

    def _ahead(self) -> int:
        return self._count + 3

    def _partitions(self, exports: Sequence[tuple[int, Export]]) -> Iterator[Partition]:
        for place, export in exports:
            reader = export.reader()
            for source in reader.ranges() or reader.parts():
                yield Partition(place, export.kind, source)

    def _tell(self, name: str, value: Any) -> None:
        (self._folder / name).write_bytes(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def _submit(self, partition: Partition, membership: str) -> Future[Any]:
        # Whoever waits for the other makes the rows ready: that takes a tenth of a worker's time (measured). To encode
        # them for PostgreSQL takes far more, and is always a worker's.
        prepares = self._prepare.dialect == "postgresql" or self._workers_are_ahead()
        self._under_way.append(self._pool.submit(_work, partition, membership, self._folder, prepares))
        return self._under_way[-1]

    def _workers_are_ahead(self) -> bool:
        """Whether all that was handed out is done, but for what they are at: it waits to be written."""
        return sum(not future.done() for future in self._under_way) <= self._count

    def _taken(self, landed: _Landed) -> PreparedPart:
        if isinstance(landed, _Judged):
            return JudgedPart(landed.report, take_over(landed.rows), take_over(landed.lines)).prepared(self._prepare)
        prepared = tuple(take_over_prepared(handed) for handed in landed.handed)
        return landed.part._replace(lines=landed.part.lines._replace(prepared=prepared))


def remove_left_folders() -> None:
    """Remove the folders of runs that were killed together with their workers, or after these had ended."""
    remove_left(_FOLDER)


@contextmanager
def open_processes(count: int) -> Iterator[ProcessEngine]:
    """Start worker processes for one run; they end with it."""
    with temporary_folder(_FOLDER) as folder:
        # Not forked: this process has threads, of which a fork would keep the locks and nothing else.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(count, context, initializer=_begin_worker, initargs=(str(folder),))
        try:
            with _nameless_program():
                for _ in range(count):
                    # They load what they need while this process indexes the price lists.
                    pool.submit(os.getpid)
            yield ProcessEngine(pool, count, folder)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _nameless_program() -> Iterator[None]:
    """A new process runs the program's main module once more, which needs not be written for that: hide it."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _begin_worker(folder: str) -> None:
    # The process that started it says when it is to stop, also when somebody presses Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pa.set_cpu_count(1)
    collect_rarely()
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()


def _end_with_parent(folder: str) -> None:
    """A worker waits for work for ever when the process that gives it is killed, and its files would stay."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@functools.cache
def _told(file: Path) -> Any:
    return pickle.loads(file.read_bytes())  # noqa: S301


def _prepare(folder: Path) -> None:
    for name in ("judge", "prepare"):
        _told(folder / name)


def _work(
    partition: Partition, membership: str, folder: Path, prepares: bool
) -> list[_Landed] | tuple[str | None, ...]:
    """Work on a partition, in a worker; with `prepares` its rows are made ready to be written."""

    def land(done: JudgedPart) -> _Landed:
        if not prepares:
            return _Judged(done.report, hand_over(done.rows, folder), hand_over(done.lines, folder))
        part = done.prepared(_told(folder / "prepare"))
        handed = tuple(hand_over_prepared(prepared, folder) for prepared in part.lines.prepared)
        return _Prepared(part._replace(lines=part.lines._replace(prepared=())), handed)

    return work(partition, _told(folder / "judge"), _told(folder / membership), land)
