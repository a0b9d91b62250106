"""Parts of a run worked on by other processes: what is handed to them, and what they give back.

This process cuts the files, hands out the partitions, takes the parts in order and writes them. A worker lands the
rows as files and gives back their names and what a part adds up to.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from connectors.exports.delivery import Export
from connectors.exports.reader import LoadPart
from connectors.warehouse.period_lines import LinePreparer
from pipelines.extract import Extraction
from pipelines.parts import GivePart, JudgedPart, PartJudge, PreparedPart
from pipelines.threads import read_ahead
from transforms.membership import Membership, UnknownInvoicesError

#: A judged part as a worker leaves it.
L = TypeVar("L")


@dataclass(frozen=True)
class Partition:
    """What one task works on: something that loads a part, or the whole export."""

    place: int
    kind: str
    source: LoadPart | Export

    def loads(self) -> Iterator[LoadPart]:
        """What loads its parts, in their order."""
        if isinstance(self.source, Export):
            return self.source.reader().parts()
        return iter([self.source])


def work(
    partition: Partition, judge: PartJudge, membership: Membership, land: Callable[[JudgedPart], L]
) -> list[L] | tuple[str | None, ...]:
    """Work on a partition, in a worker.

    Args:
        partition: the partition.
        judge, membership: what the workers of the run have.
        land: puts a part where this process's rows go, and tells what the other process has to know.

    Returns:
        The parts, or the invoice keys whose period the membership does not tell.
    """
    landed = []
    for load in partition.loads():
        try:
            landed.append(land(judge(load, partition.kind, partition.place, membership.own_lines)))
        except UnknownInvoicesError as error:
            return error.keys
    return landed


class Outcome(Protocol):
    """A task that another process does."""

    def result(self) -> Any:
        """What `work` returned; waits for it."""
        ...


class Workers(ABC, Generic[L]):
    """Other processes that work on the partitions of one run; see `pipelines.engines.Engine`."""

    def __init__(self) -> None:
        self._memberships: dict[str, tuple[Membership, str]] = {}
        self._told = 0

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge, prepare: LinePreparer
    ) -> Iterator[GivePart]:
        """See `pipelines.engines.Engine.parts`."""
        self._begin(judge, prepare)
        ahead = self._ahead()
        waiting: deque[tuple[Partition, Outcome]] = deque()
        for partition in read_ahead(self._partitions(exports)):
            waiting.append((partition, self._submitted(partition, extraction, ())))
            if len(waiting) > ahead:
                yield from self._given(*waiting.popleft(), extraction)
        while waiting:
            yield from self._given(*waiting.popleft(), extraction)

    def _given(self, partition: Partition, outcome: Outcome, extraction: Extraction) -> Iterator[GivePart]:
        found = outcome.result()
        if isinstance(found, tuple):
            found = self._submitted(partition, extraction, found).result()
        for landed in found:
            yield functools.partial(self._taken, landed)

    def _submitted(self, partition: Partition, extraction: Extraction, keys: tuple[str | None, ...]) -> Outcome:
        known = extraction.membership(partition.kind, keys)
        sent, name = self._memberships.get(partition.kind, (None, ""))
        if sent != known:
            self._told += 1
            name = f"membership-{self._told}"
            self._tell(name, known)
            self._memberships[partition.kind] = known, name
        return self._submit(partition, name)

    @abstractmethod
    def _begin(self, judge: PartJudge, prepare: LinePreparer) -> None:
        """Tell the workers what they need of this run."""

    @abstractmethod
    def _ahead(self) -> int:
        """How many partitions are handed out before the first is taken: enough that no worker waits, and no more."""

    @abstractmethod
    def _partitions(self, exports: Sequence[tuple[int, Export]]) -> Iterator[Partition]:
        """The exports cut into what is handed out."""

    @abstractmethod
    def _tell(self, name: str, value: Any) -> None:
        """Let every worker have a value by a name."""

    @abstractmethod
    def _submit(self, partition: Partition, membership: str) -> Outcome:
        """Hand out a partition with the name of the membership that is known."""

    @abstractmethod
    def _taken(self, landed: L) -> PreparedPart:
        """Take what a worker landed."""
