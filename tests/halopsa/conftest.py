"""A small month to be loaded, a ledger to load it through, and a HaloPSA sandbox over real sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.plan import HaloLoadSettings
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.schema import sql_table
from transforms.tables.loading import LOADING_TABLES

_ledger_number = itertools.count(1)


class KeptOpen:
    """Transactions on one DuckDB connection that stays open: the many loads of a test need not reopen a file."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        with self._connection.begin():
            yield self._connection

    read = begin

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


@pytest.fixture(scope="session")
def transactions(tmp_path_factory: pytest.TempPathFactory) -> KeptOpen:
    """A DuckDB file with the loading tables."""
    engine = sa.create_engine(f"duckdb:///{tmp_path_factory.mktemp('ledger') / 'ledger.duckdb'}")
    for table in LOADING_TABLES:
        sql_table(table).create(engine)
    return KeptOpen(engine)


@pytest.fixture
def make_ledger(transactions: KeptOpen) -> Callable[[], Ledger]:
    """Makes an empty ledger: the ledger of another HaloPSA in the same file."""
    return lambda: Ledger(transactions, f"http://halo-{next(_ledger_number)}")


@pytest.fixture
def ledger(make_ledger: Callable[[], Ledger]) -> Ledger:
    return make_ledger()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    # The harder case: no flag comes by itself, neither from the invoice to its lines nor back.
    with serve(options=Options(cascades=False, invoice_flag="stored")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """An empty sandbox that hands no billed flag down."""
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> HaloClient:
    return connect(sandbox)


@pytest.fixture
def settings() -> HaloLoadSettings:
    return HaloLoadSettings(batch_size=3, settle_grace_seconds=0)


@pytest.fixture
def warehouse_file(tmp_path: Path) -> Path:
    """A DuckDB file with the loading tables, for tests that need other processes."""
    file = tmp_path / "warehouse.duckdb"
    engine = sa.create_engine(f"duckdb:///{file}", poolclass=sa.NullPool)
    for table in LOADING_TABLES:
        sql_table(table).create(engine)
    return file


def connect(sandbox: Sandbox, **changes: object) -> HaloClient:
    """A client of a sandbox, quick to give up."""
    arguments: dict[str, object] = {"rate": "100000/1", "timeout": (2, 5), "patience": 3, **changes}
    return HaloClient(sandbox.base_url, sandbox.client_id, sandbox.client_secret, **arguments)  # type: ignore[arg-type]
