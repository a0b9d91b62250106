"""Untouched copies of delivered files as the warehouse knows them: where they lie, what used them, what was pruned."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa

from connectors.warehouse.schema import sql_table
from transforms.retention import StoredCopy, Use
from transforms.tables import QUARANTINE, RUN_FILES, RUNS, SOURCE_FILES

_FILES, _RUNS, _USED, _QUARANTINE = (sql_table(table) for table in (SOURCE_FILES, RUNS, RUN_FILES, QUARANTINE))
_LATEST_RUNS = sa.table("latest_runs", sa.column("run_id", sa.Text))


def read_copies(connection: sa.Connection) -> list[StoredCopy]:
    """Every copy that was ever made, by place; members of an archive share one."""
    uses = _uses(connection)
    quarantined = set(connection.execute(sa.select(_QUARANTINE.c.file_sha256).distinct()).scalars())
    copies: dict[str, list[sa.Row[tuple[object, ...]]]] = {}
    ordered = sa.select(_FILES).order_by(_FILES.c.landed_as, _FILES.c.source_file)
    for row in connection.execute(ordered):
        copies.setdefault(row.landed_as, []).append(row)
    return [
        StoredCopy(
            place=place,
            file_sha256=rows[0].file_sha256,
            source_files=tuple(row.source_file for row in rows),
            kinds=tuple(sorted({row.kind for row in rows})),
            byte_count=rows[0].byte_count,
            landed_at=min(row.landed_at for row in rows),
            pruned_at=max((row.pruned_at for row in rows), default=None)
            if all(row.pruned_at is not None for row in rows)
            else None,
            uses=tuple(uses.get(rows[0].file_sha256, ())),
            is_quarantined=rows[0].file_sha256 in quarantined,
        )
        for place, rows in copies.items()
    ]


def billed_periods(connection: sa.Connection) -> set[str]:
    """Periods whose latest full run is billed."""
    statement = sa.select(_RUNS.c.period).join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == _RUNS.c.run_id)
    return set(connection.execute(statement.where(_RUNS.c.status == "billed")).scalars())


def record_pruned(connection: sa.Connection, places: Collection[str], at: dt.datetime) -> None:
    """Record that the copies at these places are removed; the rows read from them stay."""
    for place in places:
        connection.execute(_FILES.update().where(_FILES.c.landed_as == place).values(pruned_at=at))


def copy_of(connection: sa.Connection, file_sha256: str, source_file: str) -> dict[str, object] | None:
    """Where the untouched copy of a file lies, and when it was pruned; None where the file is not known."""
    own = (_FILES.c.file_sha256 == file_sha256, _FILES.c.source_file == source_file)
    row = connection.execute(sa.select(_FILES.c.landed_as, _FILES.c.pruned_at).where(*own)).mappings().one_or_none()
    return None if row is None else dict(row)


def _uses(connection: sa.Connection) -> dict[str, list[Use]]:
    statement = (
        sa.select(_USED.c.file_sha256, _RUNS.c.run_id, _RUNS.c.period, _RUNS.c.started_at)
        .join(_RUNS, _RUNS.c.run_id == _USED.c.run_id)
        .distinct()
        .order_by(_RUNS.c.started_at, _RUNS.c.run_id)
    )
    uses: dict[str, list[Use]] = {}
    for row in connection.execute(statement):
        uses.setdefault(row.file_sha256, []).append(Use(row.run_id, row.period, row.started_at))
    return uses
