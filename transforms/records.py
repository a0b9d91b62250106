"""Small records of every line, kept for what only shows once all lines are read.

Records are NumPy structured arrays. Where they are kept is the caller's business: in memory here, or in a file, so
that a month of any size takes the same memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from transforms.grouping import like_the_one_before

Array = np.ndarray[Any, Any]

#: Where a row is: the place of its file among the period's files, and its row there.
_PLACE = [("file", np.uint32), ("row", np.uint32)]
#: The charge of a line, by the first half of its key.
CHARGE = np.dtype([("key", np.uint64), *_PLACE])
#: A line of a subscription: the days it charges for, its seats, and what it is (flags below).
SEATS = np.dtype(
    [("key", np.uint64), *_PLACE, ("first", np.int32), ("last", np.int32), ("seats", np.uint64), ("flags", np.uint8)]
)
#: A day and meter of the usage of one charge group.
METER_DAY = np.dtype([("key", np.uint64), ("group", np.uint64)])

#: About how many lines are looked up at once.
AT_ONCE = 100_000

#: A cycle charge of an amount above zero that has both its dates; one that has seats; any line charged by the seat.
IS_CYCLE_CHARGE, IS_PLAIN, IS_SEAT = 1, 2, 4


class Records(Protocol):
    """Records of one kind, by their `key`."""

    def add(self, records: Array) -> None:
        """Keep more records."""

    def by_key(self) -> Iterator[Array]:
        """All records, in groups that have every record of their keys."""


class MemoryRecords:
    """Records in memory."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._parts: list[Array] = []

    def add(self, records: Array) -> None:
        """Keep more records."""
        self._parts.append(records)

    def by_key(self) -> Iterator[Array]:
        """All records at once."""
        yield np.concatenate([np.zeros(0, dtype=self._dtype), *self._parts])


def repeated_keys(records: Records) -> Iterator[Array]:
    """The records whose key another record has too, key by key together."""
    for group in records.by_key():
        own = np.take(group, np.flatnonzero(are_repeated(group["key"])))
        yield np.take(own, np.argsort(own["key"], kind="stable"))


def are_repeated(keys: Array) -> Array:
    """Which keys stand there more than once."""
    # Words alone are put in order many times faster than records are.
    order = np.argsort(keys)
    same = like_the_one_before(order, keys)
    repeated = np.zeros(len(keys), dtype=np.bool_)
    repeated[order] = same | np.append(same[1:], False)[: len(same)]
    return repeated


def one_of_each(keys: Array) -> Array:
    """Where one of each distinct key stands, in the order of the keys."""
    order = np.argsort(keys)
    first: Array = order[~like_the_one_before(order, keys)]
    return first


def gathered(parts: Iterable[Array]) -> Iterator[Array]:
    """Few records of many groups put together, because each look-up of their lines reads through a whole period."""
    waiting: list[Array] = []
    for part in parts:
        if len(part):
            waiting.append(part)
        if sum(map(len, waiting)) >= AT_ONCE:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
