"""Restoring a backup into an empty warehouse, of either engine: whole, compared with its manifest, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.progress import Progress, silent
from connectors.warehouse.backup import (
    Manifest,
    batches_of,
    check_file,
    read_manifest,
    refuse_while_at_work,
    sums_of,
    table_of,
    tables_of,
)
from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import known_revisions, run_revisions, status
from connectors.warehouse.partitions import PARTITIONED, index_partitions
from connectors.warehouse.views import create_views, drop_views, read_grants
from transforms.columns import Table
from transforms.errors import WarehouseError

#: Since this revision PostgreSQL has the large tables in partitions.
_PARTITIONED_SINCE = "0005"

#: What else is to be written, in the same transaction.
Finish = Callable[[sa.Connection, Manifest], None]


def restore(
    warehouse: Warehouse,
    folder: Path,
    *,
    finish: Finish = lambda connection, manifest: None,
    set_aside: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Restore a backup and bring it to this version.

    A DuckDB file is made beside the old one and takes its place in one step; PostgreSQL takes everything in one
    transaction.

    Args:
        warehouse: where to; it must be empty.
        folder: the backup.
        finish: what else is to be written.
        set_aside: keep a DuckDB file that is not empty under another name.
        progress: is told the tables and rows.

    Raises:
        InputError: the folder is no backup, or it is damaged; nothing was done.
        WarehouseError: the warehouse is not empty, or somebody is at work in it; nothing was done.
    """
    manifest = read_manifest(folder)
    for name, entry in manifest.tables.items():
        progress(f"checking {name}", 0, 0)
        check_file(folder / f"{name}.parquet", entry)
    is_empty = _is_empty(warehouse)
    if warehouse.path is None:
        if not is_empty:
            raise WarehouseError(
                f"the warehouse {warehouse.url_masked} is not empty, and a backup is never restored over anything: "
                "make another database and name it in CSP_BILLING_WAREHOUSE_URL"
            )
        _fill(warehouse, folder, manifest, finish, progress)
        return manifest
    if not is_empty and not set_aside:
        raise WarehouseError(
            f"the warehouse {warehouse.path} is not empty, and a backup is never restored over anything: --set-aside "
            "keeps it under another name, or name another file in CSP_BILLING_WAREHOUSE_URL"
        )
    new = warehouse.path.with_name(f".{warehouse.path.name}.{os.getpid()}")
    try:
        _fill(open_warehouse(f"duckdb:///{new}"), folder, manifest, finish, progress)
        if not is_empty:
            # A second name, so that the first never leads to nothing: who found nothing there would begin anew.
            at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            os.link(warehouse.path, warehouse.path.with_name(f"{warehouse.path.name}.{at}"))
        new.replace(warehouse.path)
    except OSError as error:
        raise WarehouseError(f"{warehouse.path} cannot be replaced: {error.strerror or error}") from None
    finally:
        for left in (new, new.with_name(f"{new.name}.wal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return manifest


def _is_empty(warehouse: Warehouse) -> bool:
    """Whether there is no row of ours in the warehouse; raises WarehouseError where somebody is at work in it."""
    if status(warehouse).current is None:
        return True
    # Opened for writing: what a killed process left beside a DuckDB file is then in it, and nobody else has it open.
    with warehouse.begin() as connection:
        refuse_while_at_work(connection)
        tables = [sa.table(table.name) for table in tables_of(connection)]
        return not any(connection.execute(sa.select(sa.literal(1)).select_from(one).limit(1)).first() for one in tables)


def _fill(warehouse: Warehouse, folder: Path, manifest: Manifest, finish: Finish, progress: Progress) -> None:
    with warehouse.begin(loading=True) as connection:
        grants = read_grants(connection)
        drop_views(connection)
        run_revisions(connection, "base")
        run_revisions(connection, manifest.revision)
        for name, entry in manifest.tables.items():
            table = _with_partitions(table_of(name, entry), manifest)
            _insert(connection, table, folder / f"{name}.parquet", progress)
            found = sums_of(connection, table)
            if found["rows"] != entry["rows"] or (found["rows"] and found["sums"] != entry["sums"]):
                raise WarehouseError(f"{name} is not in the warehouse as it is in the backup; nothing was restored")
        finish(connection, manifest)
        progress("making indexes and views", 0, 0)
        run_revisions(connection, "head")
        create_views(connection, grants)
        for period in _periods(connection):
            index_partitions(connection, period)


def _insert(connection: sa.Connection, table: Table, file: Path, progress: Progress) -> None:
    done = 0
    for batch in batches_of(file):
        done += insert_arrow(connection, table, batch)
        progress(f"restoring {table.name}", done, 0)


def _with_partitions(table: Table, manifest: Manifest) -> Table:
    known = known_revisions()
    declared = {one.name: one.partition_by for one in PARTITIONED}
    if table.name in declared and known.index(manifest.revision) >= known.index(_PARTITIONED_SINCE):
        return replace(table, partition_by=declared[table.name])
    return table


def _periods(connection: sa.Connection) -> list[str]:
    """The periods of the partitioned tables; none are needed on DuckDB."""
    if connection.dialect.name != "postgresql":
        return []
    found: list[sa.Select[Any]] = [
        sa.select(sa.column(one.partition_by)).select_from(sa.table(one.name)) for one in PARTITIONED
    ]
    return list(connection.execute(sa.union(*found)).scalars())
