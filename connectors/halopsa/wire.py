"""JSON in which a number keeps its digits: no binary float stands between HaloPSA and a Decimal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any


def encode(value: Any) -> str:
    """Return `value` as JSON text; a Decimal is written with its own digits, never in exponents.

    Raises:
        TypeError: a type that JSON has not, and binary floats, which are not welcome here.
        ValueError: a Decimal that is not finite.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON number")
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{encode_basestring(key)}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def decode(text: str | bytes) -> Any:
    """Parse JSON with every fraction as a Decimal; raises ValueError for bad JSON, NaN and infinities."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
