"""What changed between the last two full runs of a period."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa

from transforms.tables.views import OUT_PERIOD_CHANGES

#: How many changes are named; the view has them all.
SHOWN_CHANGES = 20

Counts: TypeAlias = dict[str, dict[str, int]]

_VIEW = sa.table(OUT_PERIOD_CHANGES.name, *(sa.column(name) for name in OUT_PERIOD_CHANGES.names))


def read_changes(connection: sa.Connection, run_id: str) -> tuple[Counts, tuple[dict[str, Any], ...]]:
    """What is new, gone and changed in a run that is its period's latest.

    Returns:
        Counts by change, under `lines` and `findings`, and the first changes by column name of the view: findings
        before lines, new ones before gone ones. Both empty where there is no earlier run to compare with.
    """
    of_run = sa.select(_VIEW).where(_VIEW.c.run_id == run_id)
    counts: Counts = {}
    grouped = of_run.with_only_columns(_VIEW.c.what, _VIEW.c.change, sa.func.count())
    for what, change, count in connection.execute(grouped.group_by(_VIEW.c.what, _VIEW.c.change)):
        counts.setdefault(f"{what}s", {})[change] = count
    if not counts:
        return {}, ()
    order = (_VIEW.c.what, _VIEW.c.change.desc(), _VIEW.c.code, _VIEW.c.invoice_number, _VIEW.c.line_id)
    first = connection.execute(of_run.order_by(*order).limit(SHOWN_CHANGES)).mappings()
    ordered = {what: dict(sorted(found.items())) for what, found in sorted(counts.items())}
    return ordered, tuple(dict(row) for row in first)
