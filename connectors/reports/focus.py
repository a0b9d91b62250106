"""The charges of a run in the columns of FOCUS 1.2, as Parquet and CSV.

The rows are those of the view out_focus, for the run that is asked for: its query is the view's own, with that run in
the place of the latest one of each period. Batches go from the warehouse straight into the Parquet file, and from there
into the CSV file, so that a month of any size takes the same memory here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import sqlalchemy as sa

from connectors.warehouse.bulk import stream_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run, latest_run
from connectors.warehouse.schema import sql_table
from connectors.warehouse.views import focus_of_run
from transforms.columns import Column, Kind
from transforms.errors import InputError
from transforms.tables import DAILY_USAGE, INVOICE_RECON, LINES
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.results import RUN_FILES

PARQUET, CSV = "focus.parquet", "focus.csv"
#: What a spreadsheet takes for the beginning of a formula, also in full width, and what it skips before one.
_FORMULA = "^\\s*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]"
#: What DuckDB may hold while it joins; what does not fit is written beside the warehouse for as long.
_MEMORY_LIMIT = "512MiB"


def write_focus(warehouse: Warehouse, run_id: str, folder: Path) -> list[Path]:
    """Write the charges of a run as `focus.parquet` and `focus.csv`; files that are there are replaced, whole.

    Args:
        warehouse: DuckDB or PostgreSQL.
        run_id: a full run. An older one than its period's latest can be written as long as the rows that it was made
            of are still in the warehouse.
        folder: where to; it is made if there is none.

    Returns:
        The two files. Columns and order of OUT_FOCUS; amounts, prices and quantities are decimals with all their
        digits, times are UTC, in the CSV in ISO 8601 with a Z.

    Raises:
        InputError: there is no such run, it is an ad hoc run, its rows have been replaced by those of a later delivery,
            or the folder cannot be written.
        WarehouseError: the warehouse is not reachable or not upgraded.
    """
    ensure_current(warehouse)
    with warehouse.read() as connection, ExitStack() as files:
        run = get_run(connection, run_id)
        _refuse_part(run)
        _refuse_replaced(connection, run)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            csv, parquet = (files.enter_context(_replacing(folder / name)) for name in (CSV, PARQUET))
            _write_parquet(connection, run_id, parquet)
            _write_csv(parquet, csv)
            files.close()
        except (OSError, duckdb.IOException) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise InputError(f"{PARQUET} and {CSV} cannot be written to {folder}: {reason}") from None
    return [folder / PARQUET, folder / CSV]


def _refuse_part(run: dict[str, Any]) -> None:
    if run["scope"] is not None:
        raise InputError(
            f"run {run['run_id']} is limited to a part of {run['period']}: FOCUS is written of whole invoices; "
            f"reconcile without --customer, --invoice and --code, and take that run"
        )


def _refuse_replaced(connection: sa.Connection, run: dict[str, Any]) -> None:
    """A line's own row must be there still, from the same file: what FOCUS says besides the amounts is told from it.

    The rows of a period are those of its latest full run.
    """
    latest = latest_run(connection, run["period"])
    if latest is None or latest["run_id"] == run["run_id"]:
        return
    lines, files = sql_table(LINES), sql_table(RUN_FILES)
    kept = []
    for table in (sql_table(INVOICE_RECON), sql_table(DAILY_USAGE)):
        of_run = sa.and_(
            files.c.run_id == run["run_id"],
            files.c.file_sha256 == table.c.file_sha256,
            files.c.source_file == table.c.source_file,
        )
        place = (table.c.line_id, table.c.source_file, table.c.source_row)
        kept.append(sa.select(*place).join(files, of_run).where(table.c.period == run["period"]))
    rows = sa.union_all(*kept).subquery()
    same = sa.and_(*(lines.c[name] == rows.c[name] for name in ("line_id", "source_file", "source_row")))
    replaced = sa.select(sa.func.count()).select_from(lines.outerjoin(rows, same))
    count = connection.execute(replaced.where(lines.c.run_id == run["run_id"], rows.c.line_id.is_(None))).scalar_one()
    if count:
        raise InputError(
            f"{count} lines of run {run['run_id']} were delivered again since, and their rows replaced: take run "
            f"{latest['run_id']}, or reconcile the files of the older run once more"
        )


def _write_parquet(connection: sa.Connection, run_id: str, path: Path) -> None:
    if connection.dialect.name == "duckdb":
        connection.exec_driver_sql(f"set memory_limit = '{_MEMORY_LIMIT}'")
    with pq.ParquetWriter(path, OUT_FOCUS.schema, compression="zstd") as writer:
        for batch in stream_arrow(connection, focus_of_run(run_id), OUT_FOCUS.schema):
            writer.write_batch(batch)


def _write_csv(parquet: Path, path: Path) -> None:
    source, target = (str(file).replace("'", "''") for file in (parquet, path))
    columns = ", ".join(f'{_as_text(column)} as "{column.name}"' for column in OUT_FOCUS.columns)
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        # More than one thread would keep the rows of all of them, to write them in their order.
        engine.execute("set threads = 1")
        engine.execute(f"copy (select {columns} from read_parquet('{source}')) to '{target}' (format csv, header)")  # noqa: S608


def _as_text(column: Column) -> str:
    """How a column is written: a decimal without the zeros at its end, a time as FOCUS wants it.

    A text that a spreadsheet would take for a formula gets an apostrophe, which that shows as nothing.
    """
    if column.kind.is_decimal:
        return f"rtrim(rtrim(cast(\"{column.name}\" as varchar), '0'), '.')"
    if column.kind is Kind.TIMESTAMP:
        return f"strftime(\"{column.name}\", '%Y-%m-%dT%H:%M:%SZ')"
    if column.kind is not Kind.TEXT:
        return f'"{column.name}"'
    return f"case when regexp_matches(\"{column.name}\", '{_FORMULA}') then chr(39) else '' end || \"{column.name}\""


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, and of which nothing is left after an error."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
