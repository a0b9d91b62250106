"""Clocks that jump and time zones at their edges: a month is the same everywhere, and whenever it is run.

The clock is turned by libfaketime (Debian: `apt-get install libfaketime`), for the commands only; HaloPSA has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.soak.stage import BILL, PERIOD, Result, Stage

ZONES = ("UTC", "Etc/GMT+12", "Etc/GMT-14", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
#: When the steps are done, one after the other: the clock goes back over a year, and on over edges of months.
JUMPS = (
    ("2026-12-31 23:59:58", "2026-12-31 23:59:59", "2027-01-01 00:00:00"),
    ("2028-02-29 12:00:00", "2026-10-25 02:30:00", "2028-02-29 23:59:59"),
    ("2026-03-29 01:59:59", "2026-03-28 00:00:00", "2026-03-27 00:00:00"),
    ("2026-10-25 03:00:00", "2026-10-25 01:59:59", "2030-06-30 23:59:59"),
)
_LIBRARY = "faketime/libfaketime.so.1"


def turn_clocks(place: Stage, fresh: Callable[[], str], tell: Callable[[str], None] = print) -> list[str]:
    """Bill the month in every zone, and step by step with jumps of the clock between; returns what failed."""
    place.reset(fresh())
    place.bill()
    expected = place.result()
    failures = []
    tries: list[tuple[Callable[..., None], Any]] = [(_bill_in, zone) for zone in ZONES]
    if library() is None:
        tell("libfaketime is not installed: no clock is turned")
    else:
        tries += [(_bill_at, times) for times in JUMPS]
    for bill, when in tries:
        place.reset(fresh())
        told = "the same"
        try:
            bill(place, when, expected)
        except AssertionError as error:
            told = f"FAILED: {error}"
            failures.append(f"{when}: {error}")
        tell(f"{when}: {told}")
    return failures


def library() -> Path | None:
    """Where libfaketime is, if it is installed."""
    return next((path for path in Path("/usr/lib").glob(f"*/{_LIBRARY}")), None)


def _bill_in(place: Stage, zone: str, expected: Result) -> None:
    with _environment(place, TZ=zone):
        place.bill()
        place.check(expected)


def _bill_at(place: Stage, times: tuple[str, ...], expected: Result) -> None:
    """Reconcile twice, load and mark, each at another time; the second run is the latest, whatever the clock says."""
    reconcile = ("reconcile", "--period", PERIOD, "--json")
    with _at(place, times[0]):
        first = place.run(*reconcile)
        assert first.code == 1, first.err
    with _at(place, times[1]):
        second = place.run(*reconcile)
        assert second.code == 1, second.err
        run_id = second.document["run_id"]
        loaded = place.run("load", run_id, "--json")
        assert loaded.code == 1, loaded.err
    with _at(place, times[2]):
        marked = place.run("mark-billed", run_id, "--approve", "--by", "soak", "--json")
        assert marked.code == 1, marked.err
        assert marked.document["status"] == "billed", marked.out
        again = place.run(*BILL)
        assert again.code == 1, again.err
        assert set(again.document["loaded"].values()) == {0}, again.out
        place.check(expected)


@contextmanager
def _at(place: Stage, time: str) -> Iterator[None]:
    """The commands' clocks start at a time, UTC, and run on from there; what measures durations is left alone."""
    turned = {"LD_PRELOAD": str(library()), "FAKETIME": f"@{time}", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    with _environment(place, **turned):
        yield


@contextmanager
def _environment(place: Stage, **variables: str) -> Iterator[None]:
    before = dict(place.environment)
    place.environment.update(variables)
    try:
        yield
    finally:
        place.environment = before
