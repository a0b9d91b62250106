"""Opening the warehouse: DuckDB in a file by default, PostgreSQL for a team.

DuckDB locks its file for the whole process that has it open for writing, and no other process can even read it
meanwhile. Connections are therefore never pooled: each `begin` and `read` opens the file and closes it again, so
that the lock is held for the length of one transaction, and who finds it held waits a while before giving up.
"""

from __future__ import annotations

import importlib.util
import logging
import random
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from connectors.warehouse.failures import ROOM, is_no_room, why_it_failed
from transforms.errors import SettingsError, WarehouseError, WarehouseLostError

SETTING = "CSP_BILLING_WAREHOUSE_URL"
LOCK_TIMEOUT_SECONDS = 30

#: While millions of rows pass: of the whole DuckDB instance, which writes what does not fit the memory to its file or
#: beside it; of the PostgreSQL session, which sorts on disk what does not fit. DuckDB commits millions of rows of which
#: some were updated to its log first, uncompressed, unless a checkpoint is due, which then stands for it: one always is
#: (2.5 s instead of 10 s for 5 million lines, measured).
SMALL = {
    "duckdb": {"threads": "1", "memory_limit": "256MiB", "wal_autocheckpoint": "1KB"},
    "postgresql": {"work_mem": "64MB"},
}

_POSTGRESQL_DRIVERS = ("postgresql", "postgresql+psycopg", "postgres")
_EXAMPLES = "duckdb:///folder/warehouse.duckdb or postgresql+psycopg://user:password@host/database"
#: What DuckDB raises of a statement that Ctrl-C stopped.
_INTERRUPTIONS = ("RuntimeError", "InterruptException")
_INSUFFICIENT_PRIVILEGE = "42501"
#: Warehouses that this process has been connected to, DuckDB files for writing.
_reached: set[str] = set()
#: Why DuckDB does not open a file for the moment: another process has it, or a thread of this one is opening or closing
#: it at this very moment.
_PASSING = ("Could not set lock", "Unique file handle conflict")
_LOCK_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


