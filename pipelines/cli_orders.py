"""The commands about e-commerce: orders, integrations of shops, and Microsoft's notification subscriptions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from pipelines.cli_options import AsJson, Recorded
from pipelines.output import print_records, say

orders_app = typer.Typer(help="E-commerce orders: copy them, report on them, link them to tickets.",
                         no_args_is_help=True)  # fmt: skip
integrations_app = typer.Typer(help="HaloPSA's integrations of Shopify, Amazon, Adobe Commerce and Datto Commerce.",
                               no_args_is_help=True)  # fmt: skip
subscriptions_app = typer.Typer(help="HaloPSA's subscriptions to change notifications of SharePoint and Graph.",
                                no_args_is_help=True)  # fmt: skip


class KindName(StrEnum):
    """The kinds of integrations."""

    SHOPIFY = "shopify"
    AMAZON = "amazon"
    ADOBE = "adobe"
    DATTO = "datto"


OrderId = Annotated[int, typer.Argument(min=1, help="HaloPSA's id of the order.")]
Integration = Annotated[KindName, typer.Argument(help="shopify, amazon, adobe or datto.")]
RecordId = Annotated[int, typer.Argument(min=1, help="HaloPSA's id.")]
Body = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON object; - for stdin. A secret may be written as env:VARIABLE.")
]


@orders_app.command("sync")
def orders_sync(prefect: Recorded = False, as_json: AsJson = False) -> None:
    """Copy HaloPSA's orders and the state of its integrations into the warehouse."""
    from pipelines.output import note, print_json, print_table
    from pipelines.recording import api_configured, run_recorded

    if prefect or api_configured():
        document, flow_run = run_recorded("orders_sync")
        note(f"recorded as Prefect flow run {flow_run}")
    else:
        from pipelines.orders import sync_orders
        from pipelines.progress import shown_progress
        from pipelines.settings import load_settings

        with shown_progress():
            document = sync_orders(load_settings()).to_dict()
    _note(document)
    if as_json:
        print_json(document)
        return
    print(f"{document['halo_url']} copied in {document['seconds']} s")
    print_table(["", *document["orders"]],
                [[what, *document[what].values()] for what in ("orders", "integrations")])  # fmt: skip


@orders_app.command("report")
def orders_report(as_json: AsJson = False) -> None:
    """Show orders without a ticket, cancelled ones still linked, orders by shop and month, failing integrations."""
    from datetime import UTC, datetime

    from pipelines.integrations import INTEGRATION_COLUMNS
    from pipelines.orders import MONTH_COLUMNS, ORDER_COLUMNS, report_orders
    from pipelines.output import print_json
    from pipelines.settings import load_settings

    document = report_orders(load_settings(), datetime.now(UTC))
    _note(document)
    if as_json:
        print_json(document)
        return
    for sync in document["synced"]:
        print(f"{sync['halo_url']} as of {sync['synced_at']:%Y-%m-%d %H:%M} UTC")
    print(f"{document['orders']} orders, and {document['deleted']} deleted in HaloPSA")
    _section("orders without a ticket", ORDER_COLUMNS, document["without_ticket"])
    _section("cancelled orders that are still linked", ORDER_COLUMNS, document["cancelled_but_linked"])
    _section("orders by shop and month", MONTH_COLUMNS, document["by_shop_and_month"])
    _section("integrations with a problem", INTEGRATION_COLUMNS, document["integrations"])


@orders_app.command("link")
def orders_link(
    order_id: OrderId,
    ticket: Annotated[int, typer.Option("--ticket", min=1, help="HaloPSA's number of the ticket.")],
    as_json: AsJson = False,
) -> None:
    """Link an order to a ticket in HaloPSA, once."""
    from pipelines.orders import link_order
    from pipelines.settings import load_settings

    _tell_link(link_order(load_settings(), order_id, ticket), as_json)


@orders_app.command("unlink")
def orders_unlink(order_id: OrderId, as_json: AsJson = False) -> None:
    """Unlink an order from its ticket in HaloPSA."""
    from pipelines.orders import unlink_order
    from pipelines.settings import load_settings

    _tell_link(unlink_order(load_settings(), order_id), as_json)


@integrations_app.command("list")
def integrations_list(
    kind: Annotated[KindName | None, typer.Argument(help="Only this kind.")] = None, as_json: AsJson = False
) -> None:
    """List the integrations and what is wrong with them."""
    from datetime import UTC, datetime

    from pipelines.integrations import INTEGRATION_COLUMNS, list_integrations
    from pipelines.settings import load_settings

    rows = list_integrations(load_settings(), datetime.now(UTC), kind.value if kind else None)
    print_records(INTEGRATION_COLUMNS, rows, as_json)


