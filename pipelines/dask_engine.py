"""Parts of a run worked on by Dask workers: each reads its piece of a file and lands the judged rows as Parquet.

A partition is a range of a delimited file's bytes, or a whole file of any other kind. A partition whose worker dies is
done again by another one: files have names of their own, so that what a lost worker wrote is never read.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import distributed
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from connectors.exports.delivery import Export
from connectors.parts import PartsFolder
from connectors.warehouse.period_lines import LinePreparer
from pipelines.extract import Extraction
from pipelines.partitions import Partition, Workers, work
from pipelines.parts import GivePart, JudgedPart, PartJudge, PartReport, PreparedPart
from transforms.errors import RemoteError

#: How many worker processes are started where no cluster is named.
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_CONNECT_SECONDS = 10
_KEEP_ATTEMPTS = 5
#: What Dask raises when workers or scheduler are lost.
_LOST = (distributed.KilledWorker, CommClosedError, FutureCancelledError, TimeoutError)


@dataclass(frozen=True)
class _Landed:
    """A judged part whose rows are files."""

    report: PartReport
    rows: str
    lines: str


class _Kept(distributed.WorkerPlugin):  # type: ignore[misc]
    """A value that every worker has, also one that joins later or starts again; sent once to each."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value


def _kept(name: str) -> Any:
    return distributed.get_worker().plugins[name].value


def _work(
    partition: Partition, judge: str, membership: str, folder: PartsFolder
) -> list[_Landed] | tuple[str | None, ...]:
    """Work on a partition, in a worker that has judge and membership by these names."""

    def land(done: JudgedPart) -> _Landed:
        return _Landed(done.report, folder.write(done.rows), folder.write(done.lines))

    return work(partition, _kept(judge), _kept(membership), land)


class DaskEngine(Workers[_Landed]):
    """Workers of a cluster."""

    #: One part is read ahead while another one is written.
    threads = 1

    def __init__(self, client: distributed.Client, folder: PartsFolder, run_id: str) -> None:
        super().__init__()
        self._client = client
        self._folder = folder
        self._run_id = run_id
        self._plugins: list[str] = []

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge, prepare: LinePreparer
    ) -> Iterator[GivePart]:
        """See `pipelines.engines.Engine.parts`."""
        with _told():
            yield from super().parts(exports, extraction, judge, prepare)

    def close(self) -> None:
        """Forget what the workers of a lasting cluster were given."""
        for name in self._plugins:
            with suppress(Exception):
                self._client.unregister_worker_plugin(name)

    def _begin(self, judge: PartJudge, prepare: LinePreparer) -> None:
        self._tell("judge", judge)
        self._prepare = prepare

    def _ahead(self) -> int:
        # What is landed lies on disk.
        workers: int = sum(self._client.nthreads().values())
        return 2 * max(1, workers)

    def _partitions(self, exports: Sequence[tuple[int, Export]]) -> Iterator[Partition]:
        for place, export in exports:
            for source in export.reader().ranges() or (export,):
                yield Partition(place, export.kind, source)

    def _submit(self, partition: Partition, membership: str) -> distributed.Future:
        judge, known = self._own("judge"), self._own(membership)
        return self._client.submit(_work, partition, judge, known, self._folder, pure=False)

    def _taken(self, landed: _Landed) -> PreparedPart:
        rows, lines = self._folder.take(landed.rows), self._folder.take(landed.lines)
        return JudgedPart(landed.report, rows, lines).prepared(self._prepare)

    def _own(self, name: str) -> str:
        return f"{self._run_id}-{name}"

    def _tell(self, name: str, value: Any) -> None:
        own = self._own(name)
        self._plugins.append(own)
        for attempt in range(_KEEP_ATTEMPTS):
            try:
                self._client.register_plugin(_Kept(own, value), name=own)
                break
            except CommClosedError:
                # A worker went away while it was told; those that are left, and its successor, are told again.
                if attempt == _KEEP_ATTEMPTS - 1:
                    raise
                time.sleep(1)
            except (AttributeError, OSError) as error:
                # A client whose scheduler is gone has none any more, or cannot connect to it again.
                if isinstance(error, AttributeError) and self._client.scheduler is not None:
                    raise
                raise CommClosedError("the scheduler is gone") from None


@contextmanager
def open_dask(address: str, parts: str, run_id: str) -> Iterator[DaskEngine]:
    """A Dask cluster for one run.

    Args:
        address: of its scheduler; empty to start workers on this machine, which end with the run.
        parts: folder or URL in which the run's parts lie until they are written.
        run_id: the run's id.

    Raises:
        SettingsError: the folder cannot be made.
        RemoteError: the scheduler cannot be reached, has no workers, or a worker cannot load what it needs.
    """
    folder = PartsFolder.make(parts, run_id)
    try:
        with _connected(address) as client:
            engine = DaskEngine(client, folder, run_id)
            try:
                yield engine
            finally:
                if address:
                    engine.close()
    finally:
        folder.remove()


@contextmanager
def _connected(address: str) -> Iterator[distributed.Client]:
    if address:
        try:
            client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RemoteError(f"the Dask scheduler {address} cannot be reached: {error}; check its address") from None
        with client:
            if not client.nthreads():
                raise RemoteError(f"the Dask scheduler {address} has no workers: start some")
            yield client
        return
    # Whoever can talk to a scheduler can run code: on loopback, and with certificates that only these processes have.
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0,
            silence_logs=logging.CRITICAL, security=distributed.Security.temporary(),
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


@contextmanager
def _told() -> Iterator[None]:
    """Tell in one line that workers were lost."""
    try:
        yield
    except _LOST as error:
        raise RemoteError(f"Dask workers were lost ({error}): nothing is written, run again") from error
