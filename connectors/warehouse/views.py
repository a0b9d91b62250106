"""The warehouse's views: their SQL from `sql/views`, put into the database with each upgrade.

The SQL is one text for both engines. What the engines cannot say alike is in `sql/functions`, one file per engine with
the same functions. A digest of each view is kept beside them, so that a warehouse with older views is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.warehouse.schema import VIEW_VERSIONS, sql_table
from transforms.errors import WarehouseError
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.views import VIEWS

#: Views that only out_focus reads.
_INNER_VIEWS = ("focus_recon", "focus_usage", "focus_services", "azure_regions")
_DECLARED = tuple(view.name for view in VIEWS)
VIEW_NAMES = tuple(
    name for view in _DECLARED for name in ((*_INNER_VIEWS, view) if view == OUT_FOCUS.name else (view,))
)


def create_views(connection: sa.Connection, grants: Iterable[str] = ()) -> None:
    """Create the functions and then the views, in the order in which they need each other, and note their digests.

    Args:
        connection: an open transaction.
        grants: what `read_grants` told before the views were dropped.
    """
    views = [f"create view {name} as\n{view_sql(name)}" for name in VIEW_NAMES]
    for statement in (*functions(connection.dialect.name), *views):
        # A percent sign in them is no place for a parameter.
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    table = sql_table(VIEW_VERSIONS)
    connection.execute(table.delete())
    rows = [{"name": name, "sql_sha256": digest} for name, digest in view_digests().items()]
    connection.execute(table.insert(), rows)
    for statement in grants:
        connection.exec_driver_sql(statement.replace("%", "%%"))


def read_grants(connection: sa.Connection) -> list[str]:
    """Statements that give again what others than their owner may do with the views; none on DuckDB."""
    if connection.dialect.name != "postgresql":
        return []
    return list(connection.execute(_GRANTS, {"views": list(VIEW_NAMES)}).scalars())


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
    return [name for name, digest in view_digests().items() if found.get(name) != digest]


def view_sql(name: str) -> str:
    """The query of a view, as its file has it."""
    return resources.files("sql").joinpath("views", f"{name}.sql").read_text(encoding="utf-8")


def focus_of_run(run_id: str) -> sa.Select[*tuple[object, ...]]:
    """The rows of out_focus for one run, also an older one: the view's query with it in their place."""
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in OUT_FOCUS.names]
    of_run = sa.text("select period, run_id from runs where run_id = :run_id").bindparams(run_id=run_id)
    # Within the statement this name stands for the run, and not for the view that out_focus reads.
    chosen = of_run.columns(sa.column("period"), sa.column("run_id")).cte("latest_runs")
    view = sa.text(view_sql(OUT_FOCUS.name)).columns(*columns).subquery("focus")
    return sa.select(*(view.c[name] for name in OUT_FOCUS.names)).add_cte(chosen)


_GRANTS = sa.text("""
    select format(
        'grant %s on %I to %s%s',
        privilege_type,
        relname,
        case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        case when is_grantable then ' with grant option' else '' end
    )
    from pg_class cross join lateral aclexplode(relacl)
    where relkind = 'v' and relname = any(:views) and pg_table_is_visible(pg_class.oid) and grantee <> relowner
""")


def functions(dialect: str) -> list[str]:
    """The statements that make the functions views use on an engine: those of its file, parted by an empty line."""
    return _functions_text(dialect).split("\n\n")


def view_digests() -> dict[str, str]:
    """SHA-256 of each view's SQL file with those of the functions, which it may call, by the view's name."""
    called = "".join(_functions_text(dialect) for dialect in ("duckdb", "postgresql"))
    return {name: hashlib.sha256((view_sql(name) + called).encode()).hexdigest() for name in VIEW_NAMES}


def _functions_text(dialect: str) -> str:
    return resources.files("sql").joinpath("functions", f"{dialect}.sql").read_text(encoding="utf-8")
