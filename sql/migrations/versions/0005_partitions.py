"""The large tables of PostgreSQL by billing period, and the indexes that look-ups need.

Revision: 0005. Rows are copied from the old tables into the new ones, in the upgrade's one transaction: it takes about
as long as loading them did, and the disk holds both until it ends. DuckDB stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: The columns of each partition's indexes.
_PARTITIONED = {
    "src_invoice_recon": ("source_row", "subscription_id"),
    "src_daily_usage": ("source_row",),
    "lines": ("line_id", "run_id", "customer_id", "invoice_number"),
}
_OLD_INDEXES = (
    ("src_invoice_recon", "period"),
    ("src_daily_usage", "period"),
    ("lines", "line_id"),
    ("lines", "run_id"),
)
_NEW_INDEXES = (("findings", ("period", "code")), ("halo_postings", ("natural_key",)))


def upgrade() -> None:
    """The views are dropped before this and created again after it."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, indexed in _PARTITIONED.items():
        old = f"{table}_old"
        op.rename_table(table, old)
        op.execute(f"create table {table} (like {old} including all excluding indexes) partition by list (period)")
        partitions = {period: f"{table}_{period.replace('-', '_')}" for period in _periods(old)}
        for period, partition in partitions.items():
            op.execute(f"create table {partition} (like {table} including all)")
            op.execute(f"alter table {table} attach partition {partition} for values in ('{period}')")
        op.execute(f"insert into {table} select * from {old}")  # noqa: S608
        op.drop_table(old)
        for partition in partitions.values():
            for column in indexed:
                op.create_index(f"ix_{partition}_{column}", partition, [column])
            op.execute(f"analyze {partition}")
    for table, columns in _NEW_INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def downgrade() -> None:
    """Every row is kept, in one table again."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, columns in _NEW_INDEXES:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
    for table in _PARTITIONED:
        op.execute(f"create table {table}_new (like {table} including all)")
        op.execute(f"insert into {table}_new select * from {table}")  # noqa: S608
        op.drop_table(table)
        op.rename_table(f"{table}_new", table)
    for table, column in _OLD_INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _periods(table: str) -> list[str]:
    return list(op.get_bind().execute(sa.text(f"select distinct period from {table} order by period")).scalars())  # noqa: S608
