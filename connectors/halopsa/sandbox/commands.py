"""What commands and credentials in a shop's set-up or an order do to the record they come with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.halopsa.registry import AMAZON, ORDERS, SHOPIFY, Resource

_CODE = {SHOPIFY.name: "code", AMAZON.name: "_code"}


def obey(resource: Resource, row: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The record after the commands in what was sent; of `sent` itself nothing secret is kept.

    A shop is authorized by a token, or by a code that is to be exchanged for one, until it is disconnected. An order
    that is unlinked has no ticket any more.
    """
    if resource in (SHOPIFY, AMAZON):
        exchanged = sent.get("_exchangecode") and sent.get(_CODE[resource.name])
        if sent.get("_disconnect"):
            return {**row, "authorized": False}
        if sent.get("new_access_token") or exchanged:
            return {**row, "authorized": True}
    if resource is ORDERS and sent.get("_unlink_from_ticket"):
        return {name: value for name, value in row.items() if name not in ("ticket_id", "linked_tickets")}
    return row
