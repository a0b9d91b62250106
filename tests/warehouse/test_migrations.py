"""A warehouse comes up from nothing, equals the declared tables, and says plainly when it is not current."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import sql
from connectors.warehouse import views
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import (
    comparison_options,
    ensure_current,
    known_revisions,
    run_revisions,
    status,
    upgrade,
)
from connectors.warehouse.schema import VIEW_VERSIONS, metadata, sql_table
from connectors.warehouse.views import VIEW_NAMES, drop_views
from transforms.errors import WarehouseError
from transforms.tables import LOCKS
from transforms.tables.views import VIEWS


def _drift(connection: sa.Connection) -> list[object]:
    options = comparison_options(connection.dialect.name)
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _columns(connection: sa.Connection) -> dict[tuple[str, str], tuple[str, bool]]:
    rows = connection.exec_driver_sql(
        "select table_name, column_name, data_type, numeric_precision, numeric_scale, is_nullable "
        "from information_schema.columns where table_schema in ('main', 'public')"
    )
    return {
        (table, column): (f"{kind.split('(')[0]}({precision},{scale})" if precision else kind, nullable == "YES")
        for table, column, kind, precision, scale, nullable in rows
    }


def test_the_revisions_make_the_declared_tables(empty_warehouse: Warehouse) -> None:
    made = upgrade(empty_warehouse)
    assert made.is_current
    with empty_warehouse.begin() as connection:
        assert _drift(connection) == []
        by_revisions = _columns(connection)
        drop_views(connection)
        run_revisions(connection, "base")
        left = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        assert left == set()
    with empty_warehouse.begin() as connection:
        metadata.create_all(connection)
        by_declaration = _columns(connection)
    tables = set(metadata.tables)
    assert {key: value for key, value in by_revisions.items() if key[0] in tables} == {
        key: value for key, value in by_declaration.items() if key[0] in tables
    }


def test_the_revisions_told_by_their_files_are_those_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(sql.__file__).parent / "migrations").replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    assert known_revisions() == tuple(script.revision for script in scripts.walk_revisions())[::-1]


def test_down_and_up_again(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        drop_views(connection)
        run_revisions(connection, "base")
    assert status(empty_warehouse).current is None
    assert upgrade(empty_warehouse).is_current


def test_drift_would_be_noticed(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        connection.exec_driver_sql("alter table locks add column surprise text")
        drift = _drift(connection)
    assert "surprise" in str(drift)


def test_views_have_the_declared_columns_and_types(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        for view in VIEWS:
            stand_in = sa.Table(f"as_declared_{view.name}", sa.MetaData(), *_declared(view))
            stand_in.create(connection)
        found = _columns(connection)
    for view in VIEWS:
        columns = [column for table, column in found if table == view.name]
        assert columns == view.names
        for name in view.names:
            assert found[view.name, name][0] == found[f"as_declared_{view.name}", name][0], (view.name, name)


def _declared(view: object) -> list[sa.Column[object]]:
    from connectors.warehouse.schema import sql_type
    from transforms.columns import Table

    assert isinstance(view, Table)
    return [sa.Column(column.name, sql_type(column.kind)) for column in view.columns]


def test_an_upgraded_warehouse_is_left_alone(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        connection.exec_driver_sql("create view my_own as select * from out_runs")
    assert upgrade(empty_warehouse).is_current
    with empty_warehouse.read() as connection:
        assert connection.exec_driver_sql("select count(*) from my_own").scalar() == 0


def test_older_views_are_noticed_and_replaced(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    versions = sql_table(VIEW_VERSIONS)
    with empty_warehouse.begin() as connection:
        connection.execute(versions.update().where(versions.c.name == "out_lines").values(sql_sha256="older"))
    assert status(empty_warehouse).stale_views == ["out_lines"]
    with pytest.raises(WarehouseError, match=r"older version.*csp-billing warehouse upgrade"):
        ensure_current(empty_warehouse)
    assert upgrade(empty_warehouse).is_current


def test_changed_functions_are_noticed_and_replaced(
    empty_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_warehouse)
    own = views._functions_text
    new = {
        "duckdb": "create macro answer() as 42",
        "postgresql": "create function answer() returns integer language sql as 'select 42'",
    }
    monkeypatch.setattr(views, "_functions_text", lambda dialect: f"{own(dialect)}\n\n{new[dialect]}")
    assert set(status(empty_warehouse).stale_views) == set(VIEW_NAMES)
    assert upgrade(empty_warehouse).is_current
    with empty_warehouse.read() as connection:
        assert connection.exec_driver_sql("select answer()").scalar() == 42


def test_a_view_of_somebody_else_in_the_way_is_named(postgresql_url: str) -> None:
    warehouse = open_warehouse(postgresql_url)
    upgrade(warehouse)
    with warehouse.begin() as connection:
        connection.exec_driver_sql("create view my_own as select * from out_runs")
        connection.execute(sql_table(VIEW_VERSIONS).delete())
    with pytest.raises(WarehouseError, match=r"out_runs cannot be replaced.*my_own"):
        upgrade(warehouse)


def test_an_empty_warehouse_is_set_up_by_itself(empty_warehouse: Warehouse) -> None:
    assert status(empty_warehouse).pending == list(known_revisions())
    ensure_current(empty_warehouse)
    assert status(empty_warehouse).is_current


def test_an_older_warehouse_keeps_its_rows(empty_warehouse: Warehouse) -> None:
    with empty_warehouse.begin() as connection:
        run_revisions(connection, "0001")
        locks = sql_table(LOCKS)
        now = datetime(2026, 11, 1, tzinfo=UTC)
        row = {"name": "load", "holder": "host:1", "run_id": "r", "acquired_at": now, "renewed_at": now}
        connection.execute(locks.insert(), [row])
    assert status(empty_warehouse).pending == list(known_revisions())[1:]
    with pytest.raises(WarehouseError, match=r"older version.*csp-billing warehouse upgrade"):
        ensure_current(empty_warehouse)
    assert upgrade(empty_warehouse).is_current
    with empty_warehouse.begin() as connection:
        assert dict(connection.execute(sa.select(locks)).mappings().one())["holder"] == "host:1"
        drop_views(connection)
        run_revisions(connection, "0001")
        assert connection.execute(sa.select(sa.func.count()).select_from(locks)).scalar() == 1
        assert not sa.inspect(connection).has_table("customer_clients")


def test_every_table_of_every_revision_is_declared(empty_warehouse: Warehouse) -> None:
    """Or a backup of an older warehouse would leave one out."""
    with empty_warehouse.begin() as connection:
        for revision in known_revisions():
            run_revisions(connection, revision)
            partitioned = {table for table in sa.inspect(connection).get_table_names() if table in metadata.tables}
            assert set(sa.inspect(connection).get_table_names()) - {"alembic_version"} == partitioned, revision


def test_a_newer_warehouse_is_refused(empty_warehouse: Warehouse) -> None:
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    for use in (ensure_current, upgrade):
        with pytest.raises(WarehouseError, match="newer csp-billing"):
            use(empty_warehouse)


def test_a_failed_upgrade_leaves_nothing(empty_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.warehouse.views.VIEW_NAMES", (*VIEW_NAMES, "no_such_view"))
    with pytest.raises(FileNotFoundError):
        upgrade(empty_warehouse)
    assert status(empty_warehouse).current is None


def test_two_upgrades_at_once(postgresql_url: str) -> None:
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(upgrade(open_warehouse(postgresql_url)).is_current)
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True, True]
