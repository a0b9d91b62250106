"""Parts of a run worked on by Dask workers: each reads its piece of a file and lands the judged rows as Parquet.

A partition is a range of a delimited file's bytes, or a whole file of any other kind. This process cuts the files,
hands out the partitions, takes the rows in order and writes them; a worker gives back only names of Parquet files and
what a part adds up to. A partition whose worker dies is done again by another one: files have names of their own, so
that what a lost worker wrote is never read.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import distributed
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from connectors.exports.delivery import Export
from connectors.exports.reader import LoadPart
from connectors.parts import PartsFolder
from pipelines.extract import Extraction
from pipelines.parts import JudgedPart, PartJudge, PartReport
from transforms.errors import RemoteError
from transforms.membership import Membership, UnknownInvoicesError

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


#: What a worker gives back: the parts of a partition, or invoice keys whose period it was not told.
_Found = list[_Landed] | tuple[str | None, ...]


class _Kept(distributed.WorkerPlugin):  # type: ignore[misc]
    """A value that every worker has, also one that joins later or starts again; sent once to each."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value


def _kept(name: str) -> Any:
    return distributed.get_worker().plugins[name].value


@dataclass(frozen=True)
class _Partition:
    """What one task works on: a range of a file, or the whole export."""

    place: int
    kind: str
    source: LoadPart | Export

    def loads(self) -> Iterator[LoadPart]:
        """What loads its parts, in their order."""
        if isinstance(self.source, Export):
            return self.source.reader().parts()
        return iter([self.source])


def _work(partition: _Partition, judge: str, membership: str, folder: PartsFolder) -> _Found:
    """Work on a partition, in a worker.

    Args:
        partition: the partition.
        judge, membership: names of the `PartJudge` and the `Membership` that the worker has.
        folder: where rows go.

    Returns:
        The parts, or the invoice keys whose period the membership does not tell.
    """
    landed = []
    own_lines = _kept(membership).own_lines
    for load in partition.loads():
        try:
            done: JudgedPart = _kept(judge)(load, partition.kind, partition.place, own_lines)
        except UnknownInvoicesError as error:
            return error.keys
        landed.append(_Landed(done.report, folder.write(done.rows), folder.write(done.lines)))
    return landed


class DaskEngine:
    """Workers of a cluster; see `pipelines.engines.Engine`."""

    #: One part is read ahead while another one is written.
    threads = 1

    def __init__(self, client: distributed.Client, folder: PartsFolder, run_id: str) -> None:
        self._client = client
        self._folder = folder
        self._run_id = run_id
        self._plugins: list[str] = []
        self._memberships: dict[str, tuple[Membership, str]] = {}

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge
    ) -> Iterator[Any]:
        """See `pipelines.engines.Engine.parts`."""
        with _told():
            judge_name = self._keep("judge", judge)
            # Enough that no worker waits while this process writes, and no more, for what is landed lies on disk.
            ahead = 2 * max(1, sum(self._client.nthreads().values()))
            waiting: deque[tuple[_Partition, distributed.Future]] = deque()
            for partition in _partitions(exports):
                waiting.append((partition, self._submit(partition, judge_name, extraction, ())))
                if len(waiting) > ahead:
                    yield from self._given(*waiting.popleft(), judge_name, extraction)
            while waiting:
                yield from self._given(*waiting.popleft(), judge_name, extraction)

    def close(self) -> None:
        """Forget what the workers of a lasting cluster were given."""
        for name in self._plugins:
            with suppress(Exception):
                self._client.unregister_worker_plugin(name)

    def _given(
        self, partition: _Partition, future: distributed.Future, judge: str, extraction: Extraction
    ) -> Iterator[Any]:
        found = future.result()
        if isinstance(found, tuple):
            found = self._submit(partition, judge, extraction, found).result()
        for landed in found:
            yield functools.partial(self._read, landed)

    def _read(self, landed: _Landed) -> JudgedPart:
        return JudgedPart(landed.report, self._folder.take(landed.rows), self._folder.take(landed.lines))

    def _submit(
        self, partition: _Partition, judge: str, extraction: Extraction, keys: tuple[str | None, ...]
    ) -> distributed.Future:
        membership = self._membership(partition.kind, extraction, keys)
        return self._client.submit(_work, partition, judge, membership, self._folder, pure=False)

    def _membership(self, kind: str, extraction: Extraction, keys: tuple[str | None, ...]) -> str:
        """The name by which workers have what is known of a kind's lines; sent when more is known."""
        known = extraction.membership(kind, keys)
        sent, name = self._memberships.get(kind, (None, ""))
        if sent != known:
            name = self._keep(f"membership-{len(self._plugins)}", known)
            self._memberships[kind] = known, name
        return name

    def _keep(self, what: str, value: Any) -> str:
        name = f"{self._run_id}-{what}"
        self._plugins.append(name)
        for attempt in range(_KEEP_ATTEMPTS):
            try:
                self._client.register_plugin(_Kept(name, value), name=name)
                break
            except CommClosedError:
                # A worker went away while it was told; those that are left, and its successor, are told again.
                if attempt == _KEEP_ATTEMPTS - 1:
                    raise
                time.sleep(1)
        return name


def _partitions(exports: Sequence[tuple[int, Export]]) -> Iterator[_Partition]:
    for place, export in exports:
        for source in export.reader().ranges() or (export,):
            yield _Partition(place, export.kind, source)


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
