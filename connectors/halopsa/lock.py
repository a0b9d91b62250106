"""Two loads into one HaloPSA at once could post a row twice: a row in the warehouse lets only one work.

The holder renews the row while it works. A lock is stale, and is taken over, when its process is gone on this host
or when it was not renewed for a quarter of an hour.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from connectors.halopsa.ledger import Ledger
from connectors.warehouse.schema import sql_table
from transforms.errors import WarehouseError
from transforms.tables.loading import LOCKS

STALE_AFTER = timedelta(minutes=15)
RENEW_EVERY = timedelta(minutes=1)

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
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    _acquire(ledger, name, holder, run_id)
    _held_here.add(holder)
    try:
        yield Lock(ledger, name, holder)
    finally:
        _held_here.discard(holder)
        with ledger.warehouse.begin() as connection:
            connection.execute(sa.delete(_TABLE).where(_TABLE.c.name == name, _TABLE.c.holder == holder))


def _acquire(ledger: Ledger, name: str, holder: str, run_id: str) -> None:
    now = ledger.clock()
    mine = {"name": name, "holder": holder, "run_id": run_id, "acquired_at": now, "renewed_at": now}
    with ledger.warehouse.begin() as connection:
        connection.execute(insert(_TABLE).values(mine).on_conflict_do_nothing(index_elements=["name"]))
        row = connection.execute(sa.select(_TABLE).where(_TABLE.c.name == name)).one()
        if row.holder != holder and (now - row.renewed_at > STALE_AFTER or _is_gone(row.holder)):
            same = sa.and_(
                _TABLE.c.name == name, _TABLE.c.holder == row.holder, _TABLE.c.renewed_at == row.renewed_at
            )
            connection.execute(sa.update(_TABLE).where(same).values(mine))
            row = connection.execute(sa.select(_TABLE).where(_TABLE.c.name == name)).one()
    if row.holder != holder:
        host, pid, _ = row.holder.rsplit(":", 2)
        raise WarehouseError(
            f"another load into this HaloPSA is at work (process {pid} on {host}, run {row.run_id}, since "
            f"{row.acquired_at:%Y-%m-%d %H:%M} UTC); wait for it to end"
        )


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this host that no longer runs."""
    host, _, rest = holder.partition(":")
    pid, _, _ = rest.partition(":")
    if host != socket.gethostname() or not pid.isdecimal():
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
