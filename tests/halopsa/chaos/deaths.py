"""Death at every boundary of a load: killed there, it is begun again, and every row must be there exactly once."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import load, mark_billed
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import Warehouse, open_warehouse
from tests.halopsa import month
from tests.halopsa.chaos.nursery import ENDED, SETTINGS
from tests.halopsa.conftest import KeptOpen, connect
from tests.halopsa.landing import assert_exactly_once

_ROOT = Path(__file__).parents[3]


class Nursery:
    """A process whose children load the small month and die of it (see `nursery`)."""

    def __init__(self, process: subprocess.Popen[str], warehouse: Warehouse, sandbox: Sandbox) -> None:
        self._process = process
        self._warehouse = warehouse
        self._sandbox = sandbox
        self._number = itertools.count(1)

    def die(self, at: int, kind: str = "") -> str:
        """Load until boundary `at`, begin again without any death, and check; returns where it died, or `ENDED`.

        With `kind` only boundaries that begin so are counted.

        Raises:
            AssertionError: a row is missing, doubled, wrong or not billed, or the second load does not end.
        """
        self._sandbox.reset()
        name = f"http://death-{next(self._number)}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(at, name, kind, file=self._process.stdin, flush=True)
        died = self._process.stdout.readline().strip()
        assert died, "the nursery is gone"
        assert not died.startswith("failed"), died
        with closing(KeptOpen(self._warehouse.engine)) as transactions:
            ledger, client = Ledger(transactions, name), connect(self._sandbox)
            counts = load(client, ledger, month.plan(), SETTINGS)
            mark_billed(client, ledger, month.plan(), SETTINGS)
        assert_exactly_once(self._sandbox)
        # A price cannot be listed: one in doubt is reported, not repeated.
        assert self._sandbox.summary()["prices"] in ((0, 1) if counts.unknown_prices else (1,))
        return died


@contextmanager
def nursery(warehouse_url: str) -> Iterator[Nursery]:
    """A nursery over a warehouse that has its tables, and a sandbox that hands no billed flag down."""
    with serve(options=Options(cascades=False, invoice_flag="stored")) as sandbox:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.halopsa.chaos.nursery", warehouse_url, sandbox.base_url],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield Nursery(process, open_warehouse(warehouse_url), sandbox)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def die_everywhere(warehouse_url: str) -> list[str]:
    """Die at every boundary there is; returns what they were. Raises AssertionError as `Nursery.die` does."""
    deaths: list[str] = []
    with nursery(warehouse_url) as home:
        while (death := home.die(len(deaths) + 1)) != ENDED:
            deaths.append(death)
    return deaths
