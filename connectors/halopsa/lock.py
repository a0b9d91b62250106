"""Two loads into one HaloPSA at once could post a row twice: a lock in the warehouse lets only one work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.halopsa.ledger import Ledger
from connectors.warehouse.lock import Holder, held
from connectors.warehouse.lock import Lock as WarehouseLock
from transforms.errors import WarehouseError


class Lock:
    """A lock that is held; made by `holding`."""

    def __init__(self, lock: WarehouseLock) -> None:
        self._lock = lock

    def renew(self) -> None:
        """Give a sign of life if one is due; raises WarehouseError when another load has taken over."""
        if not self._lock.renew():
            raise WarehouseError("another load has taken the HaloPSA lock over; let it finish, then repeat this one")


@contextmanager
def holding(ledger: Ledger, run_id: str) -> Iterator[Lock]:
    """Hold the lock of the ledger's HaloPSA.

    Raises:
        WarehouseError: another load holds it; the message names its host and process.
    """
    with held(ledger.warehouse, f"halo {ledger.halo_url}", run_id, _refusal, ledger.clock) as lock:
        ledger.catch_up()
        yield Lock(lock)


def _refusal(holder: Holder) -> str:
    return (
        f"another load into this HaloPSA is at work (process {holder.process} on {holder.host}, run {holder.run_id}, "
        f"since {holder.acquired_at:%Y-%m-%d %H:%M} UTC); wait for it to end"
    )
