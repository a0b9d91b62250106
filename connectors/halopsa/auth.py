"""Logging in: where the token comes from, and keeping a valid one without fetching it for every request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from connectors.halopsa.connection import is_loopback
from connectors.halopsa.errors import HaloError

#: A token is renewed this many seconds, or a tenth of its life if that is less, before it ends.
_EARLY_SECONDS = 300
_DEFAULT_LIFE_SECONDS = 3600


@dataclass(frozen=True)
class Credentials:
    """A client-credentials login. The secret is kept out of `repr`."""

    client_id: str
    client_secret: str = field(repr=False)
    tenant: str | None = None


@dataclass
class Token:
    """An access token and when to stop using it, on the monotonic clock."""

    value: str = field(repr=False)
    stale_at: float


def token_url(base_url: str, info: Any, tenant: str | None) -> tuple[str, str | None]:
    """Where to ask for a token, and for which tenant, from the answer of `/api/authinfo` (None: it gave none).

    The auth server may be another host or have no `/auth` in its path, so its address is taken as told: whoever can
    answer for the base, which HTTPS has verified, has the tenant's data already and needs no secret for it. It must be
    HTTPS, or where the base is this machine itself, this machine. The secret goes into the form of that one request,
    and no token is ever sent there.

    Raises:
        HaloError: the address told is not usable.
    """
    told = {str(key).lower(): value for key, value in info.items()} if isinstance(info, Mapping) else {}
    address = str(told.get("auth_url") or f"{base_url}/auth").rstrip("/")
    parts = urlsplit(address)
    is_here = is_loopback(urlsplit(base_url).hostname) and is_loopback(parts.hostname) and parts.scheme == "http"
    if not (parts.scheme == "https" or is_here) or not parts.hostname or "@" in parts.netloc:
        raise HaloError(f"HaloPSA at {base_url} names an auth server that is not HTTPS; nothing was sent to it")
    if not address.endswith("/token"):
        address += "/token"
    chosen = tenant or (str(told["tenant_id"]) if told.get("tenant_id") else None)
    if chosen:
        address += "?" + urlencode({"tenant": chosen})
    return address, chosen


def token_form(credentials: Credentials, tenant: str | None) -> dict[str, str]:
    """The form of a client-credentials login; the tenant goes both here and in the query (clients differ)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": "all",
    }
    return {**form, "tenant": tenant} if tenant else form


def read_token(answer: Any, clock: Callable[[], float] = time.monotonic) -> Token:
    """The token of a login's answer; raises HaloError where it has none."""
    value = answer.get("access_token") if isinstance(answer, Mapping) else None
    if not isinstance(value, str) or not value:
        raise HaloError("HaloPSA's auth server answered without an access_token", mend="check CSP_BILLING_HALO_URL")
    life = answer.get("expires_in")
    if isinstance(life, str) and life.isdecimal():
        life = int(life)
    if not isinstance(life, int) or life <= 0:
        life = _DEFAULT_LIFE_SECONDS
    return Token(value, clock() + life - min(_EARLY_SECONDS, life // 10))
