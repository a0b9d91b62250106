"""Approvals and waivers, what they hold for, and no approval in the runs themselves.

Revision: 0004.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LOSES = {
    "waivers": "select count(*) from waivers",
    "rejections and earlier approvals": """
        select count(*) from (
            select decision, row_number() over (partition by run_id order by decided_at desc) as recency from approvals
        ) as decisions
        where recency > 1 or decision <> 'approved'
    """,
}


def upgrade() -> None:
    """The views are dropped before this and created again after it."""
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("blocking_count", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("approval_id", name="pk_approvals"),
    )
    op.create_table(
        "waivers",
        sa.Column("waiver_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("invoice_number", sa.Text()),
        sa.Column("customer_id", sa.Text()),
        sa.Column("customer_name", sa.Text()),
        sa.Column("line_id", sa.Text()),
        sa.Column("expected_amount", sa.Numeric(38, 22)),
        sa.Column("actual_amount", sa.Numeric(38, 22)),
        sa.Column("difference_amount", sa.Numeric(38, 22)),
        sa.Column("currency", sa.Text()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("waiver_id", "action", name="pk_waivers"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_approvals_period_content_digest", "approvals", ["period", "content_digest"])
        op.create_index("ix_waivers_finding_id", "waivers", ["finding_id"])
    op.add_column("findings", sa.Column("finding_id", sa.Text()))
    op.add_column("runs", sa.Column("loaded_digest", sa.Text()))
    op.execute(
        "insert into approvals select run_id, run_id, period, content_digest, 'approved', approved_by, "
        "coalesce(approved_at, finished_at, started_at), approval_note, blocking_count, 'an earlier version' "
        "from runs where approved_by is not null"
    )
    for name in _OF_RUNS:
        op.drop_column("runs", name)


def downgrade() -> None:
    """Each run keeps the last approval of it; who rejected, and every waiver, is lost. Export them first with
    `csp-billing warehouse query`."""
    for name, kind in _OF_RUNS.items():
        op.add_column("runs", sa.Column(name, kind))
    op.execute(
        "update runs set approved_by = last.decided_by, approved_at = last.decided_at, approval_note = last.note "
        "from (select *, row_number() over (partition by run_id order by decided_at desc) as recency from approvals) "
        "as last where last.run_id = runs.run_id and last.recency = 1 and last.decision = 'approved'"
    )
    op.drop_column("runs", "loaded_digest")
    op.drop_column("findings", "finding_id")
    op.drop_table("waivers")
    op.drop_table("approvals")


_OF_RUNS: dict[str, sa.types.TypeEngine[Any]] = {
    "approved_by": sa.Text(),
    "approved_at": sa.DateTime(timezone=True),
    "approval_note": sa.Text(),
}
