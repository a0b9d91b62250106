"""The analysts' copy: the views as Parquet and in one DuckDB file, at a path of their own that nobody locks.

A copy is made in a folder of its own and then published by turning one link, so that a reader finds either the old
one or the new one, whole. The copy before is kept for those who still have it open.

What costs time grows with all months ever run, and most of it is as it was: a month's lines and charges, and the price
changes, are taken over from the copy before where nothing that they are made of has changed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.progress import Progress, silent
from connectors.unfinished import claimed, remove_abandoned
from connectors.warehouse.bulk import stream_arrow
from connectors.warehouse.engine import COPYING, Warehouse
from connectors.warehouse.migrations import ensure_current, known_revisions
from connectors.warehouse.views import focus_of_run, functions, view_digests
from transforms.columns import Table
from transforms.errors import WarehouseError
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.views import OUT_LINES, OUT_PRICE_CHANGES, VIEWS

LINK = "snapshot"
FOLDERS = "snapshots"
DUCKDB_FILE = "warehouse.duckdb"
STATE_FILE = "snapshot.json"

_Fingerprints = dict[str, dict[str, str]]


class _Parts(NamedTuple):
    """A view that is taken over in parts.

    Attributes:
        by: the column that says to which part a row belongs; empty for a view that is one part.
        fingerprints: for each part, in the first column, what says whether any of its rows can have changed.
        rows: the query of a part's rows, where that is not the view's with a condition.
    """

    by: str
    fingerprints: str
    rows: Callable[[str], sa.Executable] | None = None


_IN_PARTS = {
    OUT_LINES.name: _Parts(
        "period",
        """
        select latest_runs.period, latest_runs.run_id, posted.*
        from latest_runs
        left join (
            select
                period, count(*) as postings, sum(halo_id) as halo_ids, max(intended_at) as intended_at,
                max(settled_at) as settled_at, count(case when state = 'billed' then 1 end) as billed
            from halo_postings
            where entity = 'line'
            group by period
        ) as posted on posted.period = latest_runs.period
        """,
    ),
    # A run is final, and so are the rows that it was made of for as long as it is its period's latest one.
    OUT_FOCUS.name: _Parts("x_RunId", "select run_id, period from latest_runs", focus_of_run),
    OUT_PRICE_CHANGES.name: _Parts("", "select '', count(*), min(file_sha256), max(file_sha256) from src_price_list"),
}


def publish_snapshot(warehouse: Warehouse, home: Path, *, anew: bool = False, progress: Progress = silent) -> Path:
    """Copy all views, as of one moment, and publish them.

    Args:
        warehouse: DuckDB or PostgreSQL.
        home: the working folder.
        anew: take nothing over from the copy before.
        progress: is told the rows that are copied.

    Returns:
        `<home>/snapshot`, which leads to the new copy: `out_….parquet` for each view, that of `out_lines` and of
        `out_focus` a folder with a file for each period, and `warehouse.duckdb` with the same as tables. All files are
        read-only.

    Raises:
        WarehouseError: the warehouse is not reachable or not upgraded, or the folder cannot be written.
    """
    ensure_current(warehouse)
    link, folders = home / LINK, home / FOLDERS
    folder = folders / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    making = folders / f".{folder.name}-{os.getpid()}"
    try:
        making.mkdir(parents=True)
        try:
            # Resolved, since the link may be turned meanwhile.
            with claimed(making):
                _Copy(warehouse, making, None if anew else link.resolve(), progress).write()
                making.rename(folder)
            _publish(link, folder)
        except BaseException:
            for unpublished in (making, folder):
                shutil.rmtree(unpublished, ignore_errors=True)
            raise
        _tidy(folders)
    except (OSError, duckdb.Error, pa.ArrowException, DBAPIError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or getattr(error, "orig", None) or error).split())
        raise WarehouseError(f"the snapshot cannot be written to {home}: {reason}") from None
    return link


class _Copy:
    """One copy while it is written."""

    def __init__(self, warehouse: Warehouse, folder: Path, before: Path | None, progress: Progress) -> None:
        self._warehouse = warehouse
        self._folder = folder
        self._progress = progress
        self._origin = {
            "warehouse": warehouse.url_masked,
            "revision": known_revisions()[-1],
            "views": view_digests(),
        }
        self._before = before
        self._known = self._known_before()

    def write(self) -> None:
        """Write all files; those of parts that are unchanged are the files of the copy before."""
        found: _Fingerprints = {}
        written: list[tuple[Table, str]] = []
        with self._warehouse.read(copying=True) as connection:
            for view in VIEWS:
                parts = _IN_PARTS.get(view.name)
                if parts is None:
                    self._write_parquet(connection, view, _rows(view), "")
                    continue
                found[view.name] = _read_fingerprints(connection, parts)
                for part, fingerprint in found[view.name].items():
                    if self._known.get(view.name, {}).get(part) == fingerprint:
                        _take_over(self._parquet(view, part, self._before), self._parquet(view, part))
                    else:
                        statement = parts.rows(part) if parts.rows else _rows(view, parts.by, part)
                        self._write_parquet(connection, view, statement, part)
                        written.append((view, part))
                if not found[view.name]:
                    self._write_parquet(connection, view, _rows(view).where(sa.false()), "none")
        self._progress("writing the analysts' DuckDB file", 0, 0)
        self._write_duckdb(found, written)
        state = {"published_at": datetime.now(UTC).isoformat(), "origin": self._origin, "parts": found}
        (self._folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        for file in self._folder.rglob("*"):
            if file.is_file():
                file.chmod(0o444)

    def _known_before(self) -> _Fingerprints:
        """Fingerprints of the copy before; none where it is of other views or another warehouse, or is not whole."""
        if self._before is None:
            return {}
        try:
            state = json.loads((self._before / STATE_FILE).read_text(encoding="utf-8"))
            if state["origin"] != self._origin:
                return {}
            parts: _Fingerprints = state["parts"]
            files = [self._parquet(view, part, self._before) for view in VIEWS for part in parts.get(view.name, {})]
        except (OSError, ValueError, LookupError):
            return {}
        return parts if all(file.is_file() for file in (*files, self._before / DUCKDB_FILE)) else {}

    def _write_duckdb(self, found: _Fingerprints, written: list[tuple[Table, str]]) -> None:
        """The same as tables; from the file before, only what was written is put in anew."""
        file = self._folder / DUCKDB_FILE
        if self._known and self._before is not None:
            shutil.copyfile(self._before / DUCKDB_FILE, file)
        # In which order it has the rows does not matter, and keeping that of the files would take it twice the time.
        config: dict[str, Any] = {**COPYING["duckdb"], "preserve_insertion_order": "false"}
        with duckdb.connect(str(file), config=config) as copy, _transaction(copy):
            for statement in functions("duckdb"):
                copy.execute(statement)
            for view in VIEWS:
                parts = _IN_PARTS.get(view.name)
                if parts is None or not self._known:
                    source = [str(path) for path in self._parquets(view)]
                    copy.execute(f"create or replace table {view.name} as select * from read_parquet(?)", [source])  # noqa: S608
                    continue
                new = [part for of_view, part in written if of_view is view]
                gone = self._known.get(view.name, {}).keys() - found[view.name].keys()
                if parts.by:
                    copy.execute(f'delete from {view.name} where list_contains(?, "{parts.by}")', [[*new, *gone]])  # noqa: S608
                elif new:
                    copy.execute(f"delete from {view.name}")  # noqa: S608
                for part in new:
                    file_of_part = str(self._parquet(view, part))
                    copy.execute(f"insert into {view.name} select * from read_parquet(?)", [file_of_part])  # noqa: S608

    def _write_parquet(self, connection: sa.Connection, view: Table, statement: sa.Executable, part: str) -> None:
        path = self._parquet(view, part)
        path.parent.mkdir(exist_ok=True)
        copied = 0
        with pq.ParquetWriter(path, view.schema, compression="zstd") as writer:
            self._progress(f"copying {view.name}", copied, 0)
            for batch in stream_arrow(connection, statement, view.schema):
                writer.write_batch(batch)
                copied += batch.num_rows
                self._progress(f"copying {view.name}", copied, 0)

    def _parquet(self, view: Table, part: str, folder: Path | None = None) -> Path:
        path = (folder or self._folder) / f"{view.name}.parquet"
        return path / f"{part}.parquet" if part else path

    def _parquets(self, view: Table) -> list[Path]:
        path = self._parquet(view, "")
        return sorted(path.iterdir()) if path.is_dir() else [path]


def _rows(view: Table, by: str = "", part: str = "") -> sa.Select[*tuple[object, ...]]:
    """The rows of a view, or those with this value in a column."""
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in view.names]
    rows = sa.select(*columns).select_from(sa.table(view.name))
    return rows.where(sa.column(by) == part) if by else rows


def _read_fingerprints(connection: sa.Connection, parts: _Parts) -> dict[str, str]:
    rows = connection.exec_driver_sql(parts.fingerprints)
    return {str(part): " ".join(str(value) for value in rest) for part, *rest in rows}


def _take_over(old: Path, new: Path) -> None:
    """The same file under a second name, or a copy of it where the file system knows no second names."""
    new.parent.mkdir(exist_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Everything is written to the file once, at the end."""
    connection.execute("begin")
    yield
    connection.execute("commit")


def _publish(link: Path, folder: Path) -> None:
    """Point `link` to `folder` in one step: a new link is made in the folder, with which it would go, and moved there.

    Where another process has published a newer copy meanwhile, that one stays.
    """
    if link.is_symlink() and link.readlink().name > folder.name:
        return
    new = folder / LINK
    new.symlink_to(Path(FOLDERS) / folder.name, target_is_directory=True)
    new.replace(link)


def _tidy(folders: Path) -> None:
    """Remove all but the last two copies, and what a process that died left of one."""
    copies = sorted(path for path in folders.iterdir() if not path.name.startswith("."))
    for path in copies[:-2]:
        shutil.rmtree(path, ignore_errors=True)
    remove_abandoned(path for path in folders.iterdir() if path.name.startswith("."))