@dataclass(frozen=True)
class Warehouse:
    """An opened warehouse; holds no connection between two uses.

    Attributes:
        engine: SQLAlchemy engine for writing; use `begin` and `read` rather than the engine itself.
        dialect: `duckdb` or `postgresql`.
        url_masked: the URL without its password, for messages.
        path: the DuckDB file; None for PostgreSQL.
        lock_timeout_seconds: how long to wait for a DuckDB file that another process has open.
    """

    engine: sa.Engine
    dialect: str
    url_masked: str
    path: Path | None
    lock_timeout_seconds: int
    _reader: sa.Engine

    @contextmanager
    def begin(self, loading: bool = False) -> Iterator[sa.Connection]:
        """One transaction: committed at the end, rolled back by an exception, the connection closed either way.

        Args:
            loading: for inserting millions of rows batch by batch: DuckDB keeps to one thread and 256 MiB, since
                it would otherwise hold what was inserted in up to 80 % of the machine's memory, and several threads
                take longer for a batch than one. Where the file is already open in this process, its other
                connections are kept to that too. PostgreSQL may take 64 MB for a sort.

        Raises:
            WarehouseError: the database cannot be reached, another process keeps the DuckDB file, or the login may not
                do what is done.
            WarehouseLostError: it was reached before and is no longer, or it fails in the middle: its disk is full,
                it is stopped, the connection is cut. Nothing of the transaction is kept.
        """
        if self.path is not None:
            _make_folder(self.path.parent)
        with (
            self._failures_told(),
            self._connect(self.engine) as connection,
            self._kept_small(connection, loading),
        ):
            connection.commit()
            with connection.begin():
                yield connection

    @contextmanager
    def read(self, copying: bool = False) -> Iterator[sa.Connection]:
        """One transaction in which the engine itself refuses every write.

        A thread that still has a `begin` open in this process shares its DuckDB instance, since DuckDB opens a file
        only one way at a time; then the transaction, not the whole file, is the read-only part.

        Args:
            copying: for reading millions of rows: the engine keeps to the same bounds as for `loading`.

        Raises:
            WarehouseError: as `begin`; also when there is no DuckDB file yet.
        """
        if self.path is not None and not self.path.exists():
            raise WarehouseError(f"there is no warehouse at {self.path}; run `csp-billing warehouse upgrade`")
        try:
            opened = self._connect(self._reader, share=True)
        except _OpenForWritingError:
            opened = self._connect(self.engine.execution_options(isolation_level="AUTOCOMMIT"))
            opened.exec_driver_sql("begin transaction read only")
        with self._failures_told(), opened as connection:
            try:
                with self._kept_small(connection, copying):
                    yield connection
            finally:
                connection.rollback()

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        """Say in a line what a login may not do, and why the database failed: also what the driver alone raises.

        What DuckDB makes of Ctrl-C during a statement is Ctrl-C again.
        """
        try:
            yield
        except Exception as error:
            reason = getattr(error, "orig", error)
            if type(reason).__name__ in _INTERRUPTIONS and "interrupted" in str(reason).lower():
                raise KeyboardInterrupt from None
            if getattr(reason, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
                raise WarehouseError(
                    f"the login of the warehouse {self.url_masked} may not do this: {str(reason).splitlines()[0]}; use "
                    "the login that owns its tables, or for the views `csp-billing warehouse query`"
                ) from None
            failed = why_it_failed(error)
            if failed is None:
                raise
            why, mend = failed
            raise WarehouseLostError(
                f"the warehouse {self.url_masked} failed: {why}; what was being written is undone: {mend}"
            ) from None

    @contextmanager
    def _kept_small(self, connection: sa.Connection, wanted: bool) -> Iterator[None]:
        """Keep the engine to SMALL meanwhile, where that is wanted."""
        settings = SMALL[self.dialect] if wanted else {}
        for name, value in settings.items():
            connection.exec_driver_sql(f"set {name} = '{value}'")
        try:
            yield
        finally:
            # An instance that refuses even this is closed, and its settings are gone with it.
            with suppress(DBAPIError):
                for name in settings:
                    connection.exec_driver_sql(f"reset {name}")

    def _connect(self, engine: sa.Engine, share: bool = False) -> sa.Connection:
        """Connect, waiting for a DuckDB file that is open elsewhere.

        With `share`, a file that this process itself has open for writing raises _OpenForWritingError at once.
        """
        give_up_at = time.monotonic() + self.lock_timeout_seconds
        delay = 0.05
        while True:
            try:
                connection = engine.connect()
                # Of a DuckDB file that was only read nothing tells that somebody did not hold it all the time.
                if self.path is None or engine is not self._reader:
                    _reached.add(self.url_masked)
                return connection
            except DBAPIError as error:
                text = str(error.orig)
                opened_otherwise = "different configuration" in text
                if opened_otherwise and share:
                    raise _OpenForWritingError from None
                # What this process reached before is no wrong setting, and something may be done already.
                kind = WarehouseLostError if self.url_masked in _reached else WarehouseError
                if not opened_otherwise and not any(passing in text for passing in _PASSING):
                    raise kind(_unreachable(self, text)) from None
                if time.monotonic() >= give_up_at:
                    raise kind(_locked(self, text)) from None
            time.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, 1.0)


def use_all_threads(connection: sa.Connection) -> None:
    """When all batches of `begin(loading=True)` are inserted: what follows is better done by several threads."""
    if connection.dialect.name == "duckdb":
        connection.exec_driver_sql("reset threads")


class _OpenForWritingError(Exception):
    """This process has the DuckDB file open for writing."""


