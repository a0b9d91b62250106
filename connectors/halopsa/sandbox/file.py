"""Keeping the sandbox's records in a file, so that a restart finds them again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from connectors.halopsa import wire
from transforms.errors import InputError

#: The file stays locked: a second sandbox on it would give the same ids to other records.
_OPEN = """
pragma locking_mode = exclusive;
begin exclusive;
create table if not exists record (resource text, id integer, body text not null, primary key (resource, id));
create table if not exists newest (resource text primary key, id integer not null);
commit;
"""


class StoreFile:
    """An SQLite file: every record, and the highest id each resource ever had (no id is given twice).

    Raises:
        InputError: the path is no such file and cannot become one, or another sandbox has it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = _opened(path)
        except sqlite3.Error as error:
            raise InputError(f"{path} cannot keep the sandbox's records ({error}): name another file") from None

    def records(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Resource, id and record of all that is kept."""
        for resource, halo_id, body in self._connection.execute("select resource, id, body from record order by id"):
            yield resource, halo_id, wire.decode(body)

    def newest(self) -> dict[str, int]:
        """The highest id ever given, by resource."""
        return dict(self._connection.execute("select resource, id from newest"))

    def keep(self, changes: Iterable[tuple[str, int, dict[str, Any] | None]], newest: dict[str, int]) -> None:
        """Write what changed, None for what was deleted, in one transaction."""
        with self._connection:
            for resource, halo_id, row in changes:
                if row is None:
                    self._connection.execute("delete from record where resource = ? and id = ?", (resource, halo_id))
                else:
                    kept = (resource, halo_id, wire.encode(row))
                    self._connection.execute("insert or replace into record values (?, ?, ?)", kept)
            self._connection.executemany("insert or replace into newest values (?, ?)", newest.items())

    def clear(self) -> None:
        """Forget everything."""
        with self._connection:
            self._connection.execute("delete from record")
            self._connection.execute("delete from newest")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    # The server's thread writes, the one that started it opens and closes.
    connection = sqlite3.connect(path, timeout=1, check_same_thread=False)
    try:
        connection.executescript(_OPEN)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
