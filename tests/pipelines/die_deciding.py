"""Approves a run and waives a finding again and again, each time in a child that is killed at one boundary of its work.

Arguments: WAREHOUSE_URL RUN_ID FINDING_ID. After each death the decision is there once or not at all; repeated, it is
there once. Prints what it died at, line by line. The parent never opens the warehouse, so that it can fork.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable

from connectors.warehouse.engine import Warehouse, open_warehouse
from pipelines import approval, waiving
from pipelines.settings import Settings
from tests.halopsa.chaos.nursery import Countdown, watch

_NEVER = 0


class CountdownOfWrites(Countdown):
    """Counts what may leave something behind: a death before it is one that never began."""

    def pass_by(self, what: str) -> None:
        if what.startswith(("before insert", "before commit", "after commit")):
            super().pass_by(what)


def decide(url: str, run_id: str, finding_id: str, table: str, dies_at: int) -> None:
    """Approve the run or waive the finding; the process may not survive it."""
    countdown = CountdownOfWrites(dies_at)
    settings = Settings(warehouse_url=url)

    def watched(opened_url: str) -> Warehouse:
        warehouse = open_warehouse(opened_url)
        watch(warehouse, countdown)
        return warehouse

    for module in (approval, waiving):
        vars(module).update(open_warehouse=watched, ensure_current=_ready)
    if table == "approvals":
        approval.decide(settings, run_id, "approved", by="Ada")
    else:
        waiving.add_waivers(settings, [finding_id], reason="agreed", by="Ada", until="2999-12-31")


def check(url: str, run_id: str, finding_id: str, table: str) -> None:
    """Look at what is there, repeat the decision, look again, and clean up."""
    assert _count(url, table) in (0, 1)
    decide(url, run_id, finding_id, table, _NEVER)
    assert _count(url, table) == 1
    with open_warehouse(url).begin() as connection:
        connection.exec_driver_sql(f"delete from {table}")


def in_child(work: Callable[[], None]) -> bool:
    """Whether a child did the work to its end; False where it was killed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        print(flush=True)
        return False
    if status:
        sys.exit(1)
    return True


def main(url: str, run_id: str, finding_id: str) -> None:
    """Die at every boundary there is of both decisions."""
    for table in ("approvals", "waivers"):
        for dies_at in itertools.count(1):
            if in_child(functools.partial(decide, url, run_id, finding_id, table, dies_at)):
                break
            in_child(functools.partial(check, url, run_id, finding_id, table))


def _ready(_warehouse: Warehouse) -> None:
    """Whether the warehouse is of this version is only read, and not what may die here."""


def _count(url: str, table: str) -> int:
    with open_warehouse(url).read() as connection:
        return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())


if __name__ == "__main__":
    main(*sys.argv[1:])
