"""The parts of the campaign by name: each takes a seed and how often (0: as meant), and returns how many failed."""

from __future__ import annotations

import random
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgresql import Server, serving
from tests.soak.clocks import turn_clocks
from tests.soak.flaky_month import bill_flaky_month
from tests.soak.full_disk import fill_disks
from tests.soak.fuzz import damage_exports, fuzz_readers
from tests.soak.kills import Deaths, kill_runs
from tests.soak.outages import Outages, hold_duckdb, lose_postgresql
from tests.soak.stage import stage

_KILLS = 100
_DISKS = 30
_OUTAGES = 30
_FILES = 3_000
_LINES = 1_000_000
#: Kilobytes, from a disk that has no room for the first file to one that has room for all.
_SMALLEST, _LARGEST = 4, 14_000


def tell(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def kill_on_duckdb(seed: int, rounds: int) -> int:
    """kill -9 of the whole run, with a DuckDB warehouse."""
    with _folder() as folder, stage(folder) as place:
        return _told(kill_runs(place, lambda: place.url, seed, rounds or _KILLS, tell))


def kill_on_postgresql(seed: int, rounds: int) -> int:
    """kill -9 of the whole run, with a PostgreSQL warehouse."""
    with serving() as server, _folder() as folder, stage(folder) as place:
        return _told(kill_runs(place, _databases(server), seed, rounds or _KILLS, tell))


def fill_disk(seed: int, rounds: int) -> int:
    """Full disks, with a DuckDB warehouse; with PostgreSQL the disk of the warehouse is not this machine's matter."""
    chance = random.Random(f"{seed}/disk")
    sizes = sorted(chance.sample(range(_SMALLEST, _LARGEST, 4), rounds or _DISKS))
    with _folder() as folder, stage(folder) as place:
        found = fill_disks(place, lambda: place.url, sizes, tell)
    for what, count in found.complaints.most_common():
        tell(f"{count:5} {what}")
    tell(f"{found.tried} disks, {len(found.failures)} failures")
    for failure in found.failures:
        tell(failure)
    return len(found.failures)


def lose_server(seed: int, rounds: int) -> int:
    """PostgreSQL stopped, restarted and cut off in the middle."""
    with serving() as server, _folder() as folder, stage(folder) as place:
        return _listed(lose_postgresql(place, server, _databases(server), seed, rounds or _OUTAGES, tell))


def hold_file(_seed: int, _rounds: int) -> int:
    """The DuckDB file held by an analyst."""
    with _folder() as folder, stage(folder) as place:
        return _listed(hold_duckdb(place, tell))


def jump_clocks(_seed: int, _rounds: int) -> int:
    """Time zones, and clocks that jump between the steps."""
    with _folder() as folder, stage(folder) as place:
        return len(turn_clocks(place, lambda: place.url, tell))


def fuzz(seed: int, rounds: int) -> int:
    """Mutated bytes for every reader, and damaged exports."""
    defects = fuzz_readers(seed, rounds or _FILES, tell) + damage_exports(seed, rounds or _FILES, tell)
    for defect in defects:
        tell(f"DEFECT {defect}")
    return len(defects)


def flaky_halo(seed: int, rounds: int) -> int:
    """A large month into a HaloPSA that fails one request in five; `rounds` is how many lines."""
    with _folder() as folder:
        try:
            bill_flaky_month(folder, rounds or _LINES, seed, tell)
        except AssertionError as error:
            tell(f"FAILED: {error}")
            return 1
    return 0


PARTS: dict[str, Callable[[int, int], int]] = {
    "fuzz": fuzz,
    "kill-duckdb": kill_on_duckdb,
    "kill-postgresql": kill_on_postgresql,
    "disk": fill_disk,
    "outage-postgresql": lose_server,
    "lock-duckdb": hold_file,
    "clocks": jump_clocks,
    "flaky-month": flaky_halo,
}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _databases(server: Server) -> Callable[[], str]:
    """Gives an empty database each time, and drops the one before."""
    before: list[str] = []

    def fresh() -> str:
        for url in before:
            server.drop_database(url)
        before[:] = [server.make_database()]
        return before[0]

    return fresh


def _listed(found: Outages) -> int:
    for end, count in Counter(re.sub(r" [0-9]+(?=:)", "", end) for end in found.ends.elements()).most_common():
        tell(f"{count:5} {end}")
    tell(f"{found.tried} outages, {len(found.failures)} failures")
    return len(found.failures)


def _told(deaths: Deaths) -> int:
    for where, count in deaths.places.most_common():
        tell(f"{count:5} died {where}")
    seconds = deaths.repeat_seconds or [0.0]
    tell(
        f"{deaths.places.total()} kills survived, {len(deaths.failures)} not; {deaths.ended_before} runs had ended "
        f"before they were killed; a repeat took {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s"
    )
    return len(deaths.failures)
