"""Signing in with MSAL: as the application for Microsoft Graph, as application and user for Partner Center.

The pricing API and the invoices want a user behind the application (the secure application model): a refresh token
that somebody with the role Admin Agent or Sales Agent consented to once. Microsoft answers each use of it with a new
one; the old one ends 90 days after it was issued, so the new one must be kept, or an unattended set-up dies then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.partner_center.errors import PartnerCenterError
from connectors.partner_center.http import Http
from transforms.errors import SettingsError

if TYPE_CHECKING:
    import requests
    from msal import ConfidentialClientApplication

#: A token is renewed this many seconds before it ends.
_EARLY_SECONDS = 300
_LONGEST_QUOTE = 300
_CONSENT = "give consent anew and set CSP_BILLING_PARTNER_REFRESH_TOKEN (docs/partner-center.md)"


@dataclass(frozen=True)
class Credentials:
    """The application, its secret, and the refresh token if there is one; secrets are kept out of `repr`."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_tokens: tuple[str, ...] = field(default=(), repr=False)


class SignIn:
    """Gives tokens.

    Args:
        credentials: of the application; of several refresh tokens the first that is accepted is used.
        login_url: base of the sign-in service.
        http: sends the requests, and retries them.
        keep: called with each new refresh token, before the access token beside it is used.

    Raises:
        SettingsError: the address of the sign-in service is not HTTPS.
    """

    def __init__(
        self, credentials: Credentials, login_url: str, http: Http, keep: Callable[[str], None] = lambda token: None
    ) -> None:
        parts = urlsplit(login_url)
        if parts.scheme != "https" or not parts.hostname:
            raise SettingsError("CSP_BILLING_LOGIN_URL has to be an HTTPS address")
        self._credentials = credentials
        self._refresh_tokens = list(credentials.refresh_tokens)
        self._authority = f"{login_url.rstrip('/')}/{credentials.tenant_id}"
        self._http = _ForMsal(http)
        self._keep = keep
        self._lock = threading.RLock()
        self._made: ConfidentialClientApplication | None = None

    @property
    def has_user(self) -> bool:
        """Whether a user stands behind the application."""
        return bool(self._credentials.refresh_tokens)

    def application(self, resource: str) -> AccessToken:
        """Tokens of the application alone for a resource, such as `https://graph.microsoft.com`."""
        return AccessToken(lambda: self._acquire(resource, with_user=False), self._lock)

    def user(self, resource: str) -> AccessToken:
        """Tokens of application and user for a resource; of the application alone where there is no refresh token."""
        return AccessToken(lambda: self._acquire(resource, with_user=self.has_user), self._lock)

    def _acquire(self, resource: str, *, with_user: bool) -> tuple[str, int]:
        scopes = [f"{resource.rstrip('/')}/.default"]
        answer: Mapping[str, Any] = {}
        if with_user:
            for refresh_token in list(self._refresh_tokens):
                answer = self._application().acquire_token_by_refresh_token(refresh_token, scopes)
                if "access_token" in answer:
                    self._took(refresh_token, answer)
                    break
        else:
            # Its cache would give a token again that the server has refused.
            self._application().remove_tokens_for_client()
            answer = self._application().acquire_token_for_client(scopes)
        if "access_token" not in answer:
            raise self._refused(answer, resource, with_user)
        life = answer.get("expires_in")
        return str(answer["access_token"]), life if isinstance(life, int) else 3600

    def _took(self, used: str, answer: Mapping[str, Any]) -> None:
        newest = str(answer.get("refresh_token") or used)
        if newest != used:
            self._keep(newest)
        self._refresh_tokens = [newest, *(one for one in self._refresh_tokens if one not in (newest, used))]

    def _application(self) -> ConfidentialClientApplication:
        if self._made is None:
            from msal import ConfidentialClientApplication

            try:
                # The authority is the operator's setting, so nobody else has to vouch for it.
                self._made = ConfidentialClientApplication(
                    self._credentials.client_id, client_credential=self._credentials.client_secret,
                    authority=self._authority, http_client=self._http, instance_discovery=False,
                )  # fmt: skip
            except (ValueError, KeyError):
                raise PartnerCenterError(
                    f"the sign-in service knows no tenant {self._credentials.tenant_id}; check "
                    "CSP_BILLING_PARTNER_TENANT_ID and CSP_BILLING_LOGIN_URL"
                ) from None
        return self._made

    def _refused(self, answer: Mapping[str, Any], resource: str, with_user: bool) -> PartnerCenterError:
        code = str(answer.get("error") or "no token")
        # The first line says what is wrong; the others are trace ids and times.
        told = next(iter(str(answer.get("error_description") or "").splitlines()), "")[:_LONGEST_QUOTE]
        if code == "invalid_grant" and with_user:
            mend = f"the refresh token is no longer valid: {_CONSENT}"
        elif code in ("invalid_client", "unauthorized_client"):
            mend = "check CSP_BILLING_PARTNER_CLIENT_ID and CSP_BILLING_PARTNER_CLIENT_SECRET, which may have expired"
        else:
            mend = "check the application registration (docs/partner-center.md)"
        quoted = self._hidden(f"{code}: {told}" if told else code)
        return PartnerCenterError(f"signing in for {resource} was refused ({quoted}); {mend}")

    def _hidden(self, text: str) -> str:
        for secret in (self._credentials.client_secret, *self._refresh_tokens):
            text = text.replace(secret, "***") if secret else text
        return text


class AccessToken:
    """A token that is fetched when it is first needed, and again before it ends or when it was refused."""

    def __init__(self, acquire: Callable[[], tuple[str, int]], lock: threading.RLock) -> None:
        self._acquire = acquire
        self._lock = lock
        self._value = ""
        self._stale_at = 0.0

    def value(self) -> str:
        """A token that is valid now; raises PartnerCenterError when signing in is refused."""
        with self._lock:
            if not self._value or time.monotonic() >= self._stale_at:
                value, life = self._acquire()
                self._value, self._stale_at = value, time.monotonic() + life - min(_EARLY_SECONDS, life / 10)
            return self._value

    def forget(self) -> None:
        """The token was refused."""
        with self._lock:
            self._value = ""


class _ForMsal:
    """The http client that MSAL asks for; retries are ours, in one layer."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> requests.Response:
        """As MSAL's documentation describes it."""
        answer, _nothing = self._http.send("POST", url, "signing in", params=params, data=data, headers=headers)
        return answer

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> requests.Response:
        """As MSAL's documentation describes it."""
        answer, _nothing = self._http.send("GET", url, "signing in", params=params, headers=headers)
        return answer

    def close(self) -> None:
        """Nothing to close: sessions end with their client."""
