"""The analysts' copy equals the views, is replaced at once, and locks nobody out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from connectors.unfinished import claimed
from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.schema import VIEW_VERSIONS, sql_table
from connectors.warehouse.snapshot import publish_snapshot
from connectors.warehouse.sources import clear_period
from tests.warehouse.rows import NOON, rows
from transforms.columns import Table
from transforms.errors import WarehouseError
from transforms.tables import INVOICE_RECON
from transforms.tables.loading import HALO_POSTINGS
from transforms.tables.results import FINDINGS, LINES, RUNS
from transforms.tables.sources import PRICE_LIST
from transforms.tables.views import OUT_LINES, VIEWS


def _add_run(warehouse: Warehouse, run_id: str, started: int, period: str = "2026-03") -> None:
    amount = Decimal("99999999999999999999.000000000000000001")
    with warehouse.begin() as connection:
        run = {"run_id": run_id, "period": period, "status": "reconciled", "started_at": NOON.replace(hour=started)}
        insert_arrow(connection, RUNS, rows(RUNS, run))
        line = {"run_id": run_id, "period": period, "total_amount": amount, "sku_name": "", "line_id": f"line {period}",
                "source": "invoice_recon"}  # fmt: skip
        insert_arrow(connection, LINES, rows(LINES, line))
        clear_period(connection, period)
        charge = {"line_id": f"line {period}", "period": period, "subtotal": Decimal(started),
                  "total": Decimal(started)}  # fmt: skip
        insert_arrow(connection, INVOICE_RECON, rows(INVOICE_RECON, charge))


def _content(published: Path) -> dict[str, list[str]]:
    """The rows of each view, which the Parquet and the DuckDB file agree upon."""
    found = {}
    with duckdb.connect(str(published / "warehouse.duckdb"), read_only=True) as copy:
        for view in VIEWS:
            in_file, in_parquet = (
                _sorted(copy.sql(f"select * from {source}").to_arrow_table().cast(view.schema))
                for source in (view.name, f"read_parquet('{published / view.name}.parquet')")
            )
            assert in_file == in_parquet
            found[view.name] = in_file
    return found


def _views(warehouse: Warehouse) -> dict[str, list[str]]:
    with warehouse.read() as connection:
        return {view.name: _sorted(read_arrow(connection, _whole(view), view.schema)) for view in VIEWS}


def _whole(view: Table) -> sa.Executable:
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in view.names]
    return sa.select(*columns).select_from(sa.table(view.name))


def _sorted(rows: pa.Table) -> list[str]:
    return sorted(map(repr, rows.to_pylist()))


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


def test_what_is_unchanged_is_taken_over_and_nothing_is_missed(warehouse: Warehouse, tmp_path: Path) -> None:
    """After each kind of change the copy is what the views are."""
    runs, postings = sql_table(RUNS), sql_table(HALO_POSTINGS)
    posting = {"halo_url": "h", "entity": "line", "natural_key": "line 2026-03", "period": "2026-03", "halo_id": 7}
    price = {"file_sha256": "a", "unit_price": Decimal(10), "effective_start_date": NOON}
    raised = {"file_sha256": "b", "unit_price": Decimal(11), "effective_start_date": NOON.replace(day=3)}

    def insert(table: Table, values: dict[str, Any]) -> Callable[[sa.Connection], object]:
        return lambda connection: insert_arrow(connection, table, rows(table, values))

    def settle(state: str) -> sa.Update:
        return postings.update().values(state=state, settled_at=NOON.replace(hour=20))

    changes: list[tuple[str, sa.Executable | Callable[[sa.Connection], object], set[str]]] = [
        ("a line is posted", insert(HALO_POSTINGS, {**posting, "state": "posted"}), {"2026-03"}),
        ("it is billed", settle("billed"), {"2026-03"}),
        ("the ledger forgets it", postings.delete(), {"2026-03"}),
        ("the last run failed", runs.update().where(runs.c.run_id == "r3").values(status="failed"), {"2026-03"}),
        ("a price list", insert(PRICE_LIST, price), {"prices"}),
        ("another one", insert(PRICE_LIST, raised), {"prices"}),
        ("a finding", insert(FINDINGS, {"run_id": "r3"}), set()),
        ("no run of a period counts", runs.update().where(runs.c.period == "2026-02").values(status="failed"), set()),
    ]
    for run_id, period in (("r1", "2026-02"), ("r2", "2026-03"), ("r3", "2026-03")):
        _add_run(warehouse, run_id, int(run_id[1:]), period)
    published = publish_snapshot(warehouse, tmp_path)
    for name, change, rewritten in changes:
        before = _inodes(published)
        with warehouse.begin() as connection:
            connection.execute(change) if isinstance(change, sa.Executable) else change(connection)
        publish_snapshot(warehouse, tmp_path)
        assert _content(published) == _views(warehouse), name
        after = _inodes(published)
        assert {part for part in before.keys() & after.keys() if before[part] != after[part]} == rewritten, name
    assert _content(published)["out_price_changes"]
    assert _content(published)["out_focus"]
    assert set(_inodes(published)) == {"2026-03", "r2", "prices"}


def _inodes(published: Path) -> dict[str, int]:
    """Which files hold what may be taken over."""
    folders = (published / "out_lines.parquet", published / "out_focus.parquet")
    files = {path.stem: path for folder in folders for path in folder.iterdir()}
    files["prices"] = published / "out_price_changes.parquet"
    return {name: path.stat().st_ino for name, path in files.items()}


def test_a_copy_that_is_not_whole_or_of_another_warehouse_is_not_built_upon(
    duckdb_warehouse: Warehouse, postgresql_warehouse: Warehouse, tmp_path: Path
) -> None:
    _add_run(duckdb_warehouse, "r1", 1)
    published = publish_snapshot(duckdb_warehouse, tmp_path)
    (published / "warehouse.duckdb").unlink()
    whole = _content(publish_snapshot(duckdb_warehouse, tmp_path))
    assert len(whole["out_lines"]) == 1
    state = published / "snapshot.json"
    state.chmod(0o644)
    state.write_text("{", encoding="utf-8")
    assert _content(publish_snapshot(duckdb_warehouse, tmp_path)) == whole
    assert _content(publish_snapshot(postgresql_warehouse, tmp_path))["out_lines"] == []


def test_the_newest_of_two_copies_made_at_once_is_published(duckdb_warehouse: Warehouse, tmp_path: Path) -> None:
    newer = tmp_path / "snapshots" / "99991231T235959.000000Z"
    newer.mkdir(parents=True)
    (tmp_path / "snapshot").symlink_to(newer)
    abandoned, at_work = (tmp_path / "snapshots" / name for name in (".1-1", ".2-2"))
    for folder in (abandoned, at_work):
        folder.mkdir()
    with claimed(at_work):
        published = publish_snapshot(duckdb_warehouse, tmp_path)
    assert published.resolve() == newer
    assert at_work.exists()
    assert not abandoned.exists()


def test_the_copy_knows_the_functions_of_the_views(duckdb_warehouse: Warehouse, tmp_path: Path) -> None:
    published = publish_snapshot(duckdb_warehouse, tmp_path)
    with duckdb.connect(str(published / "warehouse.duckdb"), read_only=True) as copy:
        assert copy.sql("select percentage(1.0, 3.0)").fetchall() == [(Decimal("33.3333"),)]


def test_a_failed_copy_leaves_the_published_one(
    duckdb_warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish_snapshot(duckdb_warehouse, tmp_path)
    before = published.resolve()

    def fail(*_: object) -> None:
        raise pa.ArrowInvalid("broken")

    monkeypatch.setattr("connectors.warehouse.snapshot._Copy._write_parquet", fail)
    with pytest.raises(WarehouseError, match=r"the snapshot cannot be written to .*: broken"):
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
