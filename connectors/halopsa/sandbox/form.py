"""The form of Adobe Commerce's handshake: pairs of a name and values in multipart/form-data."""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

from connectors.halopsa import wire

_FIELD = "obj"


class FormError(Exception):
    """A form without usable pairs; `fields` has messages by path, as model state has them."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.fields = {path: [message]}


def read_pairs(content_type: str, body: bytes) -> dict[str, list[str]]:
    """The pairs of a form: its field `obj` holds them as JSON, all in one array or one in each part.

    Raises:
        FormError: there is no such field, or it holds something else.
    """
    found: dict[str, list[str]] = {}
    items = [item for text in _parts(content_type, body) for item in _items(text)]
    if not items:
        raise FormError(_FIELD, "The obj field is required.")
    for number, item in enumerate(items):
        name, values = (item.get("key"), item.get("value")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise FormError(f"{_FIELD}[{number}]", "Error converting value to a pair of a name and its values.")
        found.setdefault(name, []).extend(values)
    return found


def _parts(content_type: str, body: bytes) -> list[bytes]:
    """The contents of the form's parts named `obj`."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise FormError("", "Missing content-type boundary.")
    parts = []
    for part in message.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and part.get_param("name", header="content-disposition") == _FIELD:
            parts.append(content)
    return parts


def _items(text: bytes) -> list[Any]:
    try:
        value = wire.decode(text)
    except ValueError as error:
        raise FormError(_FIELD, f"The obj field is no JSON ({type(error).__name__}).") from None
    return value if isinstance(value, list) else [value]
