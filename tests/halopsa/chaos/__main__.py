"""`make chaos`: every seed, then death at every boundary on both databases; `make chaos SEED=17` repeats one plan."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.schema import sql_table
from tests.halopsa.chaos.campaign import Figures, survive
from tests.halopsa.chaos.deaths import die_everywhere
from tests.halopsa.chaos.plans import fault_mix
from tests.halopsa.conftest import KeptOpen
from tests.postgresql import serving
from transforms.tables.loading import LOADING_TABLES

SEEDS = range(1, 201)
LINES = 300


def main(seed: str = "") -> int:
    """Run the campaign, or one seed of it; returns the exit code."""
    if seed:
        print(fault_mix(int(seed)))
        print(survive(int(seed), LINES, _transactions()))
        return 0
    failed = _run_seeds()
    with _warehouses() as warehouses:
        for engine, url in warehouses.items():
            began = time.monotonic()
            deaths = die_everywhere(url)
            print(f"kill -9 on {engine}: {len(deaths)} boundaries, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _run_seeds() -> list[int]:
    done: list[Figures] = []
    failed = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, told in zip(SEEDS, pool.map(_survive, SEEDS), strict=True):
            if isinstance(told, Figures):
                done.append(told)
                print(f"seed {seed}: {told.requests} requests, {told.faults} faults, {told.repeats} repeats")
            else:
                failed.append(seed)
                print(f"seed {seed} FAILED: {told}; repeat it with `make chaos SEED={seed}`")
    totals = [sum(getattr(each, name) for each in done) for name in ("rows", "requests", "faults", "repeats")]
    print(f"{len(done)} of {len(SEEDS)} plans passed; {totals[0]} lines, {totals[1]} requests, {totals[2]} faults, "
          f"{totals[3]} repeats (at most {max((each.repeats for each in done), default=0)} of one plan)")  # fmt: skip
    return failed


def _survive(seed: int) -> Figures | str:
    try:
        return survive(seed, LINES, _transactions())
    except Exception as error:  # whatever it is, the other seeds go on and this one is named
        return f"{type(error).__name__}: {error}"


@cache
def _transactions() -> KeptOpen:
    """This process's ledger, in a file that is left to the system to clear away."""
    engine = sa.create_engine(f"duckdb:///{Path(tempfile.mkdtemp(prefix='chaos-')) / 'ledger.duckdb'}")
    for table in LOADING_TABLES:
        sql_table(table).create(engine)
    return KeptOpen(engine)


@contextmanager
def _warehouses() -> Iterator[dict[str, str]]:
    """A DuckDB file and a PostgreSQL database with the loading tables, by engine."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, serving() as server:
        urls = {"DuckDB": f"duckdb:///{Path(folder) / 'warehouse.duckdb'}", "PostgreSQL": server.make_database()}
        for url in urls.values():
            with open_warehouse(url).begin() as connection:
                for table in LOADING_TABLES:
                    sql_table(table).create(connection)
        yield urls


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
