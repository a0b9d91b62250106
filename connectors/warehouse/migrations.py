"""Bringing a warehouse to the current version: Alembic's revisions in `sql/migrations`, then the views.

An upgrade is one transaction on both engines: it happens whole or not at all. Whether one is needed is asked by every
command and is told from the names of the revisions' files; Alembic is imported where revisions are run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse
from connectors.warehouse.views import create_views, drop_views, read_grants, stale_views
from transforms.errors import WarehouseError

UPGRADE = "csp-billing warehouse upgrade"
#: PostgreSQL's number for "somebody is upgrading"; any constant that only this project uses.
_UPGRADE_LOCK = 2_026_110_001
#: Where Alembic keeps the revision that a database is at.
_VERSIONS = sa.table("alembic_version", sa.column("version_num", sa.String()))


@dataclass(frozen=True)
class Status:
    """How a warehouse stands against this version of the program.

    Attributes:
        current: the revision it is at; None when it is empty.
        head: the revision this version needs.
        pending: revisions still to run, oldest first; those of a newer program are not known and not in it.
        stale_views: views that are missing or older.
    """

    current: str | None
    head: str
    pending: list[str]
    stale_views: list[str]

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to do."""
        return self.current == self.head and not self.stale_views


def upgrade(warehouse: Warehouse) -> Status:
    """Run the pending revisions and replace the views, in one transaction; return how it stands then.

    An upgraded warehouse is left alone, and who may read a view may still do so afterwards. The embedded warehouse is
    created when there is none.

    Raises:
        WarehouseError: not reachable, upgraded by a newer program, or a view that others depend on.
    """
    with warehouse.begin() as connection:
        lock_out_others(connection)
        before = status_within(connection)
        _refuse_newer(warehouse, before)
        if not before.is_current:
            grants = read_grants(connection)
            drop_views(connection)
            run_revisions(connection, "head")
            create_views(connection, grants)
        return status_within(connection)


def lock_out_others(connection: sa.Connection) -> None:
    """Wait until nobody else changes the tables; DuckDB has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))


def run_revisions(connection: sa.Connection, target: str) -> None:
    """Upgrade, or downgrade where `target` lies behind, the tables to a revision; the views must be gone."""
    from alembic import command

    # DuckDB's part registers itself, but only where Alembic was there before the engine was made.
    importlib.import_module("duckdb_sqlalchemy.alembic_impl")
    config = _config()
    config.attributes["connection"] = connection
    done, current = known_revisions(), _revision(connection)
    is_behind = target == "base" or (target in done and current in done[done.index(target) + 1 :])
    (command.downgrade if is_behind else command.upgrade)(config, target)


def revision_scripts() -> dict[str, Any]:
    """The module of each revision."""
    from alembic.script import ScriptDirectory

    return {script.revision: script.module for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def status(warehouse: Warehouse) -> Status:
    """How the warehouse stands; a DuckDB file that is not there yet counts as an empty warehouse.

    Raises:
        WarehouseError: not reachable.
    """
    if warehouse.path is not None and not warehouse.path.exists():
        return _compare(None, [])
    with warehouse.read() as connection:
        return status_within(connection)


def ensure_current(warehouse: Warehouse) -> None:
    """Make sure that the warehouse can be used by this version; one that is still empty is set up.

    Raises:
        WarehouseError: it must be upgraded first, or was upgraded by a newer program.
    """
    found = status(warehouse)
    _refuse_newer(warehouse, found)
    if found.is_current:
        return
    if found.current is None:
        upgrade(warehouse)
        return
    raise WarehouseError(f"the warehouse {warehouse.url_masked} is of an older version; run `{UPGRADE}`")


def comparison_options(dialect: str) -> dict[str, Any]:
    """How Alembic compares a database with the declared tables, to draft a revision or to find drift.

    DuckDB has one text type and no indexes of ours, which exist on PostgreSQL only.
    """

    def include(_object: Any, _name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
        return not (kind == "index" and dialect == "duckdb")

    def differs(_context: Any, _found: Any, _declared: Any, found_type: Any, declared_type: Any) -> bool | None:
        both_text = isinstance(found_type, sa.String) and isinstance(declared_type, sa.String)
        return False if both_text and dialect == "duckdb" else None

    return {"include_object": include, "compare_type": differs}


@cache
def known_revisions() -> tuple[str, ...]:
    """Every revision of this program, oldest first: the numbers with which the names of their files begin."""
    files = resources.files("sql").joinpath("migrations", "versions").iterdir()
    return tuple(sorted(file.name.partition("_")[0] for file in files if file.name[:1].isdigit()))


def status_within(connection: sa.Connection) -> Status:
    """How the warehouse of an open transaction stands."""
    current = _revision(connection)
    has_views = current is not None and sa.inspect(connection).has_table("view_versions")
    return _compare(current, stale_views(connection) if has_views else [])


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("sql").joinpath("migrations")).replace("%", "%%"))
    return config


def _revision(connection: sa.Connection) -> str | None:
    """The revision that a database is at; None when it is empty."""
    if not sa.inspect(connection).has_table(_VERSIONS.name):
        return None
    revision: str | None = connection.execute(sa.select(_VERSIONS)).scalar()
    return revision


def _compare(current: str | None, stale: list[str]) -> Status:
    known = known_revisions()
    done = known.index(current) + 1 if current in known else 0
    newer = current is not None and current not in known
    return Status(current, known[-1], [] if newer else list(known[done:]), stale)


def _refuse_newer(warehouse: Warehouse, found: Status) -> None:
    if found.current not in (None, found.head) and not found.pending:
        raise WarehouseError(
            f"the warehouse {warehouse.url_masked} was upgraded by a newer csp-billing (revision {found.current}); "
            "install that version"
        )
