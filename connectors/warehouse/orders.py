"""Orders and integrations of HaloPSA in the warehouse: the copy, the syncs, and the figures about them.

All functions work in the transaction they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.schema import sql_table
from transforms.columns import Table
from transforms.orders import Changes, Row, key_of
from transforms.tables import COMMERCE_INTEGRATIONS, COMMERCE_SYNCS, ECOMMERCE_ORDERS
from transforms.tables.views import OUT_ORDERS

#: How many keys one statement names.
_CHUNK = 1000

_ORDERS = sa.table("out_orders", *(sa.column(name) for name in OUT_ORDERS.names))


def lock_copy(connection: sa.Connection) -> None:
    """Let one transaction at a time write the copy; DuckDB has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("lock table commerce_syncs in share row exclusive mode")


def read_copy(connection: sa.Connection, table: Table, halo_url: str, ids: Sequence[int] | None = None) -> list[Row]:
    """The stored rows of one HaloPSA, deleted ones included; with `ids` only orders of these ids."""
    made = sql_table(table)
    statement = sa.select(made).where(made.c.halo_url == halo_url)
    if ids is not None:
        statement = statement.where(made.c.order_id.in_(list(ids)))
    rows: list[Row] = read_arrow(connection, statement, table.schema).to_pylist()
    return rows


def write_copy(connection: sa.Connection, table: Table, changes: Changes) -> None:
    """Write what a new copy changes: new rows, and the others in place of those of the same key."""
    made = sql_table(table)
    replaced = [*changes.changed, *changes.deleted]
    for first in range(0, len(replaced), _CHUNK):
        keys = [key_of(table, row) for row in replaced[first : first + _CHUNK]]
        connection.execute(made.delete().where(sa.tuple_(*(made.c[name] for name in table.key)).in_(keys)))
    insert_arrow(connection, table, pa.Table.from_pylist([*changes.new, *replaced], table.schema))


def write_sync(
    connection: sa.Connection,
    halo_url: str,
    started_at: datetime,
    finished_at: datetime,
    orders: Mapping[str, int],
    integrations: Mapping[str, int],
) -> None:
    """Note a sync and what it changed: counts of new, changed, deleted and unchanged rows."""
    row = {"halo_url": halo_url, "started_at": started_at, "finished_at": finished_at}
    row |= {f"orders_{change}": count for change, count in orders.items()}
    row |= {f"integrations_{change}": count for change, count in integrations.items()}
    connection.execute(sql_table(COMMERCE_SYNCS).insert(), [row])


def last_syncs(connection: sa.Connection, halo_url: str | None) -> dict[str, datetime]:
    """When each HaloPSA, or the one that is asked for, was last copied: the time from which the copy is true."""
    syncs = sql_table(COMMERCE_SYNCS)
    statement = sa.select(syncs.c.halo_url, sa.func.max(syncs.c.started_at)).group_by(syncs.c.halo_url)
    if halo_url is not None:
        statement = statement.where(syncs.c.halo_url == halo_url)
    return dict(connection.execute(statement.order_by(syncs.c.halo_url)).all())


def read_problems(connection: sa.Connection, problem: str, halo_urls: Iterable[str]) -> list[Row]:
    """Orders with this problem in the view `out_orders`, newest first."""
    statement = (
        sa.select(_ORDERS)
        .where(_ORDERS.c.problem == problem, _ORDERS.c.halo_url.in_(list(halo_urls)))
        .order_by(_ORDERS.c.halo_url, _ORDERS.c.ordered_at.desc().nulls_last(), _ORDERS.c.order_id.desc())
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def count_by_shop_and_month(connection: sa.Connection, halo_urls: Iterable[str]) -> list[Row]:
    """Orders that HaloPSA still has, by integration, shop and month: how many, and how many with each problem."""
    columns = [_ORDERS.c.halo_url, _ORDERS.c.integration_name, _ORDERS.c.shop_name, _ORDERS.c.month]

    def how_many(name: str, condition: sa.ColumnElement[bool]) -> sa.Label[Any]:
        return sa.func.count(sa.case((condition, 1))).label(name)

    statement = (
        sa.select(
            *columns,
            sa.func.count().label("orders"),
            how_many("cancelled", _ORDERS.c.is_cancelled.is_(sa.true())),
            how_many("without_ticket", _ORDERS.c.problem == "without_ticket"),
            how_many("cancelled_but_linked", _ORDERS.c.problem == "cancelled_but_linked"),
        )
        .where(_ORDERS.c.deleted_at.is_(None), _ORDERS.c.halo_url.in_(list(halo_urls)))
        .group_by(*columns)
        .order_by(*(column.nulls_last() for column in columns))
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def read_integrations(connection: sa.Connection, halo_urls: Iterable[str]) -> list[Row]:
    """The integrations that HaloPSA still has."""
    made = sql_table(COMMERCE_INTEGRATIONS)
    statement = sa.select(made).where(made.c.deleted_at.is_(None), made.c.halo_url.in_(list(halo_urls)))
    rows: list[Row] = read_arrow(connection, statement, COMMERCE_INTEGRATIONS.schema).to_pylist()
    return sorted(rows, key=lambda row: (row["halo_url"], row["kind"], row["integration_id"]))


def count_orders(connection: sa.Connection, halo_urls: Iterable[str]) -> dict[str, int]:
    """How many orders HaloPSA has, and how many the copy knows as deleted."""
    made = sql_table(ECOMMERCE_ORDERS)
    statement = sa.select(sa.func.count(), sa.func.count(made.c.deleted_at)).where(made.c.halo_url.in_(list(halo_urls)))
    every, deleted = connection.execute(statement).one()
    return {"orders": every - deleted, "deleted": deleted}
