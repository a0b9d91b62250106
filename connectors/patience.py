"""Waiting for a server that fails for a while, and telling what it asked for or what became of a request."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import NewConnectionError

LONGEST_PAUSE = 60
#: Tries where nobody listens: waiting seldom mends a wrong address.
CONNECT_ATTEMPTS = 3
#: Statuses that time mends.
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})


class Patience:
    """How long temporary failures of one call are waited out: doubling pauses with jitter, up to a limit."""

    def __init__(
        self, seconds: float, pause: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._until = clock() + seconds
        self._pause = pause
        self._next: float = 1
        self._tries = 0

    def wait(self, asked: int | None = None, limit: int | None = None) -> bool:
        """Pause before another try; False when there is no patience, or no try of `limit`, left."""
        self._tries += 1
        # Jitter only lengthens a pause the server asked for: coming early would cost another 429.
        seconds = asked + random.uniform(0, 0.2) if asked is not None else self._next * random.uniform(0.5, 1)
        self._next = min(self._next * 2, LONGEST_PAUSE)
        if (limit is not None and self._tries >= limit) or self._clock() + seconds > self._until:
            return False
        self._pause(seconds)
        return True


def never_connected(error: requests.RequestException) -> bool:
    """Whether urllib3 failed to open the connection, so that nothing was sent."""
    if not isinstance(error, RequestsConnectionError) or not error.args:
        return False
    return isinstance(getattr(error.args[0], "reason", error.args[0]), NewConnectionError)


class _Headed(Protocol):
    """An answer with headers."""

    @property
    def headers(self) -> Mapping[str, str]: ...


def retry_after(response: _Headed) -> int | None:
    """Seconds that the Retry-After header asks for; None without a readable one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return int(text)
    try:
        return max(0, round(parsedate_to_datetime(text).timestamp() - time.time()))
    except ValueError:
        return None


class ElsewhereError(ValueError):
    """An address leads to another server, or is none; its text says where it leads."""


def address_there(here: str, location: str) -> str:
    """The address that a server names in an answer, if it is its own: token and secret go nowhere else.

    Args:
        here: the address that was asked.
        location: what it names, whole or relative.

    Raises:
        ElsewhereError: it has another scheme, host or port, a login, or is no address.
    """
    try:
        target = urljoin(here, location)
        one, other = urlsplit(here), urlsplit(target)
        where = f"{other.scheme}://{other.hostname}"
    except ValueError:
        raise ElsewhereError("what is no address") from None
    if (one.scheme, one.netloc.lower()) != (other.scheme, other.netloc.lower()):
        raise ElsewhereError(where)
    return target


class Bearer(requests.auth.AuthBase):
    """Sets the token as an auth object, because requests would let a .netrc overwrite a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header of a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
