"""Which HaloPSA client each customer's tenant belongs to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.schema import sql_table
from transforms.tables import CUSTOMER_CLIENTS, LINES

_LATEST_RUNS = sa.table("latest_runs", sa.column("run_id", sa.Text))


def write_customers(
    connection: sa.Connection, rows: Sequence[dict[str, Any]], imported_at: datetime, *, replace: bool
) -> None:
    """Add tenants with their client, in place of what was known of them.

    Args:
        connection: an open transaction.
        rows: columns of the customer clients table but `imported_at`, one row a tenant.
        imported_at: now, UTC.
        replace: forget the tenants that are not among the rows.
    """
    table = sql_table(CUSTOMER_CLIENTS)
    if replace:
        connection.execute(table.delete())
    else:
        connection.execute(table.delete().where(table.c.customer_id.in_([row["customer_id"] for row in rows])))
    dated = [{**row, "imported_at": imported_at} for row in rows]
    insert_arrow(connection, CUSTOMER_CLIENTS, pa.Table.from_pylist(dated, CUSTOMER_CLIENTS.schema))


def read_clients(connection: sa.Connection) -> dict[str, int]:
    """HaloPSA's client of each tenant (in lower case) that one is known for."""
    table = sql_table(CUSTOMER_CLIENTS)
    return {row.customer_id: row.client_id for row in connection.execute(sa.select(table))}


def namesakes(connection: sa.Connection, names: Collection[str], run_id: str | None = None) -> frozenset[str]:
    """Those of the names that several customers have in the lines of a run, or of the latest runs."""
    if not names:
        return frozenset()
    lines = sql_table(LINES)
    statement = sa.select(lines.c.customer_name).where(lines.c.customer_name.in_(sorted(names)))
    if run_id is None:
        statement = statement.join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == lines.c.run_id)
    else:
        statement = statement.where(lines.c.run_id == run_id)
    tenants = sa.func.count(sa.distinct(sa.func.lower(lines.c.customer_id)))
    return frozenset(connection.execute(statement.group_by(lines.c.customer_name).having(tenants > 1)).scalars())


def list_customers(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every tenant that is mapped or has lines in a latest run, by name: its client, if known, and its last period."""
    table, lines = sql_table(CUSTOMER_CLIENTS), sql_table(LINES)
    tenant = sa.func.lower(lines.c.customer_id)
    billed = (
        sa.select(
            tenant.label("customer_id"),
            sa.func.max(lines.c.customer_name).label("customer_name"),
            sa.func.max(lines.c.period).label("last_period"),
        )
        .join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == lines.c.run_id)
        .where(lines.c.customer_id.is_not(None))
        .group_by(tenant)
        .subquery()
    )
    statement = sa.select(
        sa.func.coalesce(table.c.customer_id, billed.c.customer_id).label("customer_id"),
        billed.c.customer_name,
        billed.c.last_period,
        table.c.client_id,
        table.c.client_name,
    ).select_from(billed.join(table, table.c.customer_id == billed.c.customer_id, full=True))
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return sorted(rows, key=lambda row: ((row["customer_name"] or "").casefold(), row["customer_id"]))
