"""No text becomes SQL: hostile texts come back as they went in, and a query can only read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lines import read_stored_line
from connectors.warehouse.query import run_query
from connectors.warehouse.runs import get_run, read_findings
from connectors.warehouse.schema import sql_table
from tests.warehouse.rows import rows
from transforms.columns import Kind
from transforms.errors import InputError
from transforms.tables.results import FINDINGS, LINES, RUNS

INJECTIONS = [
    "'; drop table runs; --", "' or '1'='1", '"; drop table runs; --', "\\'; drop table runs; --", "$$;$$", "%s",
              "%(run_id)s", ":run_id", "?", "{run_id}", "\\.", "\\N", "a\tb\nc\r", "''", "\\", "/* */", "\u2019; --",
              "=cmd|' /C calc'!A1", "\U0001f600", "\u202e", "x" * 70_000,
]  # fmt: skip
texts = st.sampled_from(INJECTIONS) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(values=st.lists(texts, min_size=1, max_size=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_come_back_as_they_were(warehouse: Warehouse, values: list[str]) -> None:
    """In every text column of findings, which have those of all others."""
    names = [column.name for column in FINDINGS.columns if column.kind is Kind.TEXT]
    given_rows = [
        {name: values[(at + place) % len(values)] for place, name in enumerate(names)} for at in range(len(values))
    ]
    with warehouse.begin() as connection:
        connection.execute(sa.delete(sql_table(FINDINGS)))
        # On PostgreSQL the key is enforced.
        wanted = [{**row, "finding_id": f"{at} {row['finding_id']}"} for at, row in enumerate(given_rows)]
        insert_arrow(connection, FINDINGS, rows(FINDINGS, *wanted))
    with warehouse.read() as connection:
        stored = read_arrow(connection, sa.select(sql_table(FINDINGS)), FINDINGS.schema).to_pylist()
        assert sa.inspect(connection).has_table("runs")
    told = {one["finding_id"]: one for one in stored}
    assert [{name: told[row["finding_id"]][name] for name in names} for row in wanted] == wanted


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_argument_is_a_value(warehouse: Warehouse, text: str) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, RUNS, rows(RUNS, {"run_id": "r", "status": "reconciled"}))
        insert_arrow(connection, LINES, rows(LINES, {"run_id": "r"}))
    with warehouse.read() as connection:
        for call in (lambda: get_run(connection, text), lambda: read_stored_line(connection, text)):
            with pytest.raises(InputError):
                call()
        assert read_findings(connection, text, [text]).num_rows == 0
    assert run_query(warehouse, "select count(*) from runs").rows == [[1]]


@pytest.mark.parametrize("sql", [
    "copy (select 1) to '{file}'", "copy runs from '{file}'", "export database '{file}'", "attach '{file}' as other",
    "install httpfs", "load httpfs", "select * from read_text('{secret}')", "select * from read_blob('{secret}')",
    "select * from glob('{folder}/*')", "from '{secret}'", "set enable_external_access = true", "reset memory_limit",
    "pragma enable_external_access", "set lock_configuration = false", "pragma temp_directory='{folder}/x'",
    "create secret (type s3)", "checkpoint; select 1", "call pragma_version(); drop table runs", "vacuum runs",
    "select * from sniff_csv('{secret}')", "create macro x() as 1", "create temp table t as select 1; select * from t",
    "insert into runs select * from runs", "truncate runs", "begin; delete from runs; commit", "detach warehouse",
])  # fmt: skip
def test_duckdb_reads_its_own_file_and_nothing_else(duckdb_warehouse: Warehouse, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    before = sorted(tmp_path.rglob("*"))
    wanted = sql.format(file=tmp_path / "stolen", secret=secret, folder=tmp_path)
    if not sql.startswith(("vacuum", "load", "reset", "pragma")):
        with pytest.raises(InputError):
            run_query(duckdb_warehouse, wanted)
    else:
        # Some of it does nothing in a file opened for reading, and may say so.
        with suppress(InputError):
            assert "canary" not in repr(run_query(duckdb_warehouse, wanted).rows)
    assert sorted(tmp_path.rglob("*")) == before
    assert run_query(duckdb_warehouse, "select count(*) from runs").rows == [[0]]


def test_duckdb_tells_no_environment(duckdb_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_BILLING_HALO_CLIENT_SECRET", "canary-of-the-environment")
    for sql in ("select getenv('CSP_BILLING_HALO_CLIENT_SECRET')", "select * from duckdb_secrets()"):
        try:
            assert "canary" not in repr(run_query(duckdb_warehouse, sql).rows)
        except InputError:
            continue


@pytest.mark.parametrize("sql", [
    "insert into runs default values", "with x as (update runs set status = 'x' returning 1) select * from x",
    "select nextval('s')", "select setval('s', 1)", "select lo_create(0)", "select set_config('transaction_read_only', "
    "'off', false)", "select 1 into stolen", "select * from runs for update", "do $$ begin end $$", "call p()",
    "copy runs to program 'cat'", "copy runs to stdout", "explain analyze delete from runs", "lock table runs",
    "notify x", "listen x", "prepare p as delete from runs", "execute p", "set role postgres", "select 1; commit",
    "select 1 union select 1; drop table runs", "vacuum runs", "refresh materialized view x",
    "create temp table t (a int)",
])  # fmt: skip
def test_postgresql_reads_and_nothing_else(postgresql_warehouse: Warehouse, sql: str) -> None:
    with postgresql_warehouse.begin() as connection:
        connection.exec_driver_sql("create sequence if not exists s")
    with pytest.raises(InputError) as told:
        run_query(postgresql_warehouse, sql)
    assert "\n" not in str(told.value)
    assert run_query(postgresql_warehouse, "select count(*) from runs").rows == [[0]]
