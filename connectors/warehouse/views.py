"""The warehouse's views: their SQL from `sql/views`, put into the database with each upgrade.

The SQL is one text for both engines. What the engines cannot say alike is in `sql/functions`, one file per engine with
the same functions. A digest of each view is kept beside them, so that a warehouse with older views is noticed.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.warehouse.schema import VIEW_VERSIONS, sql_table
from transforms.errors import WarehouseError
from transforms.tables.views import VIEWS

VIEW_NAMES = tuple(view.name for view in VIEWS)


def create_views(connection: sa.Connection) -> None:
    """Create the functions and then the views, in the order in which they need each other, and note their digests."""
    for statement in _functions(connection.dialect.name):
        connection.exec_driver_sql(statement)
    for name in VIEW_NAMES:
        connection.exec_driver_sql(f"create view {name} as\n{view_sql(name)}")
    table = sql_table(VIEW_VERSIONS)
    connection.execute(table.delete())
    connection.execute(table.insert(), [{"name": name, "sql_sha256": _digest(name)} for name in VIEW_NAMES])


def drop_views(connection: sa.Connection) -> None:
    """Drop the views, where there are any.

    Raises:
        WarehouseError: somebody built a view of their own upon one of them, which PostgreSQL protects.
    """
    for name in reversed(VIEW_NAMES):
        try:
            connection.exec_driver_sql(f"drop view if exists {name}")
        except DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            raise WarehouseError(
                f"the view {name} cannot be replaced: {reason}; drop what depends on it, upgrade, and create it again"
            ) from None


def stale_views(connection: sa.Connection) -> list[str]:
    """Names of the views that the database has not, or has in another version."""
    table = sql_table(VIEW_VERSIONS)
    found = dict(connection.execute(sa.select(table.c.name, table.c.sql_sha256)).all())
    return [name for name in VIEW_NAMES if found.get(name) != _digest(name)]


def view_sql(name: str) -> str:
    """The query of a view, as its file has it."""
    return resources.files("sql").joinpath("views", f"{name}.sql").read_text(encoding="utf-8")


def _functions(dialect: str) -> list[str]:
    """The statements of the engine's functions file; an empty line parts them."""
    text = resources.files("sql").joinpath("functions", f"{dialect}.sql").read_text(encoding="utf-8")
    return text.split("\n\n")


def _digest(name: str) -> str:
    return hashlib.sha256(view_sql(name).encode()).hexdigest()
