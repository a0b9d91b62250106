"""The orders of e-commerce shops: copy them from HaloPSA, report on them, link them to tickets.

A sync has three steps: `list_orders` reads HaloPSA, `confirm_deleted` asks for each record that is missing from the
lists, and `store_orders` writes what is new, changed or deleted in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from connectors.halopsa import registry
from connectors.halopsa.client import HaloClient
from connectors.halopsa.connection import normal_base_url
from connectors.halopsa.errors import HaloError
from connectors.halopsa.records import Record, find_record, get_record, list_records, update_record
from connectors.warehouse import orders as copy
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import ensure_current
from pipelines.billing import Step, call
from pipelines.integrations import INTEGRATIONS
from pipelines.loading import log_in
from pipelines.progress import tell_progress
from pipelines.settings import Settings
from transforms.columns import Table
from transforms.errors import InputError, RemoteError, WarehouseError
from transforms.orders import (
    SYNC_OVERDUE,
    Key,
    Row,
    compare,
    content_table,
    integration_problems,
    integration_row,
    key_of,
    linked_tickets,
    missing,
    order_row,
)
from transforms.tables import COMMERCE_INTEGRATIONS, ECOMMERCE_ORDERS

ORDER_COLUMNS = ["order_id", "order_number", "integration_name", "shop_name", "status", "status2", "ordered_at",
                 "linked_ticket_ids"]  # fmt: skip
MONTH_COLUMNS = ["integration_name", "shop_name", "month", "orders", "cancelled", "without_ticket",
                 "cancelled_but_linked"]  # fmt: skip

#: How many missing records are asked for one by one; of more, so many of them.
_MOST_ASKED = 20
_ORDERS = registry.ORDERS.path
#: A HaloPSA may lack an integration's module, or its agent the right to see it.
_NOT_OFFERED = (403, 404)


@dataclass(frozen=True)
class Listing:
    """What HaloPSA listed, as rows of the warehouse: Arrow tables, which Prefect hands on without looking into them.

    Attributes:
        halo_url: the HaloPSA.
        started_at: when it was first asked, UTC.
        orders, integrations: what it has.
        kinds: the kinds of integrations that could be listed.
        deleted_orders, deleted_integrations: keys of what it no longer has.
        notices: sentences for the user.
    """

    halo_url: str
    started_at: datetime
    orders: pa.Table
    integrations: pa.Table
    kinds: tuple[str, ...]
    deleted_orders: tuple[Key, ...] = ()
    deleted_integrations: tuple[Key, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncSummary:
    """What a sync changed in the warehouse: counts of new, changed, deleted and unchanged rows."""

    halo_url: str
    orders: dict[str, int]
    integrations: dict[str, int]
    warehouse: str
    seconds: int | float = 0
    notices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `orders sync`."""
        return asdict(self)


def sync_orders(settings: Settings, step: Step = call) -> SyncSummary:
    """Copy HaloPSA's orders and the state of its integrations into the warehouse.

    Raises:
        SettingsError, WarehouseError: nothing was done.
        RemoteError: HaloPSA failed or did not list everything; nothing was written.
    """
    began = time.monotonic()
    ensure_current(open_warehouse(settings.warehouse))
    listing = step(list_orders, settings)
    listing = step(confirm_deleted, settings, listing)
    summary = step(store_orders, settings, listing)
    return replace(summary, seconds=round(time.monotonic() - began, 2))


def list_orders(settings: Settings) -> Listing:
    """Read all orders and integrations of HaloPSA; raises SettingsError, RemoteError."""
    client, started_at = log_in(settings), datetime.now(UTC)
    tell_progress("reading HaloPSA's orders")
    orders = [order_row(record, client.base_url) for record in list_records(client, _ORDERS)]
    integrations: list[Row] = []
    kinds, notices = [], []
    for kind, integration in INTEGRATIONS.items():
        tell_progress(f"reading HaloPSA's {kind} integrations")
        try:
            records = list_records(client, integration.resource.path)
        except HaloError as error:
            if error.status not in _NOT_OFFERED:
                raise
            notices.append(f"the {kind} integrations are left as they were: {error}")
            continue
        integrations += [integration_row(kind, record, client.base_url) for record in records]
        kinds.append(kind)
    return Listing(
        client.base_url, started_at, content_table(ECOMMERCE_ORDERS, orders),
        content_table(COMMERCE_INTEGRATIONS, integrations), tuple(kinds), notices=tuple(notices),
    )  # fmt: skip


