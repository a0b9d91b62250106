"""Loads the small month again and again, each time in a child that is killed at one boundary of its work.

Arguments: WAREHOUSE_URL BASE_URL. Each line on stdin is a number, a HaloPSA name for the ledger, and the beginning
of what boundaries count (nothing: all of them). A child then loads and marks the month and gets SIGKILL at the
boundary of that number: before or after a commit, before a statement, before or after a request. One line on stdout
says what it died at, or that it ended. Everything is imported once, and each child is a fork: so hundreds of deaths
take no longer than a few dozen starts.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from connectors.halopsa.client import HaloClient
from connectors.halopsa.connection import Answer
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, load, mark_billed
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET
from connectors.warehouse.engine import Warehouse, open_warehouse
from tests.halopsa import month

ENDED = "ended"
SETTINGS = HaloLoadSettings(batch_size=5, settle_grace_seconds=0.05)


class Countdown:
    """Counts boundaries, and kills this process at one of them."""

    def __init__(self, dies_at: int, counts: str = "") -> None:
        self._left = dies_at
        self._counts = counts

    def pass_by(self, what: str) -> None:
        """Come to a boundary."""
        self._left -= what.startswith(self._counts)
        if self._left == 0:
            # `main` ends the line once this process is gone: until then its lock would be respected.
            os.write(sys.stdout.fileno(), what.encode())
            os.kill(os.getpid(), signal.SIGKILL)


class MortalClient(HaloClient):
    """A client each of whose requests has a boundary before and after it."""

    countdown: Countdown

    def _send(self, method: str, url: str, **arguments: Any) -> Answer:
        what = f"{method} {url.removeprefix(self.base_url)}"
        self.countdown.pass_by(f"before {what}")
        response = super()._send(method, url, **arguments)
        self.countdown.pass_by(f"after {what}")
        return response


def watch(warehouse: Warehouse, countdown: Countdown) -> None:
    """Give every statement a boundary before it, and every commit one before and one after it."""

    def before_statement(*arguments: Any) -> None:
        words = str(arguments[2]).split()
        countdown.pass_by(f"before {' '.join(words[:3]).lower()}")

    def committing(commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def commit_between(connection: Any) -> None:
            countdown.pass_by("before commit")
            commit(connection)
            countdown.pass_by("after commit")

        return commit_between

    for engine in (warehouse.engine, warehouse._reader):
        sa.event.listen(engine, "before_cursor_execute", before_statement)
    dialect: Any = warehouse.engine.dialect
    dialect.do_commit = committing(dialect.do_commit)


def live(warehouse_url: str, base_url: str, countdown: Countdown, ledger_name: str) -> None:
    """Load and mark the small month; the process may not survive it."""
    warehouse = open_warehouse(warehouse_url)
    watch(warehouse, countdown)
    client = MortalClient(base_url, CLIENT_ID, CLIENT_SECRET, rate="100000/1")
    client.countdown = countdown
    ledger = Ledger(warehouse, ledger_name)
    load(client, ledger, month.plan(), SETTINGS)
    mark_billed(client, ledger, month.plan(), SETTINGS)


def main(warehouse_url: str, base_url: str) -> None:
    """Serve the orders on stdin until it is closed."""
    for order in sys.stdin:
        dies_at, ledger_name, counts = order.rstrip("\n").split(" ", 2)
        child = os.fork()
        if child == 0:
            live(warehouse_url, base_url, Countdown(int(dies_at), counts), ledger_name)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        told = "" if os.WIFSIGNALED(status) else ENDED if status == 0 else f"failed with status {status}"
        print(told, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
