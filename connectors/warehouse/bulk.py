"""Whole Arrow tables in and out of the warehouse, exactly.

DuckDB takes and gives Arrow itself. PostgreSQL is fed through COPY in its binary format (see `pgcopy`) and read through
COPY with CSV parsed by Arrow, which keeps every decimal digit and tells an empty text from a missing one (quoted or
not). Everything runs in the transaction of the connection it is given.

A stream of batches is inserted batch by batch, each as it comes, in one transaction of `Warehouse.begin(loading=True)`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from connectors.warehouse import pgcopy
from connectors.warehouse.partitions import make_partitions
from transforms.columns import Table
from transforms.errors import WarehouseError

_BATCH_ROWS = 65_536
#: A CSV block must hold at least one whole row, and texts such as tags and raw rows can be long.
_BLOCK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Prepared:
    """Rows of one table, ready for one engine; made by `prepare`.

    Attributes:
        table: the declared table.
        count: how many rows.
        rows: what DuckDB reads; None for PostgreSQL.
        pieces: what PostgreSQL reads, in pieces of whole rows, about as long as the rows' texts; empty for DuckDB.
        partitions: where the rows belong, in a table with partitions on PostgreSQL.
    """

    table: Table
    count: int
    rows: pa.Table | None
    pieces: tuple[memoryview, ...] = ()
    partitions: tuple[str, ...] = ()


def prepare(dialect: str, table: Table, rows: pa.Table | pa.RecordBatch) -> Prepared:
    """Do all of an insert that needs no connection, so that several threads can do it at once.

    Args:
        dialect: `duckdb` or `postgresql` (`Warehouse.dialect`).
        table: the declared table; `rows` may leave nullable columns out and have any order (see `Table.conform`).
        rows: Arrow rows; texts may be dictionary-encoded.

    Raises:
        ValueError, pyarrow.ArrowInvalid: rows that do not fit the declaration (see `Table.conform`).
    """
    rows = table.conform(rows, keep_dictionaries=True)
    if dialect == "duckdb":
        return Prepared(table, rows.num_rows, rows)
    partitions = rows[table.partition_by].unique().to_pylist() if table.partition_by else ()
    return Prepared(table, rows.num_rows, None, tuple(pgcopy.encode(rows)), tuple(partitions))


def insert_prepared(connection: sa.Connection, prepared: Prepared) -> int:
    """Insert what `prepare` made for the connection's engine and return how many rows they were.

    A partition that is not there yet is made.

    The calling thread lets other threads run Python meanwhile. DuckDB asks for the interpreter again for each buffer
    that numpy or Python owns, which costs up to 5 ms each while another thread runs Python; Arrow's own are free.

    Raises:
        WarehouseError: a text that PostgreSQL cannot keep (it has no NUL character), or a partition in its way.
    """
    if not prepared.count:
        return 0
    if prepared.rows is not None:
        _insert_duckdb(connection, prepared.table, prepared.rows)
    else:
        make_partitions(connection, prepared.table, prepared.partitions)
        _copy_in(connection, prepared.table, prepared.pieces)
    return prepared.count


def insert_arrow(connection: sa.Connection, table: Table, rows: pa.Table | pa.RecordBatch) -> int:
    """Insert `rows` into `table` and return how many they were: `prepare` and `insert_prepared` in one.

    Args:
        connection: an open transaction of the warehouse.
        table: the declared table; `rows` may leave nullable columns out and have any order (see `Table.conform`).
        rows: Arrow rows; texts may be dictionary-encoded.

    Raises:
        ValueError, pyarrow.ArrowInvalid: rows that do not fit the declaration (see `Table.conform`).
        WarehouseError: a text that PostgreSQL cannot keep (it has no NUL character).
    """
    return insert_prepared(connection, prepare(connection.dialect.name, table, rows))


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
    # Once: it is built anew each time it is asked for.
    given = compiled.params
    values = [given[name] for name in compiled.positiontup or ()]
    driver: Any = connection.connection.driver_connection
    # A result of which only the first row was read still occupies the connection; reading another to its end frees it.
    driver.execute("select 1").fetchall()
    with driver.sql(str(compiled), params=values).to_arrow_reader(_BATCH_ROWS) as reader:
        _check_names(reader.schema.names, schema)
        for batch in reader:
            yield from pa.Table.from_batches([batch]).cast(schema).to_batches()


def _insert_duckdb(connection: sa.Connection, table: Table, delivered_rows: pa.Table) -> None:
    """Let DuckDB find the rows by the name of this function's argument.

    A view of them, which `duckdb_sqlalchemy.insert_from_arrow` makes, would keep them in memory until the transaction
    ends, dropped or not.
    """
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in delivered_rows.column_names)
    # Between this frame and DuckDB are SQLAlchemy's. No other SQL is to see variables of this program.
    connection.exec_driver_sql("set python_scan_all_frames = true")
    connection.exec_driver_sql(f"insert into {quote(table.name)} ({columns}) select {columns} from delivered_rows")  # noqa: S608
    connection.exec_driver_sql("set python_scan_all_frames = false")


def _copy_in(connection: sa.Connection, table: Table, pieces: Iterable[memoryview]) -> None:
    from psycopg.errors import CharacterNotInRepertoire

    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in table.names)
    statement = f"copy {quote(table.name)} ({columns}) from stdin (format binary)"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in (pgcopy.HEADER, *pieces, pgcopy.TRAILER):
                copy.write(piece)
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
