"""An example month with planted discrepancies, reconciled once on each engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.engine import Warehouse, open_warehouse
from examples.month import generate_month
from pipelines.billing import reconcile_month
from pipelines.settings import load_settings
from transforms.columns import Table
from transforms.tables.focus import OUT_FOCUS

PERIOD = "2025-11"


@dataclass(frozen=True)
class Month:
    """A reconciled period."""

    warehouse: Warehouse
    run_id: str

    def focus(self) -> pa.Table:
        return read_view(self.warehouse, OUT_FOCUS)


def read_view(warehouse: Warehouse, view: Table) -> pa.Table:
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in view.names]
    with warehouse.read() as connection:
        return read_arrow(connection, sa.select(*columns).select_from(sa.table(view.name)), view.schema)


def reconcile(home: Path, exports: Path, url: str, period: str = PERIOD) -> Month:
    settings = load_settings(home=home, exports=str(exports), warehouse_url=url)
    return Month(open_warehouse(url), reconcile_month(settings, period).run_id)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("focus") / "exports"
    generate_month(folder, period=PERIOD)
    return folder


@pytest.fixture(scope="session")
def duckdb_month(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Month:
    home = tmp_path_factory.mktemp("duckdb-month")
    return reconcile(home, exports, f"duckdb:///{home / 'warehouse.duckdb'}")


@pytest.fixture(scope="session")
def postgresql_month(
    exports: Path, tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[str], str]
) -> Month:
    return reconcile(tmp_path_factory.mktemp("postgresql-month"), exports, make_database("template0"))


@pytest.fixture(params=["duckdb", "postgresql"])
def month(request: pytest.FixtureRequest) -> Month:
    made = request.getfixturevalue(f"{request.param}_month")
    assert isinstance(made, Month)
    return made
