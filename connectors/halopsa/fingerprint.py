"""Telling whether a record in HaloPSA is one that was sent.

There is no idempotency key, and HaloPSA stores numbers with fewer decimals, dates as it likes and empty values as
nulls. A body and a listed record are therefore compared in one canonical form. The digest has two halves of 32 hex
digits: identity and money, by which a listed record is recognised, and everything else, so that a changed name is
sent again too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from connectors.halopsa import wire
from connectors.halopsa.models.base import Property, Type
from connectors.halopsa.properties import Entity
from transforms.money import tidy

_HALF = 32
#: A date that .NET sends for none.
_NO_DATE = "0001-01-01"
#: More digits than any column of ours has.
_EXACT = Context(prec=60)


def content_hash(entity: Entity, record: Mapping[str, Any]) -> str:
    """Digest of a body as sent, or of a record as listed; 64 hex digits."""
    return _digest(entity, record, stable=True) + _digest(entity, record, stable=False)


def stable_part(digest: str) -> str:
    """The half of a `content_hash` that says what the record is and what it costs."""
    return digest[:_HALF]


def round_number(value: Decimal, prop: Property) -> Decimal:
    """`value` with the decimals that HaloPSA keeps, half up, without trailing zeros."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -prop.decimals:
        value = value.quantize(Decimal(1).scaleb(-prop.decimals), ROUND_HALF_UP, _EXACT)
    return tidy(value) if value else Decimal(0)


def _digest(entity: Entity, record: Mapping[str, Any], stable: bool) -> str:
    parts = []
    for name, prop in entity.properties.items():
        if prop.stable is not stable or not prop.content:
            continue
        text = _canonical(record.get(name), prop)
        if text:
            parts.append(f"{name}={text}")
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:_HALF]


def _canonical(value: Any, prop: Property) -> str:
    """One text per value, however HaloPSA writes it back; empty for none. Zero is none: it may store either."""
    if value is None or value is False:
        return ""
    if prop.type is Type.NUMBER and isinstance(value, int | Decimal):
        number = round_number(Decimal(value), prop)
        return format(number, "f") if number else ""
    if prop.type is Type.JSON:
        return wire.encode(_sorted(value)) if value else ""
    text = str(value).strip()
    if prop.type is Type.DATE:
        return "" if text.startswith(_NO_DATE) else text[:10]
    return text


def _sorted(value: Any) -> Any:
    """JSON with its keys in order and without nulls, which HaloPSA may add or drop."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value) if value[key] is not None}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
