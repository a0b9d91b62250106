"""What does not fit into HaloPSA, told before anything is sent, by the paths that HaloPSA's own refusal would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.halopsa.fingerprint import round_number
from connectors.halopsa.models.base import Model, Property, Type, properties_of

#: Every whole number of the API is an int32.
_WHOLE = range(-(2**31), 2**31)


def too_long(prop: Property, text: str) -> str:
    """What is wrong with the length of a text; empty when it fits."""
    if prop.limit is None or _length(text) <= prop.limit:
        return ""
    return f"has {_length(text)} characters, and HaloPSA takes {prop.limit}"


def too_large(prop: Property, number: Decimal) -> str:
    """What is wrong with the size of a number; empty when it fits."""
    if prop.limit is None or not number or number.adjusted() < prop.limit:
        return ""
    return f"is {number}, and HaloPSA keeps {prop.limit} digits before the point"


def problems(model: type[Model], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Messages by path, such as `[3].tags`, for everything in these bodies that HaloPSA would refuse, cut or round."""
    found: dict[str, list[str]] = {}
    for number, body in enumerate(bodies):
        for path, message in _problems(model, body, f"[{number}]"):
            found.setdefault(path, []).append(message)
    return found


def _problems(model: type[Model], body: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    declared = properties_of(model)
    for name, value in body.items():
        prop = declared.get(name)
        if prop is None:
            continue
        if prop.model is None:
            message = _wrong(prop, value)
            if message:
                yield f"{path}.{name}", message
        elif prop.many:
            for number, item in enumerate(value):
                yield from _problems(prop.model, item, f"{path}.{name}[{number}]")
        else:
            yield from _problems(prop.model, value, f"{path}.{name}")


def _wrong(prop: Property, value: Any) -> str:
    if prop.type is Type.TEXT:
        return too_long(prop, value)
    if prop.type is Type.INTEGER and value not in _WHOLE:
        return f"is {value}, and HaloPSA takes whole numbers of 32 bits"
    if prop.type is Type.NUMBER:
        return too_large(prop, value) or _too_fine(prop, value)
    return ""


def _too_fine(prop: Property, number: Decimal) -> str:
    return f"is {number}, and HaloPSA keeps {prop.decimals} decimals" if round_number(number, prop) != number else ""


def _length(text: str) -> int:
    """Characters as .NET and SQL Server count them: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
