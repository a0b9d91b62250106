"""Whole Arrow tables in and out of the warehouse, exactly.

DuckDB takes and gives Arrow itself. PostgreSQL is fed and read through COPY with CSV made and parsed by Arrow, which
keeps every decimal digit, tells an empty text from a missing one (quoted or not), and runs in the transaction of the
connection it is given.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa
from duckdb_sqlalchemy import insert_from_arrow
from sqlalchemy.sql.compiler import SQLCompiler

from connectors.warehouse.schema import sql_table
from transforms.columns import Table
from transforms.errors import WarehouseError

_BATCH_ROWS = 65_536
#: A CSV block must hold at least one whole row, and texts such as tags and raw rows can be long.
_BLOCK_BYTES = 16 * 1024 * 1024


def insert_arrow(connection: sa.Connection, table: Table, rows: pa.Table) -> int:
    """Insert `rows` into `table` and return how many they were.

    Args:
        connection: an open transaction of the warehouse.
        table: the declared table; `rows` may leave nullable columns out and have any order (see `Table.conform`).
        rows: Arrow table.

    Raises:
        ValueError, pyarrow.ArrowInvalid: rows that do not fit the declaration (see `Table.conform`).
        WarehouseError: a text that PostgreSQL cannot keep (it has no NUL character).
    """
    rows = table.conform(rows)
    count: int = rows.num_rows
    if not count:
        return 0
    if connection.dialect.name == "duckdb":
        insert_from_arrow(connection, sql_table(table), rows)
    else:
        _copy_in(connection, table, rows)
    return count


def read_arrow(connection: sa.Connection, statement: sa.Executable, schema: pa.Schema) -> pa.Table:
    """Run a query and return its rows as an Arrow table of exactly `schema`; the columns are matched by position.

    Raises:
        ValueError: the query's columns are not those of `schema`.
        pyarrow.ArrowInvalid: a value that does not fit; nothing is rounded.
    """
    batches = list(stream_arrow(connection, statement, schema))
    return pa.Table.from_batches(batches, schema=schema)


def stream_arrow(connection: sa.Connection, statement: sa.Executable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Like `read_arrow`, batch by batch; read it to its end before the connection's next statement."""
    if connection.dialect.name == "duckdb":
        return _duckdb_batches(connection, statement, schema)
    return _copy_out(connection, statement, schema)


def _duckdb_batches(connection: sa.Connection, statement: sa.Executable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Through DuckDB's relation: the results of its DB-API cursor would first be copied."""
    compiled = _compile(connection, statement)
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    driver: Any = connection.connection.driver_connection
    # A result of which only the first row was read still occupies the connection; reading another to its end frees it.
    driver.execute("select 1").fetchall()
    with driver.sql(str(compiled), params=values).to_arrow_reader(_BATCH_ROWS) as reader:
        _check_names(reader.schema.names, schema)
        for batch in reader:
            yield from pa.Table.from_batches([batch]).cast(schema).to_batches()


def _copy_in(connection: sa.Connection, table: Table, rows: pa.Table) -> None:
    from psycopg.errors import CharacterNotInRepertoire

    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in table.names)
    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=_BATCH_ROWS)
    driver: Any = connection.connection.driver_connection
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f"copy {quote(table.name)} ({columns}) from stdin (format csv)") as copy,
        ):
            for batch in rows.to_batches(_BATCH_ROWS):
                text = io.BytesIO()
                pyarrow.csv.write_csv(batch, text, options)
                copy.write(text.getbuffer())
    except CharacterNotInRepertoire as error:
        raise WarehouseError(f"PostgreSQL cannot keep a text of {table.name}: {error.diag.message_primary}") from None


def _copy_out(connection: sa.Connection, statement: sa.Executable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Copy into a temporary file and parse that: memory stays bounded, and the connection is free at once."""
    compiled = _compile(connection, statement)
    driver: Any = connection.connection.driver_connection
    with tempfile.TemporaryFile() as file:
        query = f"copy ({compiled}) to stdout (format csv, header)"
        with driver.cursor() as cursor, cursor.copy(query, compiled.params) as copy:
            for chunk in copy:
                file.write(chunk)
        file.seek(0)
        with pyarrow.csv.open_csv(file, _READ, _PARSE, _convert_options(schema)) as reader:
            _check_names(reader.schema.names, schema)
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


_READ = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES)
_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)


def _convert_options(schema: pa.Schema) -> pyarrow.csv.ConvertOptions:
    """PostgreSQL's CSV: nothing at all is NULL, `""` an empty text, t and f the booleans."""
    return pyarrow.csv.ConvertOptions(
        column_types=schema,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )


def _compile(connection: sa.Connection, statement: sa.Executable) -> SQLCompiler:
    assert isinstance(statement, sa.ClauseElement)
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _check_names(names: list[str], schema: pa.Schema) -> None:
    if names != schema.names:
        raise ValueError(f"the query gives {', '.join(names)} and not {', '.join(schema.names)}")