def open_warehouse(url: str, lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS) -> Warehouse:
    """Open the warehouse of a SQLAlchemy URL; nothing is connected or created yet.

    Args:
        url: `duckdb:///path` or `postgresql+psycopg://…`.
        lock_timeout_seconds: how long to wait for a DuckDB file that another process has open.

    Raises:
        SettingsError: another database, no database URL at all, or the PostgreSQL driver is not installed.
    """
    # A connection that cannot be closed, after an interrupt say, ends with the process; its traceback helps nobody.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"{SETTING} is not a database URL; write {_EXAMPLES}") from None
    if parsed.drivername == "duckdb":
        return _open_duckdb(parsed, lock_timeout_seconds)
    if parsed.drivername in _POSTGRESQL_DRIVERS:
        return _open_postgresql(parsed, lock_timeout_seconds)
    raise SettingsError(f"{SETTING} names {parsed.drivername}, which is not supported; write {_EXAMPLES}")


def _open_duckdb(url: sa.URL, lock_timeout_seconds: int) -> Warehouse:
    database = url.database or ""
    if not database or database.startswith((":memory:", "md:", "motherduck:")):
        raise SettingsError(f"{SETTING} must name a DuckDB file, such as duckdb:///folder/warehouse.duckdb")
    path = Path(database).expanduser()
    url = url.set(database=str(path))
    engine = sa.create_engine(url, poolclass=NullPool)
    reader = sa.create_engine(url, poolclass=NullPool, connect_args={"read_only": True})
    for each in (engine, reader):
        sa.event.listen(each, "connect", _use_utc)
        sa.event.listen(each, "connect", _print_nothing)
    return Warehouse(engine, "duckdb", _masked(url), path, lock_timeout_seconds, reader)


def _open_postgresql(url: sa.URL, lock_timeout_seconds: int) -> Warehouse:
    if importlib.util.find_spec("psycopg") is None:
        raise SettingsError(f"{SETTING} names PostgreSQL, whose driver is missing: pip install 'csp-billing[postgres]'")
    url = url.set(drivername="postgresql+psycopg")
    connect_args = {"connect_timeout": 10, "application_name": "csp-billing"}
    connect_args = {name: value for name, value in connect_args.items() if name not in url.query}
    engine = sa.create_engine(url, poolclass=NullPool, connect_args=connect_args)
    sa.event.listen(engine, "connect", _use_utc)
    reader = engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    return Warehouse(engine, "postgresql", _masked(url), None, lock_timeout_seconds, reader)


def _use_utc(dbapi_connection: Any, _record: object) -> None:
    """Give timestamps in UTC; a startup option instead would be refused by some PostgreSQL connection poolers."""
    dbapi_connection.autocommit = True
    with closing(dbapi_connection.cursor()) as cursor:
        cursor.execute("set timezone = 'UTC'")
    dbapi_connection.autocommit = False


def _print_nothing(dbapi_connection: Any, _record: object) -> None:
    """Standard output is for results; where Python looks interactive, DuckDB prints its progress there."""
    dbapi_connection.autocommit = True
    with closing(dbapi_connection.cursor()) as cursor:
        cursor.execute("set enable_progress_bar = false")
    dbapi_connection.autocommit = False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(f"the warehouse's folder {folder} cannot be made: {error.strerror}") from None


def _masked(url: sa.URL) -> str:
    """The URL without its password, which may also stand among the options."""
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True)


def _locked(warehouse: Warehouse, text: str) -> str:
    holder = _LOCK_HOLDER.search(text)
    who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another reader in this process"
    return (
        f"the warehouse {warehouse.path} has been in use by {who} for {warehouse.lock_timeout_seconds} seconds; "
        "wait for it to finish, or close it, and try again; whoever only reads should read the copy that "
        "`csp-billing warehouse snapshot` publishes"
    )


def _unreachable(warehouse: Warehouse, text: str) -> str:
    """One line; the driver's own text is kept to its first line, without the password."""
    reason = text.strip().splitlines()[0] if text.strip() else "no reason given"
    password = warehouse.engine.url.password or warehouse.engine.url.query.get("password")
    if password:
        reason = reason.replace(str(password), "***")
    if is_no_room(reason):
        mend = ROOM
    else:
        mend = "see that it runs" if warehouse.url_masked in _reached else f"check {SETTING}"
    return f"the warehouse {warehouse.url_masked} cannot be opened: {reason}; {mend}"
