"""The analysts' role reads the views and nothing else, on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import resources

import pytest
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.checks import run_checks
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import ensure_current, upgrade
from connectors.warehouse.query import run_query
from connectors.warehouse.schema import VIEW_VERSIONS, sql_table
from connectors.warehouse.views import VIEW_NAMES
from tests.warehouse.refused import check_refused
from tests.warehouse.rows import rows
from transforms.errors import WarehouseError
from transforms.tables.results import LINES, RUNS

SCRIPT = resources.files("sql").joinpath("roles", "analyst.sql").read_text(encoding="utf-8")
_number = itertools.count(1)


def _own(warehouse: Warehouse, *statements: str) -> None:
    """Run as the owner."""
    with warehouse.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


@pytest.fixture
def analyst(postgresql_warehouse: Warehouse) -> Warehouse:
    """The warehouse as somebody with the role sees it; it holds a line in a partition."""
    with postgresql_warehouse.begin() as connection:
        insert_arrow(connection, RUNS, rows(RUNS, {"run_id": "r", "status": "reconciled"}))
        insert_arrow(connection, LINES, rows(LINES, {"run_id": "r"}))
    login = f"anna_{next(_number)}"
    _own(postgresql_warehouse, SCRIPT, f"create role {login} login in role csp_billing_analyst")
    url = postgresql_warehouse.engine.url.set(username=login)
    return open_warehouse(url.render_as_string(hide_password=False))


def _tables(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as connection:
        return sa.inspect(connection).get_table_names()


def test_the_role_reads_every_view(analyst: Warehouse) -> None:
    with analyst.read() as connection:
        for view in VIEW_NAMES:
            connection.exec_driver_sql(f"select * from {view}").all()
    assert run_query(analyst, "select line_id, percentage(1, 3) as share from out_lines").rows[0][0] == "x"


def test_the_role_can_do_nothing_else(postgresql_warehouse: Warehouse, analyst: Warehouse) -> None:
    tables = _tables(postgresql_warehouse)
    assert {"lines", "lines_2026_03", "halo_postings", "customer_clients"} <= set(tables)
    tried = [
        *(f"select count(*) from {table}" for table in tables),
        *(f"delete from {table}" for table in (*tables, *VIEW_NAMES)),
        *(f"truncate {table}" for table in tables),
        "insert into out_runs (run_id, period, status, started_at, code_version, policy_digest) "
        "values ('x', '2026-03', 'billed', now(), '1', 'x')",
        "update out_runs set status = 'billed'",
        "create table mine (a int)",
        "create view mine as select 1",
        "create schema mine",
        "drop view out_runs",
        "alter table runs add column a int",
        "lock table runs in access exclusive mode",
        "copy out_runs to program 'cat'",
        "select pg_read_file('postgresql.conf')",
        "set role postgres",
    ]
    check_refused(analyst, tried)


def test_what_the_role_may_not_do_is_told_in_one_line(analyst: Warehouse) -> None:
    """By the commands that need more than the views."""
    for command in (ensure_current, upgrade, run_checks):
        with pytest.raises(WarehouseError, match=r"may not do this: permission denied .*csp-billing warehouse query"):
            command(analyst)
    with pytest.raises(WarehouseError, match="may not do this"), analyst.read() as connection:
        read_arrow(connection, sa.select(sql_table(RUNS)), RUNS.schema)


def test_repeating_the_script_takes_back_what_is_too_much(
    postgresql_warehouse: Warehouse, analyst: Warehouse
) -> None:
    _own(postgresql_warehouse, "grant all on runs, lines_2026_03 to csp_billing_analyst", SCRIPT, SCRIPT)
    with analyst.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="permission denied"):
        connection.exec_driver_sql("select 1 from lines_2026_03")
    _own(postgresql_warehouse, "alter role csp_billing_analyst createdb")
    try:
        with pytest.raises(sa.exc.DBAPIError, match="may do more than read"):
            _own(postgresql_warehouse, SCRIPT)
    finally:
        _own(postgresql_warehouse, "alter role csp_billing_analyst nocreatedb")


def test_an_upgrade_keeps_what_is_granted(postgresql_warehouse: Warehouse, analyst: Warehouse) -> None:
    _own(postgresql_warehouse, "grant select on out_runs to public", "create role \"Bob's 100%\"",
         "grant select, trigger on out_orders to \"Bob's 100%\" with grant option")  # fmt: skip

    def granted() -> list[tuple[str, str]]:
        with postgresql_warehouse.read() as connection:
            found = connection.exec_driver_sql(
                "select relname, relacl::text from pg_class where relkind = 'v' and relacl is not null order by 1"
            )
            return [(name, acl) for name, acl in found]

    before = granted()
    with postgresql_warehouse.begin() as connection:
        connection.execute(sql_table(VIEW_VERSIONS).update().values(sql_sha256="older"))
    assert upgrade(postgresql_warehouse).is_current
    assert granted() == before
    assert run_query(analyst, "select count(*) from out_lines").rows == [[1]]


def test_a_database_without_a_warehouse_is_told(make_database: Callable[[str], str]) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="csp-billing warehouse upgrade"):
        _own(open_warehouse(make_database("template0")), SCRIPT)
