"""The analysts' copy: the views as Parquet and in one DuckDB file, at a path of their own that nobody locks.

A copy is made in a folder of its own and then published by turning one link, so that a reader finds either the old
one or the new one, whole. The copy before is kept for those who still have it open.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import sqlalchemy as sa

from connectors.progress import Progress, silent
from connectors.warehouse.bulk import stream_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.migrations import ensure_current
from transforms.columns import Table
from transforms.errors import WarehouseError
from transforms.tables.views import VIEWS

LINK = "snapshot"
FOLDERS = "snapshots"
DUCKDB_FILE = "warehouse.duckdb"


def publish_snapshot(warehouse: Warehouse, home: Path, progress: Progress = silent) -> Path:
    """Copy all views, as of one moment, and publish them.

    Args:
        warehouse: DuckDB or PostgreSQL.
        home: the working folder.
        progress: is told the rows that are copied.

    Returns:
        `<home>/snapshot`, which leads to the new copy: `out_….parquet` for each view, and `warehouse.duckdb` with
        the same as tables. All files are read-only.

    Raises:
        WarehouseError: the warehouse is not reachable or not upgraded, or the folder cannot be written.
    """
    ensure_current(warehouse)
    folders = home / FOLDERS
    folder = folders / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    try:
        folder.mkdir(parents=True)
        try:
            _copy_views(warehouse, folder, progress)
            _turn_link(home / LINK, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for older in sorted(folders.iterdir())[:-2]:
            shutil.rmtree(older, ignore_errors=True)
    except OSError as error:
        raise WarehouseError(f"the snapshot cannot be written to {home}: {error.strerror or error}") from None
    return home / LINK


def _copy_views(warehouse: Warehouse, folder: Path, progress: Progress) -> None:
    with warehouse.read() as connection:
        for view in VIEWS:
            _write_parquet(connection, view, _parquet(folder, view), progress)
    progress("writing the DuckDB file", 0, 0)
    with duckdb.connect(str(folder / DUCKDB_FILE)) as copy:
        for view in VIEWS:
            copy.execute(f"create table {view.name} as select * from read_parquet(?)", [str(_parquet(folder, view))])
    for file in folder.iterdir():
        file.chmod(0o444)


def _write_parquet(connection: sa.Connection, view: Table, path: Path, progress: Progress) -> None:
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in view.names]
    statement = sa.select(*columns).select_from(sa.table(view.name))
    done = 0
    progress(f"copying {view.name}", done, 0)
    with pq.ParquetWriter(path, view.schema, compression="zstd") as writer:
        for batch in stream_arrow(connection, statement, view.schema):
            writer.write_batch(batch)
            done += batch.num_rows
            progress(f"copying {view.name}", done, 0)


def _parquet(folder: Path, view: Table) -> Path:
    return folder / f"{view.name}.parquet"


def _turn_link(link: Path, folder: Path) -> None:
    """Point `link` to `folder` in one step: a new link is made beside it and renamed over it."""
    new = link.with_name(f"{link.name}.new-{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(Path(FOLDERS) / folder.name, target_is_directory=True)
    new.replace(link)
