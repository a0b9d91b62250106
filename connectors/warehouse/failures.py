"""What a database says that fails in the middle of work: it has no room, it was stopped, or the connection is cut.

Such a failure is nobody's mistake: the transaction is undone, and the command can be repeated. Any other error of a
database is a defect of this program and is not told in a line.
"""

from __future__ import annotations

#: SQLSTATE classes of PostgreSQL: connection, insufficient resources, operator intervention, system error.
_CLASSES = ("08", "53", "57", "58")
_NO_ROOM = ("No space left", "Disk quota", "disk full", "File too large")
#: By their names, so that no driver is loaded for it: DuckDB's own errors.
_DUCKDB = ("IOException", "OutOfMemoryException")
#: What DuckDB's other errors (a commit's, those after a fatal one) say where the cause is the file.
_DUCKDB_TEXTS = ("Could not write", "Could not read", "IO Error", *_NO_ROOM)

ROOM = "make room on its disk and repeat the command"
_AGAIN = "see that it runs and repeat the command"


def why_it_failed(error: BaseException) -> tuple[str, str] | None:
    """Why a database failed in the middle of work, and the mend; None where that is not what happened.

    Args:
        error: SQLAlchemy's, or the driver's own where it was raised below SQLAlchemy.
    """
    reason = getattr(error, "orig", None) or error
    text = " ".join(str(reason).split("\n\n")[0].split())
    mend = ROOM if is_no_room(text) else _AGAIN
    module = type(reason).__module__
    if module.startswith("psycopg"):
        state = getattr(reason, "sqlstate", None)
        cut = state is None and type(reason).__name__ == "OperationalError"
        return (text, mend) if cut or (state or "").startswith(_CLASSES) else None
    if module.startswith(("duckdb", "_duckdb")):
        own = type(reason).__name__ in _DUCKDB or any(words in text for words in _DUCKDB_TEXTS)
        return (text, mend) if own else None
    return None


def is_no_room(text: str) -> bool:
    """Whether a driver's message says that the disk is full."""
    return any(words in text for words in _NO_ROOM)
