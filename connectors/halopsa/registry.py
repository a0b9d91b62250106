"""The resources of HaloPSA's API that this project works with, and every endpoint they have.

Client, sandbox, OpenAPI document and tests are made from this table. Sources: HaloPSA's API pages, and its published
schema for the two endpoints of DattoCommerceDetails that stand on a page of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from connectors.halopsa.models.base import Model
from connectors.halopsa.models.commerce import (
    AdobeCommerceDetails,
    AmazonSellerDetails,
    DattoCommerceDetails,
    EcommerceOrder,
    ShopifyDetails,
    StringStringValuesKeyValuePair,
)
from connectors.halopsa.models.csp import CSPConsumptionData, CSPInvoice, CSPSubscriptionPricing
from connectors.halopsa.models.mapping import MicrosoftSubscriptionMapping


class Action(Enum):
    """What an endpoint does."""

    LIST = "list"
    SAVE = "create or update"
    MANAGE = "create or update in bulk"
    GET = "get one"
    DELETE = "delete one"
    DELETE_OF_PARENT = "delete all of a parent"
    STATUS = "get the status"
    AUTHORISE = "hand over a form"


#: Method, and path below the resource's own.
_ROUTES = {
    Action.LIST: ("GET", ""),
    Action.SAVE: ("POST", ""),
    Action.MANAGE: ("POST", "/manage"),
    Action.GET: ("GET", "/{id}"),
    Action.DELETE: ("DELETE", "/{id}"),
    Action.DELETE_OF_PARENT: ("DELETE", "/Parent/{id}"),
    Action.STATUS: ("GET", ""),
    Action.AUTHORISE: ("POST", "/auth"),
}
_RECORDS = (Action.LIST, Action.SAVE, Action.GET, Action.DELETE)


@dataclass(frozen=True)
class Endpoint:
    """One endpoint; `path` is below `/api`, with `{id}` for a record's number."""

    action: Action
    method: str
    path: str


@dataclass(frozen=True)
class Resource:
    """One kind of record.

    Attributes:
        name: of its schema.
        path: below `/api`.
        model: its properties.
        actions: what can be done with it.
        id_property: HaloPSA's own id.
        has_details: whether GET of one takes `includedetails`, without which nested records are left out.
        closed: whether a body with an unknown property is refused (`additionalProperties: false` in the schema).
    """

    name: str
    path: str
    model: type[Model]
    actions: tuple[Action, ...] = _RECORDS
    id_property: str = "id"
    has_details: bool = False
    closed: bool = False

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its endpoints."""
        return tuple(Endpoint(action, _ROUTES[action][0], self.path_of(action)) for action in self.actions)

    def path_of(self, action: Action) -> str:
        """Where an action is done, below `/api`; with `{id}` where it takes a number."""
        return self.path + _ROUTES[action][1]


CONSUMPTION = Resource(
    "CSPConsumptionData",
    "CSPConsumptionData",
    CSPConsumptionData,
    (*_RECORDS, Action.MANAGE, Action.DELETE_OF_PARENT),
    closed=True,
)
INVOICES = Resource("CSPInvoice", "cspinvoice", CSPInvoice, id_property="haloid")
PRICES = Resource("CSPSubscriptionPricing", "CSPSubscriptionPricing", CSPSubscriptionPricing, (Action.MANAGE,))
MAPPINGS = Resource("MicrosoftSubscriptionMapping", "MicrosoftSubscriptionMapping", MicrosoftSubscriptionMapping)
ORDERS = Resource("EcommerceOrder", "EcommerceOrder", EcommerceOrder)
SHOPIFY = Resource("ShopifyDetails", "ShopifyDetails", ShopifyDetails)
AMAZON = Resource("AmazonSellerDetails", "AmazonSellerDetails", AmazonSellerDetails)
ADOBE = Resource("AdobeCommerceDetails", "AdobeCommerceDetails", AdobeCommerceDetails)
ADOBE_INTEGRATION = Resource(
    "AdobeCommerceIntegration",
    "AdobeCommerceIntegration",
    StringStringValuesKeyValuePair,
    (Action.STATUS, Action.AUTHORISE),
)
DATTO = Resource("DattoCommerceDetails", "DattoCommerceDetails", DattoCommerceDetails, has_details=True)

RESOURCES = (
    CONSUMPTION, INVOICES, PRICES, MAPPINGS, ORDERS, SHOPIFY, AMAZON, ADOBE, ADOBE_INTEGRATION, DATTO,
)  # fmt: skip