def confirm_deleted(settings: Settings, listing: Listing) -> Listing:
    """Tell what was deleted from what only slipped through the pages of a list, by asking for it.

    Of many missing records only some are asked for; if one of those is still there, the list was not whole.

    Raises:
        RemoteError: HaloPSA failed, or its list was not whole.
    """
    with open_warehouse(settings.warehouse).read() as connection:
        orders = copy.read_copy(connection, ECOMMERCE_ORDERS, listing.halo_url)
        integrations = copy.read_copy(connection, COMMERCE_INTEGRATIONS, listing.halo_url)
    integrations = [row for row in integrations if row["kind"] in listing.kinds]
    lost_orders = missing(ECOMMERCE_ORDERS, orders, listing.orders.to_pylist())
    lost_integrations = missing(COMMERCE_INTEGRATIONS, integrations, listing.integrations.to_pylist())
    if not lost_orders and not lost_integrations:
        return listing
    client = log_in(settings)

    def ask_order(row: Row) -> Row | None:
        record = find_record(client, _ORDERS, row["order_id"])
        return None if record is None else order_row(record, client.base_url)

    def ask_integration(row: Row) -> Row | None:
        record = find_record(client, INTEGRATIONS[row["kind"]].resource.path, row["integration_id"])
        return None if record is None else integration_row(row["kind"], record, client.base_url)

    gone, back = _ask(ECOMMERCE_ORDERS, lost_orders, ask_order)
    gone_integrations, integrations_back = _ask(COMMERCE_INTEGRATIONS, lost_integrations, ask_integration)
    return replace(
        listing,
        orders=pa.concat_tables([listing.orders, content_table(ECOMMERCE_ORDERS, back)]),
        integrations=pa.concat_tables([
            listing.integrations, content_table(COMMERCE_INTEGRATIONS, integrations_back)]),
        deleted_orders=gone,
        deleted_integrations=gone_integrations,
    )


def store_orders(settings: Settings, listing: Listing) -> SyncSummary:
    """Write what is new, changed or deleted, and note the sync, in one transaction.

    Raises:
        RemoteError: a sync that began later was faster; nothing was written.
    """
    warehouse, now = open_warehouse(settings.warehouse), datetime.now(UTC)
    with warehouse.begin() as connection:
        copy.lock_copy(connection)
        latest = copy.last_syncs(connection, listing.halo_url).get(listing.halo_url)
        if latest is not None and latest >= listing.started_at:
            raise RemoteError("another sync that began later has been stored already; nothing was written")
        counts = []
        for table, found, deleted in (
            (ECOMMERCE_ORDERS, listing.orders, listing.deleted_orders),
            (COMMERCE_INTEGRATIONS, listing.integrations, listing.deleted_integrations),
        ):
            stored = copy.read_copy(connection, table, listing.halo_url)
            changes = compare(table, stored, found.to_pylist(), deleted, now)
            copy.write_copy(connection, table, changes)
            counts.append(changes.counts)
        copy.write_sync(connection, listing.halo_url, listing.started_at, now, *counts)
    return SyncSummary(listing.halo_url, counts[0], counts[1], warehouse.url_masked, notices=listing.notices)


