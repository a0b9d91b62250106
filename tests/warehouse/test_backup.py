"""A backup is whole and exact, restored on either engine, and never over anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.warehouse.backup import MANIFEST, Sums, back_up, read_manifest, sums_of, tables_of
from connectors.warehouse.checks import run_checks
from connectors.warehouse.downgrade import downgrade
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import held
from connectors.warehouse.migrations import known_revisions, run_revisions, status
from connectors.warehouse.restore import restore
from tests.warehouse.filled import fill
from transforms.errors import InputError, WarehouseError


def _sums(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.read() as connection:
        return {table.name: sums_of(connection, table) for table in tables_of(connection)}


def _rows(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as Python has it, to the last digit."""
    with warehouse.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.exec_driver_sql(f"select * from {table.name}")), key=repr)
            for table in tables_of(connection)
        }


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    with warehouse.begin() as connection:
        fill(connection)
    return warehouse


@pytest.mark.parametrize("revision", [known_revisions()[-1], "0004", "0001"])
def test_a_backup_moves_to_either_engine(
    revision: str, filled: Warehouse, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Also one of an earlier revision, which is upgraded as it is restored."""
    downgrade(filled, revision, accept_loss=True)
    manifest = back_up(filled, tmp_path / "backup")
    assert (manifest.revision, manifest.engine) == (revision, filled.dialect)
    assert manifest.rows >= 2 * len(manifest.tables) - 1
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "backup").iterdir()} == {0o600}
    other = {"duckdb": "postgresql", "postgresql": "duckdb"}[filled.dialect]
    target = request.getfixturevalue(f"{other}_warehouse")
    restore(target, tmp_path / "backup")
    assert status(target).is_current
    assert status(filled).current == revision
    if revision == known_revisions()[-1]:
        assert _sums(target) == _sums(filled)
        assert _rows(target) == _rows(filled), "exact, digit by digit"
        assert [one.name for one in run_checks(target)] == [one.name for one in run_checks(filled)]
    with target.read() as connection:
        assert connection.exec_driver_sql("select count(*) from out_runs").scalar() == 2


def test_a_backup_is_never_restored_over_anything(filled: Warehouse, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "backup")
    before = _rows(filled)
    with pytest.raises(WarehouseError, match="is not empty, and a backup is never restored over anything"):
        restore(filled, tmp_path / "backup")
    if filled.path is None:
        with pytest.raises(WarehouseError, match="is not empty"):
            restore(filled, tmp_path / "backup", set_aside=True)
    else:
        with filled.begin() as connection:
            connection.exec_driver_sql("delete from customer_clients")
        restore(filled, tmp_path / "backup", set_aside=True)
        assert len(list(filled.path.parent.iterdir())) == 2, "the file before, under another name, and nothing else"
    assert _rows(filled) == before


def test_a_backup_is_made_of_a_quiet_warehouse(filled: Warehouse, tmp_path: Path) -> None:
    told = r"somebody is at work .*halo https://acme.*locks"
    with held(filled, "halo https://acme.com", "run-1", str), pytest.raises(WarehouseError, match=told):
        back_up(filled, tmp_path / "backup")
    assert list(tmp_path.glob("backup*")) == []
    back_up(filled, tmp_path / "backup")
    with pytest.raises(InputError, match="is there already"):
        back_up(filled, tmp_path / "backup")
    with held(filled, "month 2025-11", "", str), pytest.raises(WarehouseError, match="somebody is at work"):
        restore(filled, tmp_path / "backup")


def test_a_damaged_backup_is_refused(filled: Warehouse, duckdb_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    back_up(filled, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    file = folder / "lines.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(InputError, match=r"lines.parquet is not as it was written"):
        restore(filled, folder)
    file.unlink()
    with pytest.raises(InputError, match=r"lines.parquet cannot be read"):
        restore(filled, folder)
    file.write_bytes(whole)
    for change, told in (({"revision": "9999"}, "newer csp-billing"), ({"format": 2}, "newer csp-billing")):
        (folder / MANIFEST).write_text(json.dumps({**manifest, **change}))
        with pytest.raises(InputError, match=told):
            read_manifest(folder)
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(InputError, match="not a backup's manifest"):
        read_manifest(folder)
    with pytest.raises(InputError, match="is no backup"):
        read_manifest(tmp_path)


def test_what_differs_from_the_manifest_is_not_restored(
    filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A driver that changed a digit on the way: nothing is left of the restore."""
    back_up(filled, tmp_path / "backup")
    other = {"duckdb": "postgresql", "postgresql": "duckdb"}[filled.dialect]
    target = request.getfixturevalue(f"{other}_warehouse")
    told = Sums.told

    def off_by_one(sums: Sums) -> dict[str, Any]:
        found = told(sums)
        if "subtotal" in str(found["sums"]):
            found["sums"] = {name: [count, f"{total}1"] for name, (count, total) in found["sums"].items()}
        return found

    monkeypatch.setattr("connectors.warehouse.restore.check_file", lambda file, entry: None)
    monkeypatch.setattr(Sums, "told", off_by_one)
    with pytest.raises(WarehouseError, match="is not in the warehouse as it is in the backup"):
        restore(target, tmp_path / "backup")
    monkeypatch.undo()
    assert all(not one["rows"] for one in _sums(target).values())


def test_an_empty_warehouse_is_not_backed_up(empty_warehouse: Warehouse, tmp_path: Path) -> None:
    with empty_warehouse.begin() as connection:
        run_revisions(connection, "base")
    with pytest.raises(WarehouseError, match="nothing to back up"):
        back_up(empty_warehouse, tmp_path / "backup")
    assert list(tmp_path.glob("*backup*")) == []
