"""The large tables on PostgreSQL: a partition for each billing period, made when the period comes.

Who reads never waits for it, nor keeps a run waiting. A partition is made as a table of its own and attached, since one
created in place would lock the whole table against every open transaction that has read it. For the same reason a
period that is run again is deleted row by row and neither truncated nor detached. A partition's indexes are built when
its first rows are in, which takes a third of the time that keeping them up with every row would.

DuckDB has no partitions and needs none: it keeps the smallest and largest value of each block of a column, and the rows
of a period come together.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from transforms.columns import Table
from transforms.errors import WarehouseError
from transforms.periods import parse_period
from transforms.tables import ALL_TABLES

PARTITIONED = tuple(table for table in ALL_TABLES if table.partition_by)


def partition_name(table: Table, period: str) -> str:
    """The table that holds a period's rows: `lines_2026_10` of `lines`."""
    return f"{table.name}_{period.replace('-', '_')}"


def make_partitions(connection: sa.Connection, table: Table, periods: Iterable[str]) -> None:
    """Make the partitions of these periods that are not there yet.

    Args:
        connection: an open transaction of PostgreSQL that no other one makes partitions beside (`runs.open_run`).
        table: of PARTITIONED, or nothing is made.
        periods: YYYY-MM.

    Raises:
        InputError: one is no period.
        WarehouseError: a table of the partition's name is there, but it was detached.
    """
    for period in periods if table.partition_by else ():
        name = partition_name(table, parse_period(period))
        is_attached = connection.execute(_FOUND, {"name": name}).scalar_one_or_none()
        if is_attached is None and not _is_owner(connection, table):
            connection.execute(sa.select(sa.func.csp_billing_make_partition(table.name, period)))
        elif is_attached is None:
            connection.exec_driver_sql(f"create table {name} (like {table.name} including all)")
            connection.exec_driver_sql(f"alter table {table.name} attach partition {name} for values in ('{period}')")
        elif not is_attached:
            raise WarehouseError(
                f"the table {name} is there, but it is no partition of {table.name}: attach it again with "
                f"`alter table {table.name} attach partition {name} for values in ('{period}')`, or rename it"
            )


def index_partitions(connection: sa.Connection, period: str) -> None:
    """Build the indexes that the period's partitions lack, and tell the planner what is in these; none on DuckDB.

    A partition that has them all is left alone: asking for its lock would cancel an autovacuum that is at work there.
    """
    if connection.dialect.name != "postgresql":
        return
    for table in PARTITIONED:
        name = partition_name(table, period)
        if connection.execute(_FOUND, {"name": name}).scalar_one_or_none() is None:
            continue
        indexes = {f"ix_{name}_{'_'.join(columns)}": ", ".join(columns) for columns in table.indexes}
        missing = indexes.keys() - set(connection.execute(_INDEXES, {"name": name}).scalars())
        if missing and not _is_owner(connection, table):
            texts = [f"{index} {indexes[index]}" for index in sorted(missing)]
            connection.execute(sa.select(sa.func.csp_billing_index_partition(table.name, period, texts)))
            continue
        for index in sorted(missing):
            connection.exec_driver_sql(f"create index {index} on {name} ({indexes[index]})")
        if missing:
            connection.exec_driver_sql(f"analyze {name}")


def _is_owner(connection: sa.Connection, table: Table) -> bool:
    """Whether the login may change the table; one that may not asks the functions of `sql/roles/billing.sql`."""
    return bool(connection.execute(_OWNED, {"name": table.name}).scalar_one())


_OWNED = sa.text("select pg_has_role(current_user, relowner, 'usage') from pg_class where oid = to_regclass(:name)")
#: Whether a table of that name is a partition; no row where there is none.
_FOUND = sa.text("select relispartition from pg_class where oid = to_regclass(:name)")
_INDEXES = sa.text(
    "select relname from pg_class join pg_index on indexrelid = pg_class.oid where indrelid = to_regclass(:name)"
)
