"""Read-only SQL reads, and cannot do anything else on either engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.query import QueryResult, run_query
from tests.warehouse.rows import NOON, rows
from transforms.errors import InputError
from transforms.tables.results import INVOICE_TIEOUT, RUNS


def _fill(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, RUNS, rows(RUNS, {"run_id": "r", "period": "2026-03"}))
        tied = {"run_id": "r", "invoice_number": "100%", "lines_amount": Decimal("0.10")}
        insert_arrow(connection, INVOICE_TIEOUT, rows(INVOICE_TIEOUT, tied))


def test_a_query_gives_columns_and_exact_rows(warehouse: Warehouse) -> None:
    _fill(warehouse)
    result = run_query(
        warehouse,
        "with t as (select * from out_invoice_tieout where invoice_number like '1%') "
        "select run_id, lines_amount * 3 as three, started_at from t join out_runs using (run_id); ",
    )
    assert result.columns == ["run_id", "three", "started_at"]
    assert result.rows == [["r", Decimal("0.30"), NOON]]


def test_a_limit_is_kept_and_told(warehouse: Warehouse) -> None:
    three = "select * from (values (1), (2), (3)) as numbers (n) order by n"
    assert run_query(warehouse, three, 2) == QueryResult(["n"], [[1], [2]], is_cut=True)
    assert run_query(warehouse, three, 3) == run_query(warehouse, three) == QueryResult(["n"], [[1], [2], [3]])


@pytest.mark.parametrize(
    "sql",
    [
        "delete from runs",
        "drop view out_runs",
        "create table mine as select 1 as x",
        "update runs set status = 'billed'",
        "commit; delete from runs",
        "select 1; delete from runs",
        "select 1; commit; drop table runs cascade",
        "with gone as (delete from runs returning *) select * from gone",
        "set session characteristics as transaction read write",
        "copy runs to '{file}'",
        "select nonsense from out_runs",
        "not sql at all",
        "",
    ],
)
def test_what_is_no_query_is_refused_in_one_line(warehouse: Warehouse, sql: str, tmp_path: Path) -> None:
    _fill(warehouse)
    file = tmp_path / "stolen.csv"
    with pytest.raises(InputError) as told:
        run_query(warehouse, sql.format(file=file))
    assert "\n" not in str(told.value)
    assert run_query(warehouse, "select count(*) from runs").rows == [[1]]
    assert not file.exists()


@pytest.mark.parametrize("sql", ["select * from read_csv('{file}')", "attach '{file}.duckdb' as other"])
def test_other_files_are_out_of_reach(duckdb_warehouse: Warehouse, sql: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    with pytest.raises(InputError, match=r"(?i)disabled"):
        run_query(duckdb_warehouse, sql.format(file=file))
