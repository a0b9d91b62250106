"""How many requests and how long a large load to HaloPSA takes: `python -m benchmarks.halo_load [LINES]`.

The sandbox runs on loopback in a process of its own, the warehouse is a DuckDB file. It fails when the load spends
more than rows ÷ batch × 1.05 + 20 requests, or when a line is not there.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import requests

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadPlan, load
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET
from connectors.halopsa.sandbox.server import serve
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import upgrade
from tests.halopsa import month

LINES = 100_000
INVOICES = 20


def plan(lines: int) -> LoadPlan:
    """A month of that many reconciliation lines under twenty invoices."""
    documents = [month.invoice(f"G{number}", "1.00") for number in range(INVOICES)]
    recon = [month.recon_line(number, f"G{number % INVOICES}") for number in range(1, lines + 1)]
    return month.plan(recon, [], documents)


@contextmanager
def sandbox() -> Iterator[str]:
    """A sandbox in a process of its own; gives its address."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(its,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(pipe: Connection) -> None:
    with serve() as running:
        pipe.send(running.base_url)
        pipe.recv()


def main(lines: int = LINES) -> int:
    """Measure one load and print it; returns the exit code."""
    settings, big = HaloLoadSettings(), plan(lines)
    with tempfile.TemporaryDirectory() as folder, sandbox() as base_url:
        warehouse = open_warehouse(f"duckdb:///{Path(folder) / 'warehouse.duckdb'}")
        upgrade(warehouse)
        client = HaloClient(base_url, CLIENT_ID, CLIENT_SECRET, rate="1000000/1")
        began = time.monotonic()
        counts = load(client, Ledger(warehouse, base_url), big, settings)
        seconds = time.monotonic() - began
        there = requests.get(f"{base_url}/sandbox/summary", timeout=60).json()["lines"]
    most = lines * 105 // (settings.batch_size * 100) + 20
    print(f"{counts.lines} lines in {seconds:.1f} s: {counts.lines / seconds:.0f} rows/s, {client.requests_sent} "
          f"requests of at most {most} (batches of {settings.batch_size})")  # fmt: skip
    return 0 if client.requests_sent <= most and counts.lines == there == lines else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
