"""PostgreSQL keeps the large tables by period: rows are carried over, and nobody waits for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lines import read_stored_line
from connectors.warehouse.migrations import run_revisions, upgrade
from connectors.warehouse.partitions import PARTITIONED, index_partitions, partition_name
from connectors.warehouse.schema import sql_table
from connectors.warehouse.sources import clear_period
from connectors.warehouse.views import drop_views
from tests.warehouse.rows import NOON, row, rows
from transforms.columns import Table
from transforms.errors import InputError, WarehouseError
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.results import FINDINGS, LINES, RUNS

_OLD, _NEW = "2026-02", "2026-03"


def _given(table: Table, period: str) -> list[dict[str, Any]]:
    amounts = {column.name: Decimal("-0.000001") for column in table.columns if column.kind.is_decimal}
    texts = {"line_id": f"{table.name} {period}", "sku_id": "0001", "period": period}
    return [row(table, source_row=number, **amounts, **texts) for number in (2, 3)]


def _content(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    ordered = {table.name: sa.select(sql_table(table)).order_by("period", "source_row") for table in PARTITIONED}
    return {name: [tuple(one) for one in connection.execute(statement)] for name, statement in ordered.items()}


def _indexes(connection: sa.Connection, period: str) -> dict[str, str]:
    """Definitions of a period's indexes, as if the period were P."""
    found = connection.execute(sa.text("select tablename, indexdef from pg_indexes where schemaname = 'public'"))
    names = {partition_name(table, period) for table in PARTITIONED}
    texts = [text for name, text in found if name in names]
    return {text.replace(period.replace("-", "_"), "P"): period for text in texts}


def _explain(connection: sa.Connection, query: str) -> str:
    return "\n".join(connection.execute(sa.text(f"explain {query}")).scalars())


def test_rows_are_carried_over_and_back(empty_warehouse: Warehouse) -> None:
    with empty_warehouse.begin() as connection:
        run_revisions(connection, "0003")
        for table in PARTITIONED:
            connection.execute(sql_table(table).insert(), [*_given(table, _NEW), *_given(table, _OLD)])
        before = _content(connection)
        definitions = _indexes_of_tables(connection)
    upgrade(empty_warehouse)
    with empty_warehouse.begin() as connection:
        assert _content(connection) == before
        if empty_warehouse.dialect == "postgresql":
            for table in PARTITIONED:
                stored = connection.exec_driver_sql(f"select line_id from {partition_name(table, _OLD)}").scalars()
                assert set(stored) == {f"{table.name} {_OLD}"}
            insert_arrow(connection, DAILY_USAGE, rows(DAILY_USAGE, *_given(DAILY_USAGE, "2026-04")))
            index_partitions(connection, "2026-04")
            assert _indexes(connection, _OLD).keys() >= _indexes(connection, "2026-04").keys() != set()
            assert len(_indexes(connection, _OLD)) == sum(len(table.indexes) for table in PARTITIONED)
            clear_period(connection, "2026-04")
        drop_views(connection)
        run_revisions(connection, "0003")
        assert _content(connection) == before
        assert _indexes_of_tables(connection) == definitions
        for table in PARTITIONED:
            assert not sa.inspect(connection).has_table(partition_name(table, _OLD))


def _indexes_of_tables(connection: sa.Connection) -> set[str]:
    if connection.dialect.name == "duckdb":
        return set()
    found = connection.exec_driver_sql("select indexdef from pg_indexes where schemaname = 'public'").scalars()
    return set(found)


@pytest.fixture
def reader(postgresql_warehouse: Warehouse) -> Iterator[sa.Connection]:
    """An analyst's transaction that has read every partitioned table and stays open."""
    _write(postgresql_warehouse, "first", _OLD)
    with postgresql_warehouse.engine.connect() as connection:
        for view in ("out_lines", "out_findings", "out_subscriptions", "out_customer_margin"):
            connection.exec_driver_sql(f"select count(*) from {view}")
        connection.exec_driver_sql("select count(*) from src_daily_usage")
        yield connection
        connection.rollback()


