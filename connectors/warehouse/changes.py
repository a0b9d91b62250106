"""What changed between the last two full runs of a period."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from transforms.tables.views import OUT_PERIOD_CHANGES

_VIEW = sa.table(OUT_PERIOD_CHANGES.name, *(sa.column(name) for name in OUT_PERIOD_CHANGES.names))


def count_changes(connection: sa.Connection, run_id: str) -> dict[str, dict[str, int]]:
    """How many lines and findings are new, gone and changed in a run that is its period's latest.

    Returns:
        Counts by change, under `lines` and `findings`; empty where there is no earlier run to compare with.
    """
    runs = sa.select(_VIEW.c.what, _VIEW.c.change, sa.func.count()).where(_VIEW.c.run_id == run_id)
    counts: dict[str, dict[str, int]] = {}
    for what, change, count in connection.execute(runs.group_by(_VIEW.c.what, _VIEW.c.change)):
        counts.setdefault(f"{what}s", {})[change] = count
    return {what: dict(sorted(found.items())) for what, found in sorted(counts.items())}



def first_changes(connection: sa.Connection, run_id: str, limit: int) -> list[dict[str, Any]]:
    """The first changes of a run by column name of the view: findings before lines, new ones before gone ones."""
    order = (_VIEW.c.what, _VIEW.c.change.desc(), _VIEW.c.code, _VIEW.c.invoice_number, _VIEW.c.line_id)
    statement = sa.select(_VIEW).where(_VIEW.c.run_id == run_id).order_by(*order).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]
