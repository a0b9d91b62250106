"""Locks in the warehouse: a row in `locks` lets only one process do what must not be done twice at once.

The holder renews the row while it works. A lock is stale, and is taken over, when its process is gone on this host
or when it was not renewed for a quarter of an hour. Process ids mean something only within one start of one machine,
and there within one container, so the holder names these too: two containers may well share a host name. They are also
used again, so the holder says when it was started, where the system tells; where that is not sure, it is waited for.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from connectors.warehouse.schema import sql_table
from transforms.errors import WarehouseError
from transforms.tables.loading import LOCKS

STALE_AFTER = timedelta(minutes=15)
RENEW_EVERY = timedelta(minutes=1)
_MOST_TRIES = 10
_PAUSE_SECONDS = 0.1

_TABLE = sql_table(LOCKS)
#: Locks that this process holds: its own number in a row of another life of it (a container's) is stale.
_held_here: set[str] = set()
#: Kept by whoever loads a DuckDB file in this process, and for a moment by who changes a row of its locks beside.
_loading = threading.RLock()


class Transactions(Protocol):
    """What a lock needs of the warehouse."""

    def begin(self) -> AbstractContextManager[sa.Connection]: ...


class Holder(NamedTuple):
    """Who holds a lock; the fields are what a person asks."""

    name: str
    host: str
    process: str
    run_id: str
    acquired_at: datetime
    renewed_at: datetime
    is_stale: bool


class Lock:
    """A lock that is held; made by `held`."""

    def __init__(self, warehouse: Transactions, name: str, holder: str, clock: Callable[[], datetime]) -> None:
        self._warehouse = warehouse
        self._name = name
        self._holder = holder
        self._clock = clock
        self._renewed_at = clock()

    def renew(self) -> bool:
        """Give a sign of life if one is due; whether the lock is still held."""
        now = self._clock()
        if now - self._renewed_at < RENEW_EVERY or not _loading.acquire(blocking=False):
            return True
        try:
            with self._warehouse.begin() as connection:
                mine = sa.and_(_TABLE.c.name == self._name, _TABLE.c.holder == self._holder)
                connection.execute(sa.update(_TABLE).where(mine).values(renewed_at=now))
                kept = connection.execute(sa.select(_TABLE.c.name).where(mine)).first()
        finally:
            _loading.release()
        self._renewed_at = now if kept is not None else self._renewed_at
        return kept is not None


def utc_now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


@contextmanager
def held(
    warehouse: Transactions,
    name: str,
    run_id: str,
    refusal: Callable[[Holder], str],
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[Lock]:
    """Hold the lock of that name.

    Args:
        warehouse: where the lock is.
        name: what is locked.
        run_id: what it is held for, to be told to others.
        refusal: what to say where somebody else holds it.
        clock: the time in UTC.

    Raises:
        WarehouseError: somebody else holds it.
    """
    holder = _name_of_this_process()
    # Before the row is there: another thread of this process would take a holder for dead that is not noted here.
    _held_here.add(holder)
    try:
        now = clock()
        mine = {"name": name, "holder": holder, "run_id": run_id, "acquired_at": now, "renewed_at": now}
        row = _row_at_last(warehouse, mine)
        if row.holder != holder:
            raise WarehouseError(refusal(_told(row, now)))
        try:
            yield Lock(warehouse, name, holder, clock)
        finally:
            # A row that cannot be removed is stale as soon as this process has forgotten or ended it.
            with suppress(WarehouseError, DBAPIError), _loading, warehouse.begin() as connection:
                connection.execute(sa.delete(_TABLE).where(_TABLE.c.name == name, _TABLE.c.holder == holder))
    finally:
        _held_here.discard(holder)


@contextmanager
def renewed_beside(lock: Lock) -> Iterator[None]:
    """Renew a lock from a thread beside the work, which may go on for long without a moment for it.

    What fails is tried again: a warehouse that cannot be written for a quarter of an hour stops the work itself.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(RENEW_EVERY.total_seconds()):
            with suppress(WarehouseError, DBAPIError):
                if not lock.renew():
                    return

    beating = threading.Thread(target=beat, name="lock", daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()


@contextmanager
def renewals_put_off(dialect: str) -> Iterator[Callable[[sa.Connection], None]]:
    """While a DuckDB file is loaded: its locks get their sign of life at the end of the load's own transaction.

    Nobody else can open the file meanwhile, so none is missed; and after a commit beside it DuckDB would write all that
    is loaded to its log first, uncompressed. Gives what is called with the transaction at its end. On PostgreSQL
    nothing is put off.
    """
    if dialect != "duckdb":
        yield lambda _: None
        return

    def renew(connection: sa.Connection) -> None:
        connection.execute(sa.update(_TABLE).where(_TABLE.c.holder.in_(_held_here)).values(renewed_at=utc_now()))

    with _loading:
        yield renew


def read_locks(connection: sa.Connection) -> list[Holder]:
    """Every lock that is in the warehouse, also those whose holder is gone."""
    now = utc_now()
    return [_told(row, now) for row in connection.execute(sa.select(_TABLE).order_by(_TABLE.c.name))]


def _told(row: sa.Row[Any], now: datetime) -> Holder:
    here, pid, _ = row.holder.rsplit(":", 2)
    host = here.partition("/")[0]
    return Holder(row.name, host, pid, row.run_id, row.acquired_at, row.renewed_at, _is_stale(row, now))


def _row_at_last(warehouse: Transactions, mine: dict[str, Any]) -> sa.Row[Any]:
    """The lock's row, however many threads of this process are after it: DuckDB fails all of them but one."""
    tries = 0
    while True:
        tries += 1
        try:
            row = _try(warehouse, mine)
        except DBAPIError:
            if tries >= _MOST_TRIES:
                raise
            row = None
        if row is not None:
            return row
        time.sleep(random.uniform(0, _PAUSE_SECONDS))


def _try(warehouse: Transactions, mine: dict[str, Any]) -> sa.Row[Any] | None:
    """Take the lock if it is free or stale; returns its row, or None where that was released in the same moment."""
    of_name = _TABLE.c.name == mine["name"]
    with warehouse.begin() as connection:
        connection.execute(insert(_TABLE).values(mine).on_conflict_do_nothing(index_elements=["name"]))
        row = connection.execute(sa.select(_TABLE).where(of_name)).one_or_none()
        if row is None or row.holder == mine["holder"] or not _is_stale(row, mine["acquired_at"]):
            return row
        same = sa.and_(of_name, _TABLE.c.holder == row.holder, _TABLE.c.renewed_at == row.renewed_at)
        connection.execute(sa.update(_TABLE).where(same).values(mine))
        return connection.execute(sa.select(_TABLE).where(of_name)).one_or_none()


def _here() -> str:
    """This host; which start of it, and which process namespace (container), where the system tells these."""
    told = [socket.gethostname()]
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists():
        told.append(boot.read_text().strip())
    with suppress(OSError):
        told.append(str(namespace.readlink()).strip("pid:[]"))
    return "/".join(told)


def _name_of_this_process() -> str:
    """Where it is, its id, when it was started, and what tells its locks apart: `…:4711:4026531834.90210-3f9a0c2e`."""
    told = [started] if (started := _start_of(os.getpid())) else []
    return f"{_here()}:{os.getpid()}:{'-'.join([*told, secrets.token_hex(4)])}"


def _start_of(pid: int) -> str | None:
    """When the process with that id was started; None where the system does not tell.

    In clock ticks since the start of the machine, as who asks sees them: time namespaces differ, so this is named, too.
    """
    try:
        if not _numbers_processes_as_we_do():
            return None
        clock = Path("/proc/self/ns/time")
        namespace = str(clock.readlink()).strip("time:[]") if clock.is_symlink() else ""
        # The name of the program, in parentheses, may hold spaces and parentheses; proc_pid_stat(5) has the fields.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return f"{namespace}.{int(fields[19])}"
    except (OSError, IndexError, ValueError):
        return None


def _numbers_processes_as_we_do() -> bool:
    """Whether /proc is of our own namespace of processes, and not of one around it, where the ids are others."""
    status = Path("/proc/self/status").read_text(errors="replace").splitlines()
    return [f"NSpid:\t{os.getpid()}"] == [line for line in status if line.startswith("NSpid:")]


def _is_stale(row: sa.Row[Any], now: datetime) -> bool:
    return now - row.renewed_at > STALE_AFTER or _is_gone(row.holder)


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this host that no longer runs."""
    here, pid, own = holder.rsplit(":", 2)
    if here != _here() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return holder not in _held_here
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # A process of somebody else.
        pass
    return _has_another_start(int(pid), own.rpartition("-")[0])


def _has_another_start(pid: int, started: str) -> bool:
    """Whether the process with that id is surely none that was started then: both are told, on the same clock."""
    clock, _, at = started.partition(".")
    now_clock, _, now_at = (_start_of(pid) or "").partition(".")
    return bool(at and now_at) and clock == now_clock and at != now_at