def _write(warehouse: Warehouse, run_id: str, period: str) -> None:
    """A small run as the pipeline writes it, which waits for no lock longer than a second."""
    with warehouse.begin() as connection:
        _fill(connection, run_id, period)


def _fill(connection: sa.Connection, run_id: str, period: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("set local lock_timeout = '1s'")
    clear_period(connection, period)
    run = {"run_id": run_id, "period": period, "started_at": NOON, "status": "reconciled"}
    insert_arrow(connection, RUNS, rows(RUNS, run))
    for table in PARTITIONED:
        given = _given(table, period)
        if table is LINES:
            given = [{**one, "run_id": run_id, "source": "daily_usage"} for one in given]
        insert_arrow(connection, table, rows(table, *given))
    insert_arrow(connection, FINDINGS, rows(FINDINGS, {"run_id": run_id, "period": period}))
    index_partitions(connection, period)


def test_a_reader_and_a_run_do_not_wait_for_each_other(
    postgresql_warehouse: Warehouse, reader: sa.Connection
) -> None:
    """Neither for a run that makes partitions nor for one that replaces a period."""
    for run_id, period in (("second", _NEW), ("third", _OLD)):
        with postgresql_warehouse.begin() as connection, postgresql_warehouse.read() as another:
            _fill(connection, run_id, period)
            another.exec_driver_sql("set local lock_timeout = '1s'")
            assert another.exec_driver_sql(f"select count(*) from out_lines where run_id = '{run_id}'").scalar() == 0
    assert reader.exec_driver_sql("select count(*) from out_runs").scalar() == 3
    assert reader.exec_driver_sql("select count(*) from lines").scalar() == 6


def test_a_period_is_looked_up_in_its_partition_by_its_indexes(postgresql_warehouse: Warehouse) -> None:
    for run_id, period in (("first", _OLD), ("second", _NEW)):
        _write(postgresql_warehouse, run_id, period)
    with postgresql_warehouse.begin() as connection:
        of_period = _explain(connection, f"select * from out_lines where period = '{_NEW}'")
        assert "lines_2026_03" in of_period
        assert "lines_2026_02" not in of_period
        connection.exec_driver_sql("set local enable_seqscan = off")
        for name in ("line_id", "customer_id", "invoice_number"):
            assert f"ix_lines_2026_03_{name}" in _explain(connection, f"select * from out_lines where {name} = 'x'")
        assert "ix_lines_2026_03_run_id" in _explain(connection, "select * from lines where run_id = 'x'")
        findings = _explain(connection, "select * from out_findings where period = 'x' and code = 'x'")
        assert "ix_findings_period_code" in findings
        place = "period = '2026-03' and source_file = 'x' and source_row = 7"
        source = _explain(connection, f"select * from src_daily_usage where {place}")
        assert "ix_src_daily_usage_2026_03_source_row" in source


def test_a_line_stored_at_another_place_is_still_explained(warehouse: Warehouse) -> None:
    """An ad hoc run may have read its line from another file than the one that is stored."""
    _write(warehouse, "first", _OLD)
    made = sql_table(LINES)
    with warehouse.begin() as connection:
        connection.execute(made.update().values(line_id=f"src_daily_usage {_OLD}", source_file="elsewhere.csv"))
        stored = read_stored_line(connection, f"src_daily_usage {_OLD}")
    assert stored.source["source_file"] == "x"


def test_a_detached_partition_is_named(postgresql_warehouse: Warehouse) -> None:
    _write(postgresql_warehouse, "first", _OLD)
    with postgresql_warehouse.begin() as connection:
        connection.exec_driver_sql("alter table lines detach partition lines_2026_02")
    with pytest.raises(WarehouseError, match=r"lines_2026_02 is there.*attach partition"):
        _write(postgresql_warehouse, "second", _OLD)


def test_a_period_that_is_none_is_refused(postgresql_warehouse: Warehouse) -> None:
    with postgresql_warehouse.begin() as connection, pytest.raises(InputError, match="not a month"):
        insert_arrow(connection, LINES, rows(LINES, {"period": "2026'); drop table runs; --"}))
