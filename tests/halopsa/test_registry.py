"""The registry and the models against HaloPSA's published pages and schema, read in place where they are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa import wire
from connectors.halopsa.models import commerce, csp, mapping
from connectors.halopsa.models.base import Model, Property, Type, properties_of
from connectors.halopsa.registry import DATTO, RESOURCES, Action

PUBLISHED = Path(os.environ.get("CSP_BILLING_SAMPLES", "../shared/samples")).parent / "halopsa"

pytestmark = pytest.mark.skipif(not PUBLISHED.exists(), reason="HaloPSA's published pages are not here")

ENDPOINTS = {(endpoint.method, endpoint.path) for resource in RESOURCES for endpoint in resource.endpoints}
#: The page of DattoCommerceDetails begins before the excerpt; the schema has what stands there.
EARLIER_PAGE = {(method, DATTO.path_of(action)) for method, action in (("GET", Action.LIST), ("POST", Action.SAVE))}
#: Properties that the pages have and the schema has not yet.
NEWER = {"AmazonSellerDetails": {"redirect_uri"}}
#: Of this one the schema names no property.
EMPTY = "WebhookSubscriptionAction"

MODELS: dict[str, type[Model]] = {
    name.replace("BillingAddress", "Billing_Address"): model
    for module in (csp, commerce, mapping)
    for name, model in vars(module).items()
    if isinstance(model, type) and issubclass(model, Model) and model is not Model
}


@pytest.fixture(scope="module")
def published() -> Any:
    return wire.decode((PUBLISHED / "schemas.json").read_bytes())


def test_every_documented_endpoint_is_registered_and_no_other() -> None:
    page = (PUBLISHED / "endpoints.txt").read_text(encoding="utf-8")
    documented = {(method, path) for method, path in re.findall(r"^(GET|POST|PUT|PATCH|DELETE) /(\S+)$", page, re.M)}
    assert len(documented) == 35
    assert documented == ENDPOINTS - EARLIER_PAGE
    assert not EARLIER_PAGE & documented
    assert len(RESOURCES) == 10


def test_the_registry_is_the_schemas(published: Any) -> None:
    in_schema = {(method, path.lstrip("/")) for path, methods in published["paths"].items() for method in methods}
    assert in_schema == ENDPOINTS


def test_every_schema_has_a_model_with_its_properties(published: Any) -> None:
    assert set(MODELS) == set(published["schemas"]) - {EMPTY}
    for name, model in MODELS.items():
        declared = properties_of(model)
        assert set(declared) == set(published["schemas"][name]) | NEWER.get(name, set()), name
        for prop_name, schema in published["schemas"][name].items():
            assert _as_schema(declared[prop_name]) == _without_names(schema), f"{name}.{prop_name}"


def _as_schema(prop: Property) -> dict[str, Any]:
    """What the published schema should say of a property."""
    kinds = {
        Type.INTEGER: {"type": "integer", "format": "int32"},
        Type.NUMBER: {"type": "number", "format": "double"},
        Type.BOOLEAN: {"type": "boolean"},
        Type.TEXT: {"type": "string"},
        Type.DATE: {"type": "string", "format": "date-time"},
    }
    if prop.many:
        return {"type": "array"}
    kind = dict(kinds.get(prop.type, {"type": "object"}))
    return {**kind, "maxLength": prop.limit} if prop.stated else kind


def _without_names(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"type": "object"}
    return {key: value for key, value in schema.items() if key in ("type", "format", "maxLength")}
