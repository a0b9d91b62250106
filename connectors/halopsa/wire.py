"""JSON in which a number keeps its digits: no binary float stands between HaloPSA and a Decimal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

#: The magnitudes that a double has, which HaloPSA's numbers are; written out, more would be a text of any length.
_MAGNITUDES = range(-400, 309)


def encode(value: Any) -> str:
    """Return `value` as JSON text; a Decimal is written with its own digits, never in exponents.

    Raises:
        TypeError: a type that JSON has not, and binary floats, which are not welcome here.
        ValueError: a Decimal that is not finite.
    """
    if isinstance(value, str):
        return _text(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no JSON number")
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(key)}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def decode(text: str | bytes) -> Any:
    """Parse JSON with every fraction as a Decimal; raises ValueError for bad JSON and what no double can be."""
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _text(value: str) -> str:
    """A JSON text; half a surrogate pair, which UTF-8 has not, is written as an escape."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return encode_basestring_ascii(value)
    return encode_basestring(value)


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:50]} is no number of HaloPSA") from None
    if value and value.adjusted() not in _MAGNITUDES:
        raise ValueError(f"{text[:50]} is no number of HaloPSA")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
