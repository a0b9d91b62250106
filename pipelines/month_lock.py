"""Who is at work on a month: two runs of one would replace each other's results half-way, so the second is refused.

That nothing is posted twice does not depend on it: the lock of HaloPSA and the posting ledger see to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.lock import Holder, held, renewed_beside
from connectors.warehouse.migrations import ensure_current
from pipelines import telemetry
from pipelines.run_summary import RunSummary
from pipelines.settings import Settings


class Month:
    """A month that is held; made by `holding_month`."""

    def __init__(self, warehouse: Warehouse, period: str, run_id: str) -> None:
        self._warehouse = warehouse
        self._period = period
        self._run_id = run_id
        self._held = ExitStack()

    def take(self) -> None:
        """Hold it; raises WarehouseError where somebody else does."""
        with ExitStack() as taking:
            name = f"month {self._period}"
            lock = taking.enter_context(held(self._warehouse, name, self._run_id, self._refusal))
            taking.enter_context(renewed_beside(lock))
            self._held = taking.pop_all()

    def let_go(self) -> None:
        """Let others work on it."""
        self._held.close()

    def let_go_for(self, decide: Callable[[RunSummary], None]) -> Callable[[RunSummary], None]:
        """`decide`, with others at liberty to work on the month until the person has decided."""

        def decided(summary: RunSummary) -> None:
            self.let_go()
            decide(summary)
            self.take()

        return decided

    def _refusal(self, holder: Holder) -> str:
        return (
            f"{self._period} is being worked on already (process {holder.process} on {holder.host}, since "
            f"{holder.acquired_at:%Y-%m-%d %H:%M} UTC), and nothing was done here: wait for it to end; "
            "`csp-billing warehouse locks` shows who is at work"
        )


@contextmanager
def holding_month(settings: Settings, period: str, run_id: str = "") -> Iterator[Month]:
    """Hold a month in the warehouse, which is set up where it is empty; what is logged inside is about it.

    Args:
        settings: name the warehouse.
        period: YYYY-MM.
        run_id: the run that is worked on, where it is there already.

    Raises:
        WarehouseError: somebody else is at work on the month, or the warehouse cannot be used.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    month = Month(warehouse, period, run_id)
    month.take()
    try:
        with telemetry.about("month", period=period, run_id=run_id):
            yield month
    finally:
        month.let_go()
