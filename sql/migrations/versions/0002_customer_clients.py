"""Which HaloPSA client a customer's tenant belongs to.

Revision: 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOSES = {"tenants with their HaloPSA client": "select count(*) from customer_clients"}


def upgrade() -> None:
    """The views are dropped before this and created again after it."""
    op.create_table(
        "customer_clients",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customer_clients"),
    )


def downgrade() -> None:
    """The mapping is lost; export it first with `csp-billing customers list`."""
    op.drop_table("customer_clients")
