"""The mapping of tenants to HaloPSA clients: import it, look at it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.customer_file import read_customer_file
from connectors.warehouse import customers
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from pipelines.settings import Settings

CUSTOMER_COLUMNS = ["customer_id", "customer_name", "last_period", "client_id", "client_name"]


def import_customers(settings: Settings, path: Path, *, replace: bool = False) -> int:
    """Import a CSV of tenants and clients in one transaction, and return how many tenants it names.

    Args:
        settings: name the warehouse.
        path: the file; see `connectors.customer_file`.
        replace: forget the tenants that the file does not name.

    Raises:
        InputError: the file cannot be used; nothing is changed.
    """
    rows = read_customer_file(path)
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.begin() as connection:
        customers.write_customers(connection, rows, datetime.now(UTC), replace=replace)
    return len(rows)


def list_customers(settings: Settings, *, unmapped: bool = False) -> list[dict[str, Any]]:
    """Every tenant that is mapped or billed, with its client; with `unmapped` only those without one."""
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        rows = customers.list_customers(connection)
    return [row for row in rows if not unmapped or row["client_id"] is None]
