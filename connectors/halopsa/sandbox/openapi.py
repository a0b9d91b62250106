"""The sandbox's own OpenAPI document, made from the registry and the models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.halopsa.models.base import Model, Property, Type, properties_of
from connectors.halopsa.registry import Action, Endpoint, Resource

Json = dict[str, Any]

_SCALARS: dict[Type, Json] = {
    Type.INTEGER: {"type": "integer", "format": "int32"},
    Type.NUMBER: {"type": "number", "format": "double"},
    Type.BOOLEAN: {"type": "boolean"},
    Type.TEXT: {"type": "string"},
    Type.DATE: {"type": "string", "format": "date-time"},
}
_PAGING = (("pageinate", "boolean"), ("page_no", "integer"), ("page_size", "integer"), ("count", "integer"))
_TOLD = {
    "200": "Done.",
    "201": "Saved.",
    "400": "Some value is wrong; messages by path.",
    "401": "No valid token.",
    "404": "No such record.",
    "415": "Not the media type it takes.",
}


def document(resources: Iterable[Resource]) -> Json:
    """OpenAPI 3.0 of these resources' endpoints; paths are below `/api`."""
    schemas: dict[str, Json] = {}
    paths: dict[str, Json] = {}
    for resource in resources:
        _describe(resource.model, schemas, closed=resource.closed)
        for endpoint in resource.endpoints:
            operation = _operation(resource, endpoint)
            paths.setdefault(f"/{endpoint.path}", {})[endpoint.method.lower()] = operation
    flow = {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": {"all": "everything"}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "HaloPSA sandbox of csp-billing", "version": "1"},
        "servers": [{"url": "/api"}],
        "security": [{"login": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"login": {"type": "oauth2", "flows": flow}}},
    }


def _operation(resource: Resource, endpoint: Endpoint) -> Json:
    operation: Json = {"summary": f"{resource.name}: {endpoint.action.value}", "tags": [resource.name]}
    statuses = ["200", "400", "401"]
    if "{id}" in endpoint.path:
        operation["parameters"] = [_parameter("id", "path", {"type": "integer", "format": "int32"})]
        statuses.append("404")
    if endpoint.action is Action.LIST:
        operation["parameters"] = [_parameter(name, "query", {"type": kind}) for name, kind in _PAGING]
    if resource.has_details and endpoint.action is Action.GET:
        operation["parameters"].append(_parameter("includedetails", "query", {"type": "boolean"}))
    if endpoint.action in (Action.SAVE, Action.MANAGE):
        operation["requestBody"] = _body("application/json", _list_of(resource.model))
        statuses = ["201", *statuses[1:], "404", "415"]
    if endpoint.action is Action.AUTHORISE:
        form = {"type": "object", "properties": {"obj": _list_of(resource.model)}, "required": ["obj"]}
        operation["requestBody"] = _body("multipart/form-data", form)
        statuses.append("415")
    operation["responses"] = {status: {"description": _TOLD[status]} for status in statuses}
    return operation


def _parameter(name: str, place: str, schema: Json) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _body(media_type: str, schema: Json) -> Json:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _list_of(model: type[Model]) -> Json:
    return {"type": "array", "items": _reference(model)}


def _reference(model: type[Model]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _describe(model: type[Model], schemas: dict[str, Json], *, closed: bool = False) -> None:
    """Add the schema of a model and of those nested in it."""
    if model.__name__ in schemas:
        return
    described = properties_of(model)
    schemas[model.__name__] = {
        "type": "object",
        "properties": {name: _schema(prop) for name, prop in described.items()},
        "additionalProperties": not closed,
    }
    for prop in described.values():
        if prop.model is not None:
            _describe(prop.model, schemas)


def _schema(prop: Property) -> Json:
    if prop.many:
        item = _reference(prop.model) if prop.model else {"type": "object"} if not prop.secret else {"type": "string"}
        return {"type": "array", "items": item, "nullable": True}
    if prop.model is not None:
        return _reference(prop.model)
    schema = {**_SCALARS.get(prop.type, {"type": "object"}), "nullable": True}
    if prop.stated:
        schema["maxLength"] = prop.limit
    if prop.write_only:
        schema["writeOnly"] = True
    return schema
