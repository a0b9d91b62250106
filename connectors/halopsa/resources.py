"""HaloPSA's records as typed models: every endpoint of the registry, by resource.

Nothing is sent that HaloPSA would refuse, cut or round: `problems` of `connectors.halopsa.limits` says so before. What
a failing request did is told by the class of its error (`connectors.halopsa.errors`); writes are never sent again
blindly (`connectors.halopsa.client`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from urllib3.fields import RequestField

from connectors.halopsa import registry, wire
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, RefusedError
from connectors.halopsa.limits import problems
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
from connectors.halopsa.paging import read_page
from connectors.halopsa.registry import Action, Resource

M = TypeVar("M", bound=Model)

_MOST_TOLD = 3


class _Typed(Generic[M]):
    """One resource, read and written as models.

    Args:
        client: HaloPSA.
        resource: as registered.
        model: what its records are read as, `resource.model`.
    """

    def __init__(self, client: HaloClient, resource: Resource, model: type[M]) -> None:
        self._client = client
        self._resource = resource
        self._model = model

    def _post(self, action: Action, records: Sequence[M]) -> list[M]:
        path = self._resource.path_of(action)
        bodies = [record.to_body() for record in records]
        check(self._model, bodies, path)
        answer = self._client.post(path, bodies, [secret for record in records for secret in record.secrets()])
        return [self._read(row, path) for row in self._rows(answer, path)]

    def _rows(self, answer: Any, path: str) -> Sequence[Mapping[str, Any]]:
        """The records of an answer: HaloPSA sends one bare, in an array or in an envelope (clients saw each)."""
        if isinstance(answer, Mapping) and self._resource.id_property in answer:
            return [answer]
        return read_page(answer, path).rows

    def _read(self, row: Mapping[str, Any], path: str) -> M:
        try:
            return self._model.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DisagreementError(
                f"HaloPSA answered {path} with a record whose {where} is not as published ({first['msg']})",
                mend="check its version",
            ) from None

    def _path(self, action: Action, record_id: int) -> str:
        return self._resource.path_of(action).format(id=record_id)


class Bulk(_Typed[M]):
    """Records that are written in bulk."""

    def manage(self, records: Sequence[M]) -> list[M]:
        """Create records without an id and update those with one; returns and raises like `Records.save`."""
        return self._post(Action.MANAGE, records)


class Records(_Typed[M]):
    """Records that can be listed, read, written and deleted."""

    def all(self) -> Iterator[M]:
        """Every record, newest id first, fetched as they are consumed.

        Raises:
            DisagreementError: the list cannot be read whole, or is not as published.
            HaloError: patience ran out.
        """
        path = self._resource.path_of(Action.LIST)
        for row in self._client.newest_first(path, self._resource.id_property):
            yield self._read(row, path)

    def get(self, record_id: int) -> M:
        """One record; raises NotAppliedError with status 404 where there is none."""
        return self._get(record_id, None)

    def save(self, records: Sequence[M]) -> list[M]:
        """Create records without an id and update those with one; properties left out of an update stay.

        Returns:
            What HaloPSA answers: the records in any order, or nothing at all.

        Raises:
            RefusedError: some record does not fit (nothing was sent), or HaloPSA refused it.
            NotAppliedError: nothing was applied.
            OutcomeUnknownError: it may have been: list before sending anything again.
            DisagreementError: HaloPSA took it, and its answer is not as published: list as well.
        """
        return self._post(Action.SAVE, records)

    def delete(self, record_id: int) -> None:
        """Delete one record; raises like `save`, and NotAppliedError with status 404 where there is none."""
        self._client.delete(self._path(Action.DELETE, record_id))

    def _get(self, record_id: int, params: Mapping[str, str] | None) -> M:
        path = self._path(Action.GET, record_id)
        rows = self._rows(self._client.get(path, params), path)
        if len(rows) != 1:
            raise DisagreementError(f"HaloPSA answered GET {path} with {len(rows)} records instead of one")
        return self._read(rows[0], path)


class Consumption(Records[CSPConsumptionData], Bulk[CSPConsumptionData]):
    """Invoice lines and usage."""

    def delete_of_parent(self, invoice_id: int) -> None:
        """Delete every line of an invoice (its `haloid`), billed or not; raises like `delete`."""
        self._client.delete(self._path(Action.DELETE_OF_PARENT, invoice_id))


class DattoCommerce(Records[DattoCommerceDetails]):
    """The set-up of Datto Commerce."""

    def get(self, record_id: int, *, include_details: bool = False) -> DattoCommerceDetails:
        """One record; with `include_details` also its nested records. Raises like `Records.get`."""
        return self._get(record_id, {"includedetails": "true"} if include_details else None)


class AdobeIntegration:
    """The login of HaloPSA at Adobe Commerce."""

    def __init__(self, client: HaloClient) -> None:
        self._client = client

    def status(self) -> Any:
        """What HaloPSA says about the integration; the form of its answer is not published."""
        return self._client.get(registry.ADOBE_INTEGRATION.path_of(Action.STATUS))

    def authorise(self, pairs: Sequence[StringStringValuesKeyValuePair]) -> Any:
        """Hand the fields of the OAuth handshake over, as a multipart form; returns HaloPSA's answer.

        Raises like `Records.save`. A code of OAuth works once, so an unknown outcome is settled by `status`.
        """
        path = registry.ADOBE_INTEGRATION.path_of(Action.AUTHORISE)
        bodies = [pair.to_body() for pair in pairs]
        check(StringStringValuesKeyValuePair, bodies, path)
        part = RequestField("obj", wire.encode(bodies).encode())
        part.make_multipart(content_type="application/json")
        return self._client.post_form(path, [part], [secret for pair in pairs for secret in pair.secrets()])


class HaloApi:
    """All resources of one HaloPSA, over one client."""

    def __init__(self, client: HaloClient) -> None:
        self.consumption = Consumption(client, registry.CONSUMPTION, CSPConsumptionData)
        self.invoices = Records(client, registry.INVOICES, CSPInvoice)
        self.prices = Bulk(client, registry.PRICES, CSPSubscriptionPricing)
        self.mappings = Records(client, registry.MAPPINGS, MicrosoftSubscriptionMapping)
        self.orders = Records(client, registry.ORDERS, EcommerceOrder)
        self.shopify = Records(client, registry.SHOPIFY, ShopifyDetails)
        self.amazon = Records(client, registry.AMAZON, AmazonSellerDetails)
        self.adobe = Records(client, registry.ADOBE, AdobeCommerceDetails)
        self.adobe_integration = AdobeIntegration(client)
        self.datto = DattoCommerce(client, registry.DATTO, DattoCommerceDetails)


def check(model: type[Model], bodies: Sequence[Mapping[str, Any]], path: str) -> None:
    """Raise RefusedError, with messages by path, where HaloPSA could not keep these bodies as they are."""
    found = problems(model, bodies)
    if found:
        told = "; ".join(f"{where} {'; '.join(messages)}" for where, messages in list(found.items())[:_MOST_TOLD])
        more = f", and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
        raise RefusedError(f"nothing was sent to {path}: {told}{more}", fields=found, mend="shorten or round them")
