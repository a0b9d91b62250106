"""Two loads into one HaloPSA at once could post a row twice: a row in the warehouse lets only one work.

The holder renews the row while it works. A lock is stale, and is taken over, when its process is gone on this host
or when it was not renewed for a quarter of an hour. Process ids mean something only within one start of one machine,
so the holder names that start too: two machines may well share a host name.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from connectors.halopsa.ledger import Ledger
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


class Lock:
    """A lock that is held; made by `holding`."""

    def __init__(self, ledger: Ledger, name: str, holder: str) -> None:
        self._ledger = ledger
        self._name = name
        self._holder = holder
        self._renewed_at = ledger.clock()

    def renew(self) -> None:
        """Give a sign of life if one is due; raises WarehouseError when another load has taken over."""
        now = self._ledger.clock()
        if now - self._renewed_at < RENEW_EVERY:
            return
        with self._ledger.warehouse.begin() as connection:
            mine = sa.and_(_TABLE.c.name == self._name, _TABLE.c.holder == self._holder)
            connection.execute(sa.update(_TABLE).where(mine).values(renewed_at=now))
            kept = connection.execute(sa.select(_TABLE.c.name).where(mine)).first()
        if kept is None:
            raise WarehouseError("another load has taken the HaloPSA lock over; let it finish, then repeat this one")
        self._renewed_at = now


@contextmanager
def holding(ledger: Ledger, run_id: str) -> Iterator[Lock]:
    """Hold the lock of the ledger's HaloPSA.

    Raises:
        WarehouseError: another load holds it; the message names its host and process.
    """
    name = f"halo {ledger.halo_url}"
    holder = f"{_here()}:{os.getpid()}:{secrets.token_hex(4)}"
    # Before the row is there: another thread of this process would take a holder for dead that is not noted here.
    _held_here.add(holder)
    try:
        _acquire(ledger, name, holder, run_id)
        ledger.catch_up()
        try:
            yield Lock(ledger, name, holder)
        finally:
            with ledger.warehouse.begin() as connection:
                connection.execute(sa.delete(_TABLE).where(_TABLE.c.name == name, _TABLE.c.holder == holder))
    finally:
        _held_here.discard(holder)


def _acquire(ledger: Ledger, name: str, holder: str, run_id: str) -> None:
    row = _row_at_last(ledger, name, holder, run_id)
    if row.holder != holder:
        here, pid, _ = row.holder.rsplit(":", 2)
        raise WarehouseError(
            f"another load into this HaloPSA is at work (process {pid} on {here.partition('/')[0]}, run {row.run_id}, "
            f"since {row.acquired_at:%Y-%m-%d %H:%M} UTC); wait for it to end"
        )


def _row_at_last(ledger: Ledger, name: str, holder: str, run_id: str) -> sa.Row[Any]:
    """The lock's row, however many threads of this process are after it: DuckDB fails all of them but one."""
    tries = 0
    while True:
        tries += 1
        try:
            row = _try(ledger, name, holder, run_id)
        except DBAPIError:
            if tries >= _MOST_TRIES:
                raise
            row = None
        if row is not None:
            return row
        time.sleep(random.uniform(0, _PAUSE_SECONDS))


def _try(ledger: Ledger, name: str, holder: str, run_id: str) -> sa.Row[Any] | None:
    """Take the lock if it is free or stale; returns its row, or None where that was released in the same moment."""
    now = ledger.clock()
    mine = {"name": name, "holder": holder, "run_id": run_id, "acquired_at": now, "renewed_at": now}
    with ledger.warehouse.begin() as connection:
        connection.execute(insert(_TABLE).values(mine).on_conflict_do_nothing(index_elements=["name"]))
        row = connection.execute(sa.select(_TABLE).where(_TABLE.c.name == name)).one_or_none()
        if row is None or row.holder == holder or not (now - row.renewed_at > STALE_AFTER or _is_gone(row.holder)):
            return row
        same = sa.and_(_TABLE.c.name == name, _TABLE.c.holder == row.holder, _TABLE.c.renewed_at == row.renewed_at)
        connection.execute(sa.update(_TABLE).where(same).values(mine))
        return connection.execute(sa.select(_TABLE).where(_TABLE.c.name == name)).one_or_none()


def _here() -> str:
    """This host, and which start of it where the system tells that."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip()}" if boot.exists() else socket.gethostname()


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this host that no longer runs."""
    here, pid, _ = holder.rsplit(":", 2)
    if here != _here() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return holder not in _held_here
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
