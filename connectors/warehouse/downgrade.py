"""Bringing a warehouse back to an earlier revision, for an earlier version of the program."""

from __future__ import annotations

import sqlalchemy as sa

from connectors.warehouse.backup import refuse_while_at_work
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.migrations import Status, known_revisions, lock_out_others, revision_scripts, run_revisions
from connectors.warehouse.migrations import status_within as status_of
from connectors.warehouse.schema import VIEW_VERSIONS
from connectors.warehouse.views import drop_views
from transforms.errors import InputError, WarehouseError

BASE = "base"


def downgrade(warehouse: Warehouse, target: str, *, accept_loss: bool = False) -> Status:
    """Undo the revisions after `target`, in one transaction; the earlier version makes its own views by its upgrade.

    Args:
        warehouse: what is brought back.
        target: a revision, or `base` for none.
        accept_loss: also where what people have written is lost.

    Raises:
        InputError: no such revision, or one that the warehouse is not at yet.
        WarehouseError: something would be lost, somebody is at work, or a view of others depends on one of ours;
            nothing was done.
    """
    with warehouse.begin() as connection:
        lock_out_others(connection)
        current = status_of(connection).current
        undone = _undone(current, target)
        refuse_while_at_work(connection)
        lost = [loss for revision in undone for loss in losses(connection, revision)]
        if lost and not accept_loss:
            raise WarehouseError(
                f"going back to {target} loses {'; '.join(lost)}: make a backup with `csp-billing warehouse backup`, "
                "then repeat with --accept-loss"
            )
        if undone:
            drop_views(connection)
            run_revisions(connection, target)
            if sa.inspect(connection).has_table(VIEW_VERSIONS.name):
                connection.exec_driver_sql(f"delete from {VIEW_VERSIONS.name}")  # noqa: S608
        return status_of(connection)


def losses(connection: sa.Connection, revision: str) -> list[str]:
    """What undoing a revision would lose of what is in the warehouse, in words; its script declares it as `LOSES`."""
    told = []
    for what, count in getattr(revision_scripts()[revision], "LOSES", {}).items():
        found = connection.exec_driver_sql(count).scalar()
        if found:
            told.append(f"{what} ({found})")
    return told


def _undone(current: str | None, target: str) -> list[str]:
    """The revisions to undo, the latest first."""
    known = known_revisions()
    if current is None or current not in known:
        raise InputError("the warehouse is empty, or of a newer csp-billing: only that can bring it back")
    if target != BASE and target not in known:
        raise InputError(f"there is no revision {target}; there are {', '.join(known)}, and {BASE} for none")
    done = known[: known.index(current) + 1]
    if target != BASE and target not in done:
        raise InputError(f"the warehouse is at {current}, before {target}: use `csp-billing warehouse upgrade`")
    return list(done[done.index(target) + 1 if target != BASE else 0 :])[::-1]