@integrations_app.command("show")
def integrations_show(kind: Integration, record_id: RecordId, as_json: AsJson = False) -> None:
    """Show one integration, its secrets masked."""
    from pipelines.integrations import INTEGRATIONS, show
    from pipelines.settings import load_settings

    _print_record(show(load_settings(), INTEGRATIONS[kind.value], record_id), as_json)


@integrations_app.command("put")
def integrations_put(kind: Integration, file: Body = "-", as_json: AsJson = False) -> None:
    """Create an integration, or change the one whose id the JSON has."""
    from pipelines.integrations import INTEGRATIONS, put, read_body
    from pipelines.settings import load_settings

    chosen = INTEGRATIONS[kind.value]
    _tell_change(chosen.what, put(load_settings(), chosen, read_body(file, chosen)), as_json)


@integrations_app.command("delete")
def integrations_delete(kind: Integration, record_id: RecordId, as_json: AsJson = False) -> None:
    """Delete an integration in HaloPSA."""
    from pipelines.integrations import INTEGRATIONS, delete
    from pipelines.settings import load_settings

    chosen = INTEGRATIONS[kind.value]
    _tell_change(chosen.what, delete(load_settings(), chosen, record_id), as_json)


@subscriptions_app.command("list")
def subscriptions_list(
    expiring: Annotated[
        int | None, typer.Option("--expiring", min=0, metavar="DAYS", help="Only those that end within so many days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the subscriptions with their state, those that end first at the top."""
    from datetime import UTC, datetime

    from pipelines.integrations import SUBSCRIPTION_COLUMNS, list_subscriptions
    from pipelines.settings import load_settings

    print_records(SUBSCRIPTION_COLUMNS, list_subscriptions(load_settings(), datetime.now(UTC), expiring), as_json)


@subscriptions_app.command("create")
def subscriptions_create(file: Body = "-", as_json: AsJson = False) -> None:
    """Create a subscription from JSON."""
    from pipelines.integrations import SUBSCRIPTIONS, put, read_body
    from pipelines.settings import load_settings
    from transforms.errors import InputError

    body = read_body(file, SUBSCRIPTIONS)
    if body.get("id"):
        raise InputError(f"the JSON has the id {body['id']}: leave it out, a new subscription gets its own")
    _tell_change(SUBSCRIPTIONS.what, put(load_settings(), SUBSCRIPTIONS, body), as_json)


@subscriptions_app.command("renew")
def subscriptions_renew(
    record_ids: Annotated[list[int] | None, typer.Argument(help="HaloPSA's ids; none for all that expire.")] = None,
    within: Annotated[int, typer.Option("--within", min=0, help="Without ids: those that end in so many days.")] = 3,
    # Microsoft allows lists and drives 42,300 minutes, a little more than 29 days.
    days: Annotated[int, typer.Option("--days", min=1, max=180, help="Days that they last from now on.")] = 29,
    as_json: AsJson = False,
) -> None:
    """Renew subscriptions before they end."""
    from datetime import UTC, datetime

    from pipelines.integrations import renew
    from pipelines.settings import load_settings

    rows = renew(load_settings(), record_ids or [], datetime.now(UTC), within, days)
    print_records(["id", "action", "subscription_expiry"], rows, as_json)


@subscriptions_app.command("delete")
def subscriptions_delete(record_id: RecordId, as_json: AsJson = False) -> None:
    """Delete a subscription in HaloPSA."""
    from pipelines.integrations import SUBSCRIPTIONS, delete
    from pipelines.settings import load_settings

    _tell_change(SUBSCRIPTIONS.what, delete(load_settings(), SUBSCRIPTIONS, record_id), as_json)


def _tell_link(document: dict[str, Any], as_json: bool) -> None:
    from pipelines.output import print_json

    _note(document)
    if as_json:
        print_json(document)
        return
    tickets = ", ".join(map(str, document["linked_tickets"]))
    state = f"linked to ticket {tickets}" if tickets else "not linked to a ticket"
    say(f"order {document['order_id']} is {state}" + ("" if document["changed"] else ", as it was before"))


def _tell_change(what: str, document: dict[str, Any], as_json: bool) -> None:
    from pipelines.output import print_json

    if as_json:
        print_json(document)
        return
    print(f"{what} {document['id']}: {document['action']}")
    _print_record(document["record"], as_json=False)


def _print_record(record: dict[str, Any], as_json: bool) -> None:
    from pipelines.output import print_json, print_table

    if as_json:
        print_json(record)
    else:
        print_table(["property", "value"], record.items())


def _section(title: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}: {len(rows) or 'none'}")
    if rows:
        print_records(columns, rows, as_json=False)


def _note(document: dict[str, Any]) -> None:
    from pipelines.output import note

    for notice in document["notices"]:
        note(notice)
