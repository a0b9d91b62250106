"""When an untouched copy was pruned, and where copies lie below the landing zone instead of the working folder.

Revision: 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LOSES = {"records of pruned copies": "select count(*) from source_files where pruned_at is not null"}

#: Until now the landing zone was this folder of the working folder.
_FOLDER = "landing/"


def upgrade() -> None:
    """The views are dropped before this and created again after it."""
    op.add_column("source_files", sa.Column("pruned_at", sa.DateTime(timezone=True)))
    op.execute(
        f"update source_files set landed_as = substr(landed_as, {len(_FOLDER) + 1}) where landed_as like '{_FOLDER}%'"  # noqa: S608
    )


def downgrade() -> None:
    """Which copies were pruned is forgotten. An earlier version looks for them in `landing` of the working folder."""
    op.execute(f"update source_files set landed_as = '{_FOLDER}' || landed_as")  # noqa: S608
    op.drop_column("source_files", "pruned_at")
