"""Keeping the warehouse: backups, restoring them, and who is at work in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.halopsa.ledger import doubt_prices
from connectors.warehouse import backup
from connectors.warehouse import restore as restoring
from connectors.warehouse.backup import Manifest
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.lock import Holder, read_locks
from connectors.warehouse.migrations import status
from pipelines.progress import tell_progress
from pipelines.settings import Settings

LOCK_COLUMNS = Holder._fields


def back_up(settings: Settings, folder: Path) -> dict[str, Any]:
    """Write a backup of the settings' warehouse into a new folder; returns what the command prints.

    Raises:
        InputError, WarehouseError: see `connectors.warehouse.backup.back_up`.
    """
    manifest = backup.back_up(open_warehouse(settings.warehouse), folder, tell_progress)
    return {"backup": str(folder), **_told(manifest)}


def restore(settings: Settings, folder: Path, *, set_aside: bool, is_current: bool) -> dict[str, Any]:
    """Restore a backup into the settings' warehouse; returns what the command prints.

    Where it may be older than what HaloPSA holds, the ledger is told not to post prices that it does not know: HaloPSA
    has no list of them. Invoices and lines that it does not know are found by listing before any is posted.

    Args:
        settings: name the warehouse.
        folder: the backup.
        set_aside: keep a DuckDB file that is not empty under another name.
        is_current: nothing was posted after the backup was made.

    Raises:
        InputError, WarehouseError: see `connectors.warehouse.restore.restore`.
    """

    def doubt(connection: sa.Connection, manifest: Manifest) -> None:
        if not is_current:
            why = f"restored from a backup of {manifest.made_at}: prices posted since then are not known here"
            doubt_prices(connection, datetime.fromisoformat(manifest.made_at), why)

    warehouse = open_warehouse(settings.warehouse)
    manifest = restoring.restore(warehouse, folder, finish=doubt, set_aside=set_aside, progress=tell_progress)
    notice = (
        f"what was posted to HaloPSA after {manifest.made_at[:16].replace('T', ' ')} UTC is not known here: invoices "
        "and lines are found in HaloPSA before any is posted, prices are held back until `csp-billing load RUN_ID "
        "--resend-prices`"
    )
    return {
        "warehouse": warehouse.url_masked, **_told(manifest), "notices": [] if is_current else [notice],
    }  # fmt: skip


def list_locks(settings: Settings) -> list[dict[str, Any]]:
    """Who holds a lock in the warehouse (LOCK_COLUMNS); nobody where there is no warehouse yet."""
    warehouse = open_warehouse(settings.warehouse)
    if status(warehouse).current is None:
        return []
    with warehouse.read() as connection:
        return [holder._asdict() for holder in read_locks(connection)]


def _told(manifest: Manifest) -> dict[str, Any]:
    told = {"made_at": manifest.made_at, "revision": manifest.revision, "engine": manifest.engine}
    return {**told, "tables": len(manifest.tables), "rows": manifest.rows}
