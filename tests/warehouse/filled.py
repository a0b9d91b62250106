"""A few rows in every table of a warehouse, with texts and numbers that are hard to carry."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow
from transforms.columns import Column, Kind, Table
from transforms.tables import ALL_TABLES, LOCKS

PERIODS = ("2025-10", "2025-11")
_TEXTS = ("", 'quote " comma , line\nbreak \\N', "Ünïcødé \u200f\u05e2\u05d1", "=1+1", "NULL")
_AT = dt.datetime(2025, 12, 1, 6, 0, 0, 123456, tzinfo=dt.UTC)


def fill(connection: sa.Connection) -> None:
    """Two rows in every table but locks: the runs of two periods, approved and rejected."""
    for table in ALL_TABLES:
        if table.name == LOCKS.name:
            continue
        rows = [_row(table, number) for number in range(2)]
        insert_arrow(connection, table, pa.Table.from_pylist(rows, schema=table.schema))


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(table, column, number) for column in table.columns}


def _value(table: Table, column: Column, number: int) -> Any:
    known: dict[str, Any] = {
        "period": PERIODS[number], "run_id": f"run-{number}", "decision": ("approved", "rejected")[number],
        "decided_by": ("Ada", "Grace")[number], "status": "billed", "scope": "", "is_partial": False,
        "deleted_at": (None, _AT)[number], "valid_until": dt.date(2026, 1, 31), "month": PERIODS[number],
    }  # fmt: skip
    if column.name in known:
        return known[column.name]
    if column.nullable and not number:
        return None
    if column.kind is Kind.TEXT:
        unique = f"{column.name} {number}" if column.name in table.key else ""
        return f"{unique}{_TEXTS[len(column.name) % len(_TEXTS)]}"
    if column.kind.is_decimal:
        width: pa.Decimal128Type = column.kind.arrow_type
        return (Decimal("-0.1"), Decimal(10**15 - 1) / 10 ** min(6, width.scale))[number]
    values = {Kind.INTEGER: 2**53 + 1 + number, Kind.BOOLEAN: bool(number), Kind.DATE: dt.date(9999, 12, 31),
              Kind.TIMESTAMP: _AT}  # fmt: skip
    return values[column.kind]
