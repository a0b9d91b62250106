"""Two loads at once are excluded, and a lock that nobody holds any more is no obstacle."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger, Posting
from connectors.halopsa.load import HaloLoadSettings, load
from connectors.halopsa.lock import holding
from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse import lock
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import STALE_AFTER
from tests.halopsa import month
from tests.halopsa.conftest import connect
from tests.halopsa.landing import assert_exactly_once
from transforms.errors import WarehouseError

_NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_loads_that_begin_together(sandbox: Sandbox, settings: HaloLoadSettings, warehouse: Warehouse) -> None:
    """Of four threads one at a time gets to work; who finds the lock held says so and sends nothing.

    DuckDB lets threads of one process get in each other's way, so that even the one at work may have to give up.
    """
    told: list[str] = []
    start = threading.Barrier(4)

    def run(number: int) -> None:
        start.wait()
        try:
            load(connect(sandbox), Ledger(warehouse, sandbox.base_url), month.plan(run_id=f"run-{number}"), settings)
        except WarehouseError as error:
            told.append(str(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("another load" in each or "cannot be opened" in each for each in told)
    load(connect(sandbox), Ledger(warehouse, sandbox.base_url), month.plan(run_id="run-4"), settings)
    assert_exactly_once(sandbox, billed=False)


def _leave(ledger: Ledger, holder: str) -> None:
    """A lock that a dead or distant load left."""
    row = {"name": f"halo {ledger.halo_url}", "holder": holder, "run_id": "run-0", "acquired_at": _NOW,
           "renewed_at": _NOW}  # fmt: skip
    with ledger.warehouse.begin() as connection:
        connection.execute(sa.insert(lock._TABLE).values(row))


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("age", [timedelta(0), STALE_AFTER, STALE_AFTER + timedelta(seconds=1)])
@pytest.mark.parametrize("place", ["here", "elsewhere", "same name"])
def test_whose_lock_is_stale(place: str, age: timedelta, ledger: Ledger) -> None:
    """A process id tells something on this start of this machine alone; elsewhere only time does."""
    where = {"here": lock._here(), "elsewhere": "elsewhere", "same name": lock._here() + "-of-another-start"}[place]
    later = Ledger(ledger.warehouse, ledger.halo_url, lambda: _NOW + age)
    _leave(later, f"{where}:{_dead_process()}:00")
    if place == "here" or age > STALE_AFTER:
        with holding(later, "run-1"):
            pass
    else:
        with pytest.raises(WarehouseError, match="another load into this HaloPSA is at work"), holding(later, "run-1"):
            pass


def test_a_load_that_was_taken_for_dead_stops(ledger: Ledger) -> None:
    """It slept for longer than a lock lives; another took over; on waking it sends nothing more."""
    clock = [_NOW]
    sleeper = Ledger(ledger.warehouse, ledger.halo_url, lambda: clock[0])
    with holding(sleeper, "run-1") as held:
        held.renew()
        clock[0] += STALE_AFTER + timedelta(seconds=1)
        with holding(sleeper, "run-2"), pytest.raises(WarehouseError, match="has taken the HaloPSA lock over"):
            held.renew()


def test_an_earlier_life_of_this_process_id_is_dead(ledger: Ledger) -> None:
    """A container that is started again has the same process id."""
    _leave(ledger, f"{lock._here()}:{os.getpid()}:00")
    with holding(ledger, "run-1"):
        pass


@contextmanager
def _living_process() -> Iterator[str]:
    """What a process that waits calls itself in a lock; its program has a name that is no word."""
    program = (
        "from pathlib import Path; from connectors.warehouse import lock; Path('/proc/self/comm').write_text('a) 1 (');"
        "print(lock._name_of_this_process(), flush=True); input()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.skipif(not Path("/proc/self/ns/time").exists(), reason="the system does not tell when a process began")
@pytest.mark.parametrize(("recorded", "is_taken"), [
    ("its own", False), ("an earlier start", True), ("a later start", True), ("none", False),
    ("an earlier start on another clock", False),
])  # fmt: skip
def test_a_process_id_that_is_used_again(recorded: str, is_taken: bool, ledger: Ledger) -> None:
    """The dead load is told from the living program that has its id, at once; who may be alive is waited for."""
    with _living_process() as name:
        place, own = name.rpartition(":")[::2]
        clock, ticks = own.partition("-")[0].split(".")
        start = {
            "its own": own, "an earlier start": f"{clock}.{int(ticks) - 1}-00", "none": "00",
            "a later start": f"{clock}.{int(ticks) + 1}-00",
            "an earlier start on another clock": f"{int(clock) + 1}.{int(ticks) - 1}-00",
        }[recorded]  # fmt: skip
        soon = Ledger(ledger.warehouse, ledger.halo_url, lambda: _NOW)
        _leave(soon, f"{place}:{start}")
        if is_taken:
            with holding(soon, "run-1"):
                pass
            return
        with pytest.raises(WarehouseError, match="another load into this HaloPSA is at work"), holding(soon, "run-1"):
            pass
    with holding(soon, "run-1"):
        pass


def test_a_clock_that_is_behind_hides_nothing(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """One machine dies after its lines arrived; another, an hour behind, loads another month; then the first again."""
    first = Ledger(ledger.warehouse, ledger.halo_url)
    load(client, first, month.plan(recon=[], usage=[]), settings)
    intended = [
        Posting(ledger.halo_url, "line", row["line_id"], row["invoice_number"], "run-1", month.PERIOD, "intended",
                "0" * 64, None, 1, None, first.now(), None)
        for row in month.RECON[:1]
    ]  # fmt: skip
    first.write(intended)
    behind = Ledger(ledger.warehouse, ledger.halo_url, lambda: datetime.now(UTC) - timedelta(hours=1))
    other = month.plan([month.recon_line(50, "H1")], [], [month.invoice("H1", "50.25")], [])
    load(client, behind, other, settings)
    settled = behind.postings("line")["line-50"]
    assert settled.settled_at is not None
    assert settled.settled_at > intended[0].intended_at
    # So the lines that were under way then are still looked for further back than that line.
    assert (first.highest_line_id(intended[0].intended_at) or 0) < (settled.halo_id or 0)
