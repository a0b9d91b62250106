"""A warehouse that goes away in the middle of a run: PostgreSQL stopped, its connections cut, DuckDB's file held.

A run is stopped at a boundary of its work, the warehouse fails, and the run goes on. It must then either come to its
end or say in one line what happened, with exit code 2 or 3; with the warehouse back, the month comes to what an
undisturbed one comes to.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.postgresql import Server
from tests.soak.command import Plan
from tests.soak.kills import undisturbed
from tests.soak.stage import BILL, Result, Stage, kill_group

_CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'csp-billing'"
_HOLDER = """
import duckdb, sys
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""
#: While a request is on its way, no transaction is open, so that others can open DuckDB's file.
_BETWEEN_TRANSACTIONS = "before POST"
_STARTS_WITHIN = 120


@dataclass
class Outages:
    """What a campaign of outages came to."""

    tried: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, what: str, end: Callable[[], str], tell: Callable[[str], None]) -> None:
        """Try one outage and note how it ended."""
        self.tried += 1
        try:
            told = end()
            self.ends[f"{what}: {'went on to the end' if told == 'billed' else 'one line, exit code 2 or 3'}"] += 1
        except AssertionError as error:
            told = f"FAILED: {error}"
            self.failures.append(f"{what}: {error}")
        tell(f"{what}: {told[:240]}")


def lose_postgresql(
    place: Stage, server: Server, fresh: Callable[[], str], seed: int, rounds: int, tell: Callable[[str], None] = print
) -> Outages:
    """Stop the server, restart it, or cut the connections, at boundaries drawn from all that a run passes."""
    expected, _, passed = undisturbed(place, fresh)
    found = Outages()
    for number in range(rounds):
        chance = random.Random(f"{seed}/outage/{number}")
        name = chance.choice(sorted(passed))
        at = chance.randint(1, passed[name])
        how = ("stopped", "restarted", "cut")[number % 3]
        place.reset(fresh())
        found.note(f"{how} {name} {at}", lambda: _lose(place, server, Plan(name, at), how, expected), tell)  # noqa: B023
    return found


def _lose(place: Stage, server: Server, plan: Plan, how: str, expected: Result) -> str:
    with _stopped_at(place, plan) as run:
        if how == "cut":
            server.execute(_CUT)
        else:
            server.stop()
        if how == "restarted":
            server.start()
    try:
        told = _end(place, run)
    finally:
        server.start()
    place.bill()
    place.check(expected)
    return told


def hold_duckdb(place: Stage, tell: Callable[[str], None] = print) -> Outages:
    """Let another process open the file, at the start and in the middle, for a while and for too long."""
    expected, _, passed = undisturbed(place, lambda: place.url)
    found = Outages()
    last = sum(count for name, count in passed.items() if name.startswith(_BETWEEN_TRANSACTIONS))
    for how in ("read", "write"):
        for at in (0, 2, last // 2, last):
            for long in (False, True):
                what = f"held for {'too long' if long else 'a while'} to {how}, {f'request {at}' if at else 'start'}"
                found.note(what, lambda: _hold(place, how, at, long, expected), tell)  # noqa: B023
    return found


def _hold(place: Stage, how: str, at: int, long: bool, expected: Result) -> str:
    place.reset()
    lock_seconds = 1 if long else 60
    if at:
        with _stopped_at(place, Plan(_BETWEEN_TRANSACTIONS, at, lock_seconds=lock_seconds)) as run:
            holder = _holder(place, how)
    else:
        assert place.run("warehouse", "upgrade").code == 0
        holder = _holder(place, how)
        run = place.start(*BILL, plan=Plan(lock_seconds=lock_seconds))
    try:
        if not long:
            time.sleep(3)
            assert run.poll() is None, "the run does not wait"
            holder.communicate("")
        told = _end(place, run)
        if long:
            assert told != "billed", "the run did what the file was closed for"
            assert f"in use by process {holder.pid} " in told, told
        else:
            assert told == "billed", told
    finally:
        if holder.poll() is None:
            holder.communicate("")
    place.bill()
    place.check(expected)
    return told


def _end(place: Stage, run: subprocess.Popen[str]) -> str:
    """Let a run end; returns `billed`, or its complaint."""
    done = place.wait(run)
    if done.code in (0, 1):
        assert "Traceback" not in done.err, done.err[-2000:]
        return str(done.document["status"])
    return done.told_in_a_line()


@contextmanager
def _stopped_at(place: Stage, plan: Plan) -> Iterator[subprocess.Popen[str]]:
    """A run that has come to a boundary, and goes on at the end of the `with`."""
    waits = place.folder / "waits"
    waits.unlink(missing_ok=True)
    run = place.start(*BILL, plan=Plan(plan.counts, plan.at, str(waits), lock_seconds=plan.lock_seconds))
    give_up_at = time.monotonic() + _STARTS_WITHIN
    while not waits.exists():
        if run.poll() is not None or time.monotonic() > give_up_at:
            kill_group(run)
            raise AssertionError(f"the run never came to {plan.counts} {plan.at}")
        time.sleep(0.02)
    try:
        yield run
    except BaseException:
        kill_group(run)
        raise
    finally:
        waits.unlink(missing_ok=True)


def _holder(place: Stage, how: str) -> subprocess.Popen[str]:
    """A process of an analyst that has the warehouse's file open until its input ends."""
    file = Path(place.url.removeprefix("duckdb:///"))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(file), how], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder
