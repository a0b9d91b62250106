"""Backups of the warehouse: every table as Parquet, with a manifest that says what must be in them.

A backup is one moment's, and portable: what DuckDB has written PostgreSQL takes, and the other way round. Decimals stay
decimals. It holds the tables of the revision that the warehouse is at, and a later version restores it and upgrades it
then. Views are made anew; locks are nobody's any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from connectors.progress import Progress, silent
from connectors.warehouse.bulk import stream_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import read_locks
from connectors.warehouse.migrations import known_revisions, status_within
from transforms.columns import Column, Kind, Table
from transforms.errors import InputError, WarehouseError
from transforms.tables import ALL_TABLES, LOCKS

MANIFEST = "manifest.json"
FORMAT = 1
_HASH_BYTES = 1 << 20
#: Wide enough for the sum of any column.
_WIDE = 76
_KINDS = {kind.arrow_type: kind for kind in Kind if kind is not Kind.RATE}
_DECLARED = {table.name: table for table in ALL_TABLES}


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        format: of the backup itself.
        made_at: when the moment was that it shows, UTC.
        revision: the warehouse's.
        engine: duckdb or postgresql.
        tables: for each table its columns with their kinds, its rows, what its columns come to, and its file's SHA-256.
    """

    format: int
    made_at: str
    revision: str
    engine: str
    tables: dict[str, dict[str, Any]]

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(int(table["rows"]) for table in self.tables.values())


class Sums:
    """What a table's columns come to, whatever the order of its rows: two tables that differ in it are not the same."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, list[int | Decimal]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        self.rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            sums = self._columns.setdefault(name, [0, 0])
            sums[0] += len(column) - column.null_count
            sums[1] += _sum(column)

    def told(self) -> dict[str, Any]:
        """As it stands in the manifest: rows, and by column how many values and their sum."""
        return {"rows": self.rows, "sums": {name: [str(each) for each in sums] for name, sums in self._columns.items()}}


def _sum(column: pa.Array) -> int | Decimal:
    """The sum of a column's numbers, of its days or microseconds, or of the lengths of its texts."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.decimal256(_WIDE, column.type.scale))
    elif pa.types.is_string(column.type):
        column = pc.binary_length(column)
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    total: int | Decimal | None = pc.sum(column).as_py()
    return total or 0


def back_up(warehouse: Warehouse, folder: Path, progress: Progress = silent) -> Manifest:
    """Write a backup into a new folder, which is there whole or not at all.

    Raises:
        InputError: the folder is there already or cannot be written.
        WarehouseError: the warehouse is empty or not reachable, or somebody is at work in it.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already: name a folder that is not")
    making = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        making.mkdir(parents=True, mode=0o700)
        try:
            manifest = _write(warehouse, making, progress)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from None
    return manifest


def _write(warehouse: Warehouse, folder: Path, progress: Progress) -> Manifest:
    written: dict[str, dict[str, Any]] = {}
    with warehouse.read(copying=True) as connection:
        revision = status_within(connection).current
        if revision is None:
            raise WarehouseError(f"the warehouse {warehouse.url_masked} is empty: there is nothing to back up")
        if revision not in known_revisions():
            raise WarehouseError(f"the warehouse is of a newer csp-billing (revision {revision}): back it up with that")
        refuse_while_at_work(connection)
        for table in tables_of(connection):
            progress(f"copying {table.name}", 0, 0)
            written[table.name] = _write_table(connection, table, folder / f"{table.name}.parquet", progress)
    for name, entry in written.items():
        progress(f"reading {name} back", 0, 0)
        check_file(folder / f"{name}.parquet", entry)
    manifest = Manifest(FORMAT, datetime.now(UTC).isoformat(), revision, warehouse.dialect, written)
    file = folder / MANIFEST
    file.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    file.chmod(0o600)
    _to_disk(file)
    return manifest


def _write_table(connection: sa.Connection, table: Table, file: Path, progress: Progress) -> dict[str, Any]:
    sums = Sums()
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in table.names]
    statement = sa.select(*columns).select_from(sa.table(table.name))
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for batch in stream_arrow(connection, statement, table.schema):
            sums.add(batch)
            writer.write_batch(batch)
            progress(f"copying {table.name}", sums.rows, 0)
    file.chmod(0o600)
    _to_disk(file)
    kinds = {column.name: column.kind.value for column in table.columns}
    return {"columns": kinds, **sums.told(), "sha256": _digest(file)}


def check_file(file: Path, entry: dict[str, Any]) -> None:
    """Read a backup's file to its end.

    Raises:
        InputError: it is not what the manifest says.
    """
    try:
        is_whole = _digest(file) == entry["sha256"]
        sums = Sums()
        for batch in batches_of(file) if is_whole else ():
            sums.add(batch)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if not is_whole or sums.rows != entry["rows"] or (sums.rows and sums.told()["sums"] != entry["sums"]):
        raise InputError(f"{file} is not as it was written: its content differs from the manifest's")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        InputError: the folder is no backup, or one of a newer version.
    """
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{folder} is no backup of a warehouse: {MANIFEST}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST} is not a backup's manifest: {error}") from None
    if manifest.format != FORMAT or manifest.revision not in known_revisions():
        raise InputError(
            f"{folder} was written by a newer csp-billing (revision {manifest.revision}): restore it with that version"
        )
    return manifest


def table_of(name: str, entry: dict[str, Any]) -> Table:
    """The table that a manifest's entry describes."""
    columns = tuple(Column(column, Kind(kind), "") for column, kind in entry["columns"].items())
    return Table(name, "", columns, bulk=True)


def batches_of(file: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a backup's file."""
    with pq.ParquetFile(file) as opened:
        yield from opened.iter_batches()


def tables_of(connection: sa.Connection) -> list[Table]:
    """The tables that are in the database, with the columns that they have there; without locks."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    names = [name for name in _DECLARED if name in there and name != LOCKS.name]
    return [
        Table(name, "", tuple(Column(one["name"], _kind(one["type"]), "") for one in inspector.get_columns(name)))
        for name in names
    ]


def refuse_while_at_work(connection: sa.Connection) -> None:
    """Raise WarehouseError where somebody holds a lock, and has not left it behind."""
    for lock in read_locks(connection):
        if not lock.is_stale:
            raise WarehouseError(
                f"somebody is at work in the warehouse ({lock.name}, process {lock.process} on {lock.host}, since "
                f"{lock.acquired_at:%Y-%m-%d %H:%M} UTC): wait for it to end; `csp-billing warehouse locks` shows it"
            )


def sums_of(connection: sa.Connection, table: Table) -> dict[str, Any]:
    """What a table of the database comes to, as the manifest tells it."""
    sums = Sums()
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in table.names]
    for batch in stream_arrow(connection, sa.select(*columns).select_from(sa.table(table.name)), table.schema):
        sums.add(batch)
    return sums.told()


def _kind(found: Any) -> Kind:
    """The kind of a column of the database; a width that no kind has would be a defect: nothing may be rounded."""
    if isinstance(found, sa.Numeric):
        return _KINDS[pa.decimal128(found.precision, found.scale)]
    kinds = {
        sa.Boolean: Kind.BOOLEAN, sa.Integer: Kind.INTEGER, sa.DateTime: Kind.TIMESTAMP, sa.Date: Kind.DATE,
        sa.String: Kind.TEXT,
    }  # fmt: skip
    return next(kind for sql_type, kind in kinds.items() if isinstance(found, sql_type))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(_HASH_BYTES):
            digest.update(part)
    return digest.hexdigest()


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
