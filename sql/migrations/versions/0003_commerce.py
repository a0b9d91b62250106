"""E-commerce orders, their integrations, and the syncs that copied them.

Revision: 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOSES = {
    "e-commerce orders that HaloPSA has deleted": "select count(*) from ecommerce_orders where deleted_at is not null",
    "records of when orders were copied": "select count(*) from commerce_syncs",
}


def upgrade() -> None:
    """The views are dropped before this and created again after it."""
    op.create_table(
        "ecommerce_orders",
        sa.Column("halo_url", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("module_id", sa.BigInteger(), nullable=True),
        sa.Column("integration_name", sa.Text(), nullable=True),
        sa.Column("integration_id", sa.BigInteger(), nullable=True),
        sa.Column("shop_name", sa.Text(), nullable=True),
        sa.Column("third_party_id", sa.Text(), nullable=True),
        sa.Column("order_number", sa.Text(), nullable=True),
        sa.Column("third_party_url", sa.Text(), nullable=True),
        sa.Column("third_party_customer_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("status2", sa.Text(), nullable=True),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("month", sa.Text(), nullable=True),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("linked_ticket_ids", sa.Text(), nullable=True),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("halo_url", "order_id", name="pk_ecommerce_orders"),
    )
    op.create_table(
        "commerce_integrations",
        sa.Column("halo_url", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("integration_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("marketplace", sa.Text(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=True),
        sa.Column("is_authorized", sa.Boolean(), nullable=True),
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("halo_url", "kind", "integration_id", name="pk_commerce_integrations"),
    )
    op.create_table(
        "commerce_syncs",
        sa.Column("halo_url", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("orders_new", sa.BigInteger(), nullable=False),
        sa.Column("orders_changed", sa.BigInteger(), nullable=False),
        sa.Column("orders_deleted", sa.BigInteger(), nullable=False),
        sa.Column("orders_unchanged", sa.BigInteger(), nullable=False),
        sa.Column("integrations_new", sa.BigInteger(), nullable=False),
        sa.Column("integrations_changed", sa.BigInteger(), nullable=False),
        sa.Column("integrations_deleted", sa.BigInteger(), nullable=False),
        sa.Column("integrations_unchanged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("halo_url", "started_at", name="pk_commerce_syncs"),
    )


def downgrade() -> None:
    """The copy is lost; `csp-billing orders sync` makes it anew, without the orders that HaloPSA has deleted."""
    op.drop_table("commerce_syncs")
    op.drop_table("commerce_integrations")
    op.drop_table("ecommerce_orders")
