"""Refusing bodies as HaloPSA does: the whole array, with messages by path (ASP.NET's model state)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.halopsa.models.base import Model, Property, Type, properties_of
from connectors.halopsa.registry import Resource

Errors = dict[str, list[str]]

_KINDS: dict[Type, Any] = {
    Type.INTEGER: int,
    Type.NUMBER: int | Decimal,
    Type.BOOLEAN: bool,
    Type.TEXT: str,
    Type.DATE: str,
}
_QUOTED = 50


def read_rows(resource: Resource, body: Any) -> tuple[list[dict[str, Any]], Errors]:
    """The records of a request body, property names as published, and what is wrong with them."""
    if not isinstance(body, list):
        return [], {"": ["Cannot deserialize the current JSON value because the type requires a JSON array."]}
    rows, errors = [], Errors()
    for number, record in enumerate(body):
        path = f"[{number}]"
        if not isinstance(record, Mapping):
            errors[path] = ["Error converting value to an object."]
            continue
        row = _as_published(resource.model, record)
        rows.append(row)
        errors |= {where: [message] for where, message in _wrong_in(resource.model, row, path)}
        if resource.closed:
            unknown = row.keys() - properties_of(resource.model).keys()
            errors |= {f"{path}.{name}": [f"Could not find member '{name}' on object."] for name in unknown}
    return rows, errors


def truncated(resource: Resource, row: Mapping[str, Any]) -> str:
    """The database's own message for a text or number that is wider than its column; empty when all fit."""
    for name, prop in properties_of(resource.model).items():
        value = row.get(name)
        if prop.type is Type.TEXT and isinstance(value, str) and prop.limit is not None and len(value) > prop.limit:
            return f"String or binary data would be truncated in column '{name}'."
        if prop.type is Type.NUMBER and isinstance(value, int | Decimal) and abs(value) >= 10 ** (prop.limit or 0):
            return f"Arithmetic overflow error converting float to data type numeric, column '{name}'."
    return ""


def _as_published(model: type[Model], record: Mapping[str, Any]) -> dict[str, Any]:
    """Known names are taken in any case, as ASP.NET does; unknown ones stay as they are."""
    published = {name.lower(): name for name in properties_of(model)}
    return {published.get(name.lower(), name): value for name, value in record.items()}


def _wrong_in(model: type[Model], row: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the values of a record and of those nested in it, by path."""
    for name, prop in properties_of(model).items():
        value = row.get(name)
        if value is None:
            continue
        where = f"{path}.{name}"
        if prop.type is Type.JSON:
            yield from _wrong_in_json(prop, value, where)
            continue
        message = _wrong(prop, value)
        if message:
            yield where, message


def _wrong_in_json(prop: Property, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list if prop.many else dict):
        yield path, f"Could not convert {type(value).__name__} to {'array' if prop.many else 'object'}."
        return
    if prop.model is None:
        return
    for number, item in enumerate(value if prop.many else [value]):
        where = f"{path}[{number}]" if prop.many else path
        if isinstance(item, Mapping):
            yield from _wrong_in(prop.model, _as_published(prop.model, item), where)
        else:
            yield where, "Error converting value to an object."


def _wrong(prop: Property, value: Any) -> str:
    if not isinstance(value, _KINDS[prop.type]) or (isinstance(value, bool) and prop.type is not Type.BOOLEAN):
        # A text where a credential belongs is not quoted; anything else may be.
        quoted = "***" if prop.secret else str(value)[:_QUOTED]
        return f"Could not convert {type(value).__name__} to {prop.type.value}: {quoted}."
    if prop.type is Type.INTEGER and not -(2**31) <= value < 2**31:
        return f"JSON integer {str(value)[:_QUOTED]} is too large or small for an Int32."
    if prop.type is Type.DATE:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"Could not convert string to DateTime: {value[:_QUOTED]}."
    if prop.stated and prop.limit is not None and len(value) > prop.limit:
        return f"The field {prop.name} must be a string or array type with a maximum length of '{prop.limit}'."
    return ""
