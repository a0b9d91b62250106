"""Refusing bodies as HaloPSA does: the whole array, with messages by path (ASP.NET's model state)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.halopsa.properties import CONSUMPTION, Entity, Property, Type

Errors = dict[str, list[str]]


def read_rows(entity: Entity, body: Any) -> tuple[list[dict[str, Any]], Errors]:
    """The records of a request body, property names in lower case, and what is wrong with them."""
    if not isinstance(body, list):
        return [], {"": ["Cannot deserialize the current JSON value because the type requires a JSON array."]}
    rows, errors = [], Errors()
    for number, record in enumerate(body):
        if not isinstance(record, Mapping):
            errors[f"[{number}]"] = ["Error converting value to an object."]
            continue
        row = {str(name).lower(): value for name, value in record.items()}
        rows.append(row)
        for name, value in row.items():
            message = _wrong(entity, name, value)
            if message:
                errors[f"[{number}].{name}"] = [message]
    return rows, errors


def truncated(entity: Entity, row: Mapping[str, Any]) -> str:
    """The database's own message for a text or number that is wider than its column; empty when all fit."""
    for name, prop in entity.properties.items():
        value = row.get(name)
        if prop.type is Type.TEXT and isinstance(value, str) and prop.limit is not None and len(value) > prop.limit:
            return f"String or binary data would be truncated in column '{name}'."
        if prop.type is Type.NUMBER and isinstance(value, int | Decimal) and abs(value) >= 10 ** (prop.limit or 0):
            return f"Arithmetic overflow error converting float to data type numeric, column '{name}'."
    return ""


def _wrong(entity: Entity, name: str, value: Any) -> str:
    prop = entity.properties.get(name)
    if prop is None:
        # Only the schema of consumption rows says additionalProperties: false.
        return f"Could not find member '{name}' on object." if entity is CONSUMPTION else ""
    if value is None:
        return ""
    return _wrong_type(prop, value) or _too_long(entity, prop, value)


def _wrong_type(prop: Property, value: Any) -> str:
    kinds: dict[Type, Any] = {
        Type.INTEGER: int,
        Type.NUMBER: int | Decimal,
        Type.BOOLEAN: bool,
        Type.TEXT: str,
        Type.DATE: str,
        Type.JSON: dict | list,
    }
    expected = prop.type.value
    if not isinstance(value, kinds[prop.type]) or (isinstance(value, bool) and prop.type is not Type.BOOLEAN):
        return f"Could not convert {type(value).__name__} to {expected}: {str(value)[:50]}."
    if prop.type is Type.INTEGER and not -(2**31) <= value < 2**31:
        return f"JSON integer {value} is too large or small for an Int32."
    if prop.type is Type.DATE:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"Could not convert string to DateTime: {value[:50]}."
    return ""


def _too_long(entity: Entity, prop: Property, value: Any) -> str:
    """The API states lengths for consumption rows alone; the other tables' columns are narrower than their API."""
    if entity is CONSUMPTION and prop.type is Type.TEXT and prop.limit is not None and len(value) > prop.limit:
        return f"The field {prop.name} must be a string or array type with a maximum length of '{prop.limit}'."
    return ""
