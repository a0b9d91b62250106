"""A whole month under the job's role on PostgreSQL; what changes tables is the owner's alone."""

from __future__ import annotations

import itertools
from importlib import resources
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import Warehouse, open_warehouse
from examples.month import generate_month
from tests.pipelines.conftest import Command, command, halo, working_folder
from tests.warehouse.refused import check_refused
from tests.warehouse.test_roles import SCRIPT as ANALYST

__all__ = ["command", "halo", "working_folder"]  # fixtures

SCRIPT = resources.files("sql").joinpath("roles", "billing.sql").read_text(encoding="utf-8")
_number = itertools.count(1)


@pytest.fixture
def owned(postgresql_warehouse: Warehouse) -> Warehouse:
    """The warehouse with both roles, as its owner sees it."""
    with postgresql_warehouse.begin() as connection:
        for script in (SCRIPT, ANALYST, SCRIPT):
            connection.exec_driver_sql(script.replace("%", "%%"))
    return postgresql_warehouse


@pytest.fixture
def job(owned: Warehouse) -> Warehouse:
    """As a login with the job's role sees it."""
    return open_warehouse(_login(owned, "csp_billing_job"))


def _login(owned: Warehouse, role: str) -> str:
    name = f"{role}_{next(_number)}"
    with owned.begin() as connection:
        connection.exec_driver_sql(f"create role {name} login in role {role}")
    return owned.engine.url.set(username=name).render_as_string(hide_password=False)


def test_a_month_is_billed_under_the_jobs_role(
    job: Warehouse, owned: Warehouse, command: Command, halo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", job.engine.url.render_as_string(hide_password=False))
    generate_month(Path("exports"), period="2025-11", plant=False)
    done = command("run", "--period", "2025-11", "--report", "--json")
    assert (done.code, done.document["status"]) == (0, "billed"), done.err
    again = command("run", "--period", "2025-11", "--json")
    assert (again.code, again.document["loaded"]) == (0, {"prices": 0, "invoices": 0, "lines": 0}), again.err
    for arguments in (["status"], ["warehouse", "check"], ["orders", "sync"], ["findings"], ["warehouse", "status"]):
        outcome = command(*arguments)
        assert outcome.code == 0, (arguments, outcome.err)
    with owned.read() as connection:
        tables = connection.exec_driver_sql(
            "select relname, pg_get_userbyid(relowner) = current_user from pg_class "
            "where relispartition and relkind = 'r'"
        ).all()
        indexed = connection.exec_driver_sql(
            "select count(*) from pg_index join pg_class on indrelid = oid where relispartition"
        ).scalar_one()
    assert ("lines_2025_11", True) in [tuple(row) for row in tables]
    assert all(is_owners for _, is_owners in tables)
    assert indexed


def test_the_job_changes_no_table(job: Warehouse) -> None:
    check_refused(job, [
        "create table mine (a int)", "drop table lines cascade", "alter table runs add column a int",
        "drop view out_runs", "truncate lines", "update alembic_version set version_num = 'x'",
        "delete from view_versions", "update approvals set note = 'x'", "delete from approvals",
        "create function mine() returns int language sql as 'select 1'", "create schema mine",
        "select pg_read_file('postgresql.conf')", "copy runs to program 'cat'", "set role postgres",
    ])  # fmt: skip


@pytest.mark.parametrize(("parent", "period"), [
    ("runs", "2025-11"), ("lines", "2025-13"), ("lines", "2025-11'); drop table runs; --"), ("pg_class", "2025-11"),
    ('lines"; drop table runs; --', "2025-11"),
])  # fmt: skip
def test_the_functions_make_partitions_and_nothing_else(job: Warehouse, parent: str, period: str) -> None:
    for call in (sa.func.csp_billing_make_partition(parent, period),
                 sa.func.csp_billing_index_partition(parent, period, ["x (run_id); drop table runs; --"])):  # fmt: skip
        with job.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"can be made|no partition of"):
            connection.execute(sa.select(call))


def test_an_index_is_made_of_columns_only(job: Warehouse, owned: Warehouse) -> None:
    with job.begin() as connection:
        connection.execute(sa.select(sa.func.csp_billing_make_partition("lines", "2025-11")))
    hostile = ["x run_id); drop table runs; --"]
    with job.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="does not exist"):
        connection.execute(sa.select(sa.func.csp_billing_index_partition("lines", "2025-11", hostile)))
    with owned.read() as connection:
        assert sa.inspect(connection).has_table("runs")


def test_an_analyst_has_none_of_it(owned: Warehouse) -> None:
    check_refused(open_warehouse(_login(owned, "csp_billing_analyst")), [
        "select csp_billing_make_partition('lines', '2025-11')", "insert into runs default values",
        "select csp_billing_index_partition('lines', '2025-11', '{}')", "update lines set run_id = 'x'",
        "delete from halo_postings", "create temporary table lines (a int); insert into out_runs default values",
    ])  # fmt: skip
