"""Rows for tests: each table's required columns filled in, the rest as the test says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.schema import sql_table
from transforms.columns import Kind, Table
from transforms.tables import EXPORT_TABLES

NOON = dt.datetime(2026, 4, 2, 12, tzinfo=dt.UTC)

_FILLERS: dict[Kind, Any] = {Kind.TEXT: "x", Kind.INTEGER: 1, Kind.BOOLEAN: False, Kind.TIMESTAMP: NOON}


def row(table: Table, **values: Any) -> dict[str, Any]:
    """One row of `table`; what is required and not given gets a filler."""
    filled = {column.name: _FILLERS.get(column.kind, 0) for column in table.columns if not column.nullable}
    if "period" in filled:
        filled["period"] = "2026-03"
    unknown = set(values) - set(table.names)
    assert not unknown, unknown
    return {**filled, **values}


def rows(table: Table, *given: dict[str, Any]) -> pa.Table:
    """An Arrow table of `row`s; none gives an empty one."""
    return pa.Table.from_pylist([row(table, **values) for values in given], schema=table.schema)


def with_dictionaries(rows: pa.Table) -> pa.Table:
    """`rows` with every text dictionary-encoded."""
    texts = {name for name in rows.column_names if rows.schema.field(name).type == pa.string()}
    columns = {name: rows[name].dictionary_encode() if name in texts else rows[name] for name in rows.column_names}
    return pa.table(columns)


def stored_source(connection: sa.Connection, kind: str, period: str) -> pa.Table:
    """A period's rows of one kind of export, by file and row."""
    made = sql_table(EXPORT_TABLES[kind])
    own = sa.select(made).where(made.c.period == period).order_by(made.c.source_file, made.c.source_row)
    return read_arrow(connection, own, EXPORT_TABLES[kind].schema)
