"""The analysts' copy equals the views, is replaced at once, and locks nobody out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.schema import VIEW_VERSIONS, sql_table
from connectors.warehouse.snapshot import publish_snapshot
from tests.warehouse.rows import NOON, rows
from transforms.errors import WarehouseError
from transforms.tables.results import LINES, RUNS
from transforms.tables.views import OUT_LINES, VIEWS


def _add_run(warehouse: Warehouse, run_id: str, started: int) -> None:
    amount = Decimal("99999999999999999999.000000000000000001")
    with warehouse.begin() as connection:
        run = {"run_id": run_id, "period": "2026-03", "status": "reconciled", "started_at": NOON.replace(hour=started)}
        insert_arrow(connection, RUNS, rows(RUNS, run))
        insert_arrow(connection, LINES, rows(LINES, {"run_id": run_id, "total_amount": amount, "sku_name": ""}))


def test_the_copy_is_the_views(warehouse: Warehouse, tmp_path: Path) -> None:
    _add_run(warehouse, "r1", 1)
    published = publish_snapshot(warehouse, tmp_path)
    assert published == tmp_path / "snapshot"
    lines = pq.read_table(published / "out_lines.parquet")
    assert lines.schema.equals(OUT_LINES.schema)
    assert lines["total_amount"].to_pylist() == [Decimal("99999999999999999999.000000000000000001")]
    assert lines["sku_name"].to_pylist() == [""]
    assert lines["currency"].to_pylist() == [None]
    with duckdb.connect(str(published / "warehouse.duckdb"), read_only=True) as copy:
        for view in VIEWS:
            kept = copy.sql(f"select * from {view.name}").to_arrow_table()
            assert kept.cast(view.schema).equals(pq.read_table(published / f"{view.name}.parquet").cast(view.schema))


def test_an_open_copy_stays_while_a_new_one_is_published(duckdb_warehouse: Warehouse, tmp_path: Path) -> None:
    _add_run(duckdb_warehouse, "r1", 1)
    published = publish_snapshot(duckdb_warehouse, tmp_path)
    with duckdb.connect(str(published / "warehouse.duckdb"), read_only=True) as reader:
        _add_run(duckdb_warehouse, "r2", 2)
        for _ in range(2):
            publish_snapshot(duckdb_warehouse, tmp_path)
        assert reader.sql("select run_id from out_lines").fetchall() == [("r1",)]
    with duckdb.connect(str(published / "warehouse.duckdb"), read_only=True) as reader:
        assert reader.sql("select run_id from out_lines").fetchall() == [("r2",)]
    assert len(list((tmp_path / "snapshots").iterdir())) == 2


def test_a_failed_copy_leaves_the_published_one(
    duckdb_warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish_snapshot(duckdb_warehouse, tmp_path)
    before = published.resolve()

    def fail(*_: object) -> None:
        raise pa.ArrowInvalid("broken")

    monkeypatch.setattr("connectors.warehouse.snapshot._write_parquet", fail)
    with pytest.raises(pa.ArrowInvalid):
        publish_snapshot(duckdb_warehouse, tmp_path)
    assert published.resolve() == before
    assert list((tmp_path / "snapshots").iterdir()) == [before]


def test_what_is_in_the_way_is_told(duckdb_warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    with pytest.raises(WarehouseError, match="the snapshot cannot be written"):
        publish_snapshot(duckdb_warehouse, tmp_path)
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_warehouse_that_is_not_current_is_not_copied(duckdb_warehouse: Warehouse, tmp_path: Path) -> None:
    with duckdb_warehouse.begin() as connection:
        connection.execute(sql_table(VIEW_VERSIONS).delete())
    with pytest.raises(WarehouseError, match="csp-billing warehouse upgrade"):
        publish_snapshot(duckdb_warehouse, tmp_path)
    assert not (tmp_path / "snapshots").exists()
