"""Arrow tables come back from both engines exactly as they went in."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.schema import sql_table
from tests.warehouse.rows import with_dictionaries
from transforms.columns import Column, Kind, Table
from transforms.errors import WarehouseError
from transforms.tables import ALL_TABLES
from transforms.tables.results import LINES
from transforms.tables.sources import QUARANTINE

UTC = dt.UTC
_WIDE = Context(prec=60)


def _decimals(kind: Kind) -> st.SearchStrategy[Decimal]:
    width = kind.arrow_type
    largest = 10**width.precision - 1
    return st.integers(-largest, largest).map(lambda digits: Decimal(digits).scaleb(-width.scale, _WIDE))


_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "NULL", "\\N", "\\.", "\n\\.\n", '"', ",", "\r\n", "nan", "t", " "]
)
_VALUES: dict[Kind, st.SearchStrategy[object]] = {
    Kind.TEXT: _TEXTS,
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    Kind.TIMESTAMP: st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)),
    **{kind: _decimals(kind) for kind in Kind if kind.is_decimal},
}


def _rows(table: Table) -> st.SearchStrategy[pa.Table]:
    def value(column: Column) -> st.SearchStrategy[object]:
        # One partition, since several give the rows in their own order.
        values = st.just("2026-03") if column.name == table.partition_by else _VALUES[column.kind]
        return st.none() | values if column.nullable else values

    row = st.fixed_dictionaries({column.name: value(column) for column in table.columns})
    return st.lists(row, max_size=4).map(lambda rows: pa.Table.from_pylist(rows, schema=table.schema))


@pytest.mark.parametrize("table", [table for table in ALL_TABLES if table.bulk], ids=lambda table: table.name)
def test_random_rows_come_back_identical(warehouse: Warehouse, table: Table) -> None:
    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(rows=_rows(table), dictionaries=st.booleans(), skipped=st.integers(0, 3))
    def round_trip(rows: pa.Table, dictionaries: bool, skipped: int) -> None:
        delivered = with_dictionaries(rows) if dictionaries else rows
        delivered = delivered.combine_chunks().slice(skipped)  # arrays that do not begin with their buffers
        with warehouse.begin() as connection:
            connection.execute(sql_table(table).delete())
            assert insert_arrow(connection, table, delivered) == delivered.num_rows
            back = read_arrow(connection, sa.select(sql_table(table)), table.schema)
        assert back.equals(rows.slice(skipped))

    round_trip()


def _rejected(**values: object) -> pa.Table:
    row = {
        "file_sha256": "0", "source_file": "f.csv", "source_row": 2, "kind": "invoices", "period": "2026-03",
        "reason": "r", "raw_text": "", **values,
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=QUARANTINE.schema)


def test_parameters_and_percent_signs_reach_the_engine(warehouse: Warehouse) -> None:
    table = sql_table(QUARANTINE)
    rows = _rejected(reason="100% wrong", total=Decimal("0.1"))
    statement = (
        sa.select(table)
        .where(table.c.reason.like("100%"), table.c.total == Decimal("0.1"), table.c.kind.in_(["invoices", "x"]))
        .where(sa.text("raw_text not like '%a%'"))
    )
    with warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, rows)
        assert read_arrow(connection, statement, QUARANTINE.schema).equals(rows)
        none = read_arrow(connection, statement.where(table.c.kind == "y"), QUARANTINE.schema)
    assert none.num_rows == 0
    assert none.schema == QUARANTINE.schema


def test_an_insert_is_part_of_the_transaction(warehouse: Warehouse) -> None:
    def insert_and_fail() -> None:
        with warehouse.begin() as connection:
            insert_arrow(connection, QUARANTINE, _rejected())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    with warehouse.read() as connection:
        assert read_arrow(connection, sa.select(sql_table(QUARANTINE)), QUARANTINE.schema).num_rows == 0


def test_a_value_that_does_not_fit_is_refused(warehouse: Warehouse) -> None:
    too_fine = _rejected().set_column(
        QUARANTINE.names.index("total"), "total", pa.array([Decimal("0.1234567890123456789")])
    )
    with warehouse.begin() as connection, pytest.raises(pa.ArrowInvalid):
        insert_arrow(connection, QUARANTINE, too_fine)


def test_a_query_with_other_columns_is_refused(warehouse: Warehouse) -> None:
    with warehouse.read() as connection, pytest.raises(ValueError, match="run_id"):
        read_arrow(connection, sa.select(sql_table(LINES).c.run_id), LINES.schema)


def test_a_nul_character_is_told_in_one_line(warehouse: Warehouse) -> None:
    rows = _rejected(raw_text="a\x00b")
    if warehouse.dialect == "duckdb":
        with warehouse.begin() as connection:
            insert_arrow(connection, QUARANTINE, rows)
            assert read_arrow(connection, sa.select(sql_table(QUARANTINE)), QUARANTINE.schema).equals(rows)
        return
    with pytest.raises(WarehouseError, match="quarantine"), warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, rows)
