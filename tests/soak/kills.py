"""kill -9 of the whole run: extract, reconcile, load and mark, at random moments and at rare boundaries.

Each death is followed by what an operator does, the same command again, and the outcome is held against a month that
nothing happened to. Four of five deaths come at a moment drawn evenly from how long an undisturbed run takes, the
fifth at a commit, a rename or a request drawn from all that it passes. Every fourth run has worker processes, and there
only the process that the operator started is killed: the workers have to end by themselves.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from tests.soak.command import Plan
from tests.soak.stage import BILL, Result, Stage, kill_group
from transforms.errors import BillingError

_RARE_EVERY = 5
_WORKERS_EVERY = 4
_MOST_TRIES = 5
#: What boundaries are drawn from: each kind as often as the others, however many there are of it.
_RARE = ("before commit", "after commit", "before POST", "after POST", "os.")


@dataclass
class Deaths:
    """What a campaign of kills came to: where runs died, and how long the run after a death took."""

    places: Counter[str] = field(default_factory=Counter)
    ended_before: int = 0
    repeat_seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def kill_runs(
    place: Stage, fresh: Callable[[], str], seed: int, kills: int, tell: Callable[[str], None] = print
) -> Deaths:
    """Kill `kills` runs and repeat each of them.

    Args:
        place: where to bill the month.
        fresh: gives the URL of an empty warehouse.
        seed: what is drawn follows from it.
        kills: how many.
        tell: is told of each.
    """
    expected, seconds, passed = undisturbed(place, fresh)
    deaths = Deaths()
    for number in range(kills):
        place.reset(fresh())
        try:
            where = _die(place, random.Random(f"{seed}/{number}"), number, seconds, passed, deaths)
            began = time.monotonic()
            place.bill()
            deaths.repeat_seconds.append(time.monotonic() - began)
            place.check(expected)
        except AssertionError as error:
            deaths.failures.append(f"kill {number} of seed {seed}: {error}")
            tell(deaths.failures[-1])
            continue
        deaths.places[where] += 1
        tell(f"kill {number}: {where}")
    return deaths


def undisturbed(place: Stage, fresh: Callable[[], str]) -> tuple[Result, float, Counter[str]]:
    """What the month comes to by itself, how many seconds it takes, and how many boundaries of each name it passes."""
    place.reset(fresh())
    tells = place.folder / "passed"
    began = time.monotonic()
    done = place.run(*BILL, plan=Plan(tells=str(tells)))
    seconds = time.monotonic() - began
    assert done.code in (0, 1), done.err
    result = place.result()
    place.check(result)
    return result, seconds, Counter(json.loads(tells.read_text()))


def _die(
    place: Stage, chance: random.Random, number: int, seconds: float, passed: Counter[str], deaths: Deaths
) -> str:
    """Let a run die; returns where, told by what it had done."""
    workers = number % _WORKERS_EVERY == _WORKERS_EVERY - 1
    for _ in range(_MOST_TRIES):
        if number % _RARE_EVERY == _RARE_EVERY - 1:
            kind = chance.choice([name for name in sorted(passed) if name.startswith(_RARE)])
            at = chance.randint(1, passed[kind])
            process = place.start(*BILL, plan=Plan(counts=kind, at=at, workers=workers))
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                return f"at a boundary: {kind}"
        else:
            process = place.start(*BILL, plan=Plan(workers=workers))
            time.sleep(chance.uniform(0, seconds))
            was_running = process.poll() is None
            if workers:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()
                assert not place.processes(), "worker processes outlive the run"
            kill_group(process)
            if was_running and process.returncode == -signal.SIGKILL:
                return _stage_reached(place)
        deaths.ended_before += 1
    raise AssertionError("the run ends before it can be killed")


def _stage_reached(place: Stage) -> str:
    """How far a run had come, told by what is in the warehouse."""
    if place.url.startswith("duckdb") and not Path(place.home, "warehouse.duckdb").exists():
        return "before there is a warehouse"
    try:
        with place.warehouse().read() as connection:
            statement = "select status from runs order by started_at desc limit 1"
            status = connection.exec_driver_sql(statement).scalar()
            counted = "select state, count(*) from halo_postings group by state"
            states = {row[0]: row[1] for row in connection.exec_driver_sql(counted)}
    except (BillingError, DBAPIError):  # the tables are not there yet
        return "before there are tables"
    if status is None:
        return "extracting, reconciling"
    if "intended" in states:
        return "between a request and its settlement"
    if status == "billed":
        return "billed, publishing"
    return f"{status}, {'partly posted' if states else 'nothing posted'}"