def report_orders(settings: Settings, now: datetime) -> dict[str, Any]:
    """What the copy says: orders with a problem, orders by shop and month, and integrations with a problem.

    Args:
        settings: name the warehouse; of several HaloPSA in it, only the one that they name is reported, or all.
        now: the time, UTC, at which "a day ago" is judged.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    with warehouse.read() as connection:
        syncs = copy.last_syncs(connection, normal_base_url(settings.halo_url) if settings.halo_url else None)
        counts = copy.count_orders(connection, syncs)
        without_ticket = copy.read_problems(connection, "without_ticket", syncs)
        cancelled = copy.read_problems(connection, "cancelled_but_linked", syncs)
        months = copy.count_by_shop_and_month(connection, syncs)
        integrations = copy.read_integrations(connection, syncs)
    judged = [{**row, "problems": integration_problems(row, now)} for row in integrations]
    old = [f"the copy of {url} is from {at:%Y-%m-%d %H:%M} UTC; `csp-billing orders sync` renews it"
           for url, at in syncs.items() if now - at > SYNC_OVERDUE]  # fmt: skip
    nothing = ["nothing is copied yet: do it with `csp-billing orders sync`"] if not syncs else []
    return {
        "synced": [{"halo_url": url, "synced_at": at} for url, at in syncs.items()],
        **counts,
        "without_ticket": without_ticket,
        "cancelled_but_linked": cancelled,
        "by_shop_and_month": months,
        "integrations": [row for row in judged if row["problems"]],
        "notices": [*nothing, *old],
    }


def link_order(settings: Settings, order_id: int, ticket_id: int) -> dict[str, Any]:
    """Link an order to a ticket in HaloPSA; nothing is sent where it is linked to it already.

    Raises:
        InputError: there is no such order, or it is linked to another ticket.
        RemoteError: HaloPSA failed; repeating the command is safe, because it reads first.
    """
    client, record = _read_order(settings, order_id)
    linked = linked_tickets(record)
    if ticket_id in linked:
        return _kept(settings, client, record, changed=False)
    if linked:
        raise InputError(
            f"order {order_id} is linked to ticket {', '.join(map(str, linked))}; first do "
            f"`csp-billing orders unlink {order_id}`"
        )
    done = update_record(
        client, _ORDERS, {"id": order_id, "ticket_id": ticket_id}, "order",
        lambda order: [] if ticket_id in linked_tickets(order) else ["ticket_id"],
    )  # fmt: skip
    return _kept(settings, client, done, changed=True)


def unlink_order(settings: Settings, order_id: int) -> dict[str, Any]:
    """Unlink an order from its ticket in HaloPSA; nothing is sent where it has none.

    Raises:
        InputError: there is no such order.
        RemoteError: as `link_order`.
    """
    client, record = _read_order(settings, order_id)
    linked = linked_tickets(record)
    if not linked:
        return _kept(settings, client, record, changed=False)
    # The ticket is named, because an order may have several.
    ticket_id = record["ticket_id"] if record.get("ticket_id") in linked else linked[0]
    body = {"id": order_id, "ticket_id": ticket_id, "_unlink_from_ticket": True}
    done = update_record(
        client, _ORDERS, body, "order", lambda order: ["ticket_id"] if ticket_id in linked_tickets(order) else []
    )
    return _kept(settings, client, done, changed=True)


def _read_order(settings: Settings, order_id: int) -> tuple[HaloClient, Record]:
    """The order as it is now; the warehouse is tried first, so that a wrong setting shows before a write."""
    client = log_in(settings)
    ensure_current(open_warehouse(settings.warehouse))
    return client, get_record(client, _ORDERS, order_id, "order")


def _kept(settings: Settings, client: HaloClient, record: Record, *, changed: bool) -> dict[str, Any]:
    """Put the order as it was read back into the warehouse, and tell how it stands."""
    row, notices = order_row(record, client.base_url), []
    try:
        _store_one(open_warehouse(settings.warehouse), row)
    except WarehouseError as error:
        # The link is what was asked for, and it is done.
        notices.append(f"the warehouse does not have it yet, the next sync brings it: {error}")
    shown = {name: row[name] for name in ("order_id", "order_number", "shop_name", "ticket_id", "is_cancelled")}
    return {**shown, "linked_tickets": linked_tickets(record), "changed": changed, "notices": notices}


def _store_one(warehouse: Warehouse, row: Row) -> None:
    with warehouse.begin() as connection:
        copy.lock_copy(connection)
        stored = copy.read_copy(connection, ECOMMERCE_ORDERS, row["halo_url"], [row["order_id"]])
        copy.write_copy(connection, ECOMMERCE_ORDERS, compare(ECOMMERCE_ORDERS, stored, [row], (), datetime.now(UTC)))


def _ask(table: Table, lost: Sequence[Row], ask: Callable[[Row], Row | None]) -> tuple[tuple[Key, ...], list[Row]]:
    """Which of the lost rows are gone, by key, and which are still there, as they are now."""
    some = min(len(lost), _MOST_ASKED)
    asked = [lost[len(lost) * place // some] for place in range(some)]
    there = [found for row in asked if (found := ask(row)) is not None]
    if there and len(asked) < len(lost):
        raise RemoteError(
            f"HaloPSA did not list {len(lost)} records of {table.name} that it had, and still has some of them: its "
            "list was not whole, and nothing was written; repeat the command"
        )
    alive = {key_of(table, row) for row in there}
    return tuple(key for row in lost if (key := key_of(table, row)) not in alive), there
