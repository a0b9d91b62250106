"""The warehouse's tables for SQLAlchemy, made from the registry in `transforms.tables`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from transforms.columns import Column, Kind, Table
from transforms.tables import ALL_TABLES

#: Names of constraints and indexes, so that a migration can name what it changes.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


def sql_type(kind: Kind) -> sa.types.TypeEngine[Any]:
    """The SQL type of a kind, the same on DuckDB and PostgreSQL; decimals have the Arrow type's width."""
    if kind.is_decimal:
        width: pa.Decimal128Type = kind.arrow_type
        return sa.Numeric(width.precision, width.scale, asdecimal=True)
    return _TYPES[kind]


_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    Kind.TEXT: sa.Text(),
    Kind.INTEGER: sa.BigInteger(),
    Kind.BOOLEAN: sa.Boolean(),
    Kind.DATE: sa.Date(),
    Kind.TIMESTAMP: sa.DateTime(timezone=True),
}


def _sql_column(table: Table, column: Column) -> sa.Column[Any]:
    in_key = column.name in table.key and not table.bulk
    return sa.Column(
        column.name,
        sql_type(column.kind),
        primary_key=in_key,
        nullable=column.nullable and not in_key,
        autoincrement=False,
    )


def _build(tables: tuple[Table, ...]) -> sa.MetaData:
    """Make the tables.

    Bulk tables have no primary key (see `Table`). Other indexes exist on PostgreSQL only: DuckDB scans its
    compressed columns faster than it would keep such an index, and loads get several times slower with one. Those of
    partitions are made with these (`connectors.warehouse.partitions`).
    """
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    for table in tables:
        made = sa.Table(table.name, metadata, *(_sql_column(table, column) for column in table.columns))
        for index in () if table.partition_by else table.indexes:
            sa.Index(None, *(made.c[name] for name in index)).ddl_if(dialect="postgresql")
    return metadata


#: Which version of each view the database has; see `connectors.warehouse.views`.
VIEW_VERSIONS = Table(
    "view_versions",
    "The views as they stand in this database, so that older ones are noticed.",
    (
        Column("name", Kind.TEXT, "View.", nullable=False),
        Column("sql_sha256", Kind.TEXT, "SHA-256 of its SQL file and those of the functions.", nullable=False),
    ),
    key=("name",),
)

metadata = _build((*ALL_TABLES, VIEW_VERSIONS))


#: Tables that live as long as a transaction or connection does; they are never part of the schema.
_temporary: dict[str, sa.Table] = {}


def sql_table(table: Table) -> sa.Table:
    """The SQLAlchemy table of a declared table, or of one made by `temporary_table`."""
    found = metadata.tables.get(table.name)
    return _temporary[table.name] if found is None else found


def texts_of(values: Collection[str]) -> sa.Select[tuple[str]]:
    """Given texts as a query of one column, for `in_`: one parameter, where PostgreSQL takes no more than 65,535."""
    texts = sa.ARRAY(sa.Text)
    return sa.select(sa.func.unnest(sa.cast(sa.literal(sorted(values), texts), texts)))


def create_temporary(connection: sa.Connection, table: Table) -> None:
    """Create a table that is there for the transaction (DuckDB: the connection) and is seen by it alone."""
    columns = [sa.Column(column.name, sql_type(column.kind)) for column in table.columns]
    made = sa.Table(table.name, sa.MetaData(), *columns, prefixes=["TEMPORARY"])
    if connection.dialect.name == "postgresql":
        made.dialect_options["postgresql"]["on_commit"] = "DROP"
    made.create(connection)
    _temporary[table.name] = made
