"""Read-only SQL for whoever asks; that nothing is written is enforced by the engine, not by reading the text."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import duckdb
import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse
from transforms.errors import InputError


@dataclass(frozen=True)
class QueryResult:
    """What a query gives.

    Attributes:
        columns: their names, of which several may be the same.
        rows: decimals are Decimal, timestamps are UTC.
        is_cut: whether there are more rows.
    """

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool = False


def run_query(warehouse: Warehouse, sql: str, limit: int | None = None) -> QueryResult:
    """Run one query.

    Args:
        warehouse: the warehouse.
        sql: one statement that reads; on PostgreSQL a SELECT, WITH or VALUES.
        limit: how many rows are fetched at most; None for all.

    Raises:
        InputError: the SQL is wrong, writes something, or is more than one statement.
        WarehouseError: not reachable.
    """
    statement = sql.strip().rstrip(";")
    with warehouse.read() as connection:
        run = _on_duckdb if warehouse.dialect == "duckdb" else _on_postgresql
        columns, rows = run(connection, statement, None if limit is None else limit + 1)
    return QueryResult(columns, rows[:limit], limit is not None and len(rows) > limit)


_Answer = tuple[list[str], list[list[Any]]]


def _on_duckdb(connection: sa.Connection, sql: str, most: int | None) -> _Answer:
    """In a file opened for reading, and without access to any other: a query could otherwise write one, or read one."""
    driver: Any = connection.connection.driver_connection
    try:
        if len(duckdb.extract_statements(sql)) != 1:
            raise InputError("one query at a time: give a single statement")
        driver.execute("set enable_external_access = false")
        driver.execute("set lock_configuration = true")
        driver.execute(sql)
        columns = [column[0] for column in driver.description or ()]
        fetched = driver.fetchall() if most is None else driver.fetchmany(most)
        return columns, [list(row) for row in fetched]
    except duckdb.Error as error:
        raise InputError(_one_line(str(error))) from None


def _on_postgresql(connection: sa.Connection, sql: str, most: int | None) -> _Answer:
    """As a cursor's query, which can only read, and prepared, which takes one statement only."""
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        with closing(driver.cursor()) as cursor:
            cursor.execute(f"declare asked no scroll cursor for {sql}", prepare=True)
            cursor.execute("fetch all from asked" if most is None else f"fetch forward {most} from asked")
            columns = [column.name for column in cursor.description or ()]
            return columns, [list(row) for row in cursor.fetchall()]
    except psycopg.Error as error:
        raise InputError(_one_line(str(error))) from None


def _one_line(text: str) -> str:
    """The reason with its hint, such as the name that was meant, without the line of SQL that follows."""
    lines = [line.strip() for line in text.strip().splitlines()]
    at = next((place for place, line in enumerate(lines) if line.startswith("LINE ")), len(lines))
    return f"the query cannot be run: {' '.join(filter(None, lines[:at])) or 'no reason given'}"
