"""HaloPSA over HTTP: log in, keep to the rate, retry what may be retried, and say of a write what became of it.

A GET is repeated for as long as `patience` allows. A POST or DELETE is sent again only when the answer proves that
nothing was applied (429, or 401 with an old token); any doubt is an `OutcomeUnknownError`, which the posting ledger
settles by listing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from connectors.halopsa import answers, auth, paging, wire
from connectors.halopsa.connection import (
    CHECK_URL,
    Answer,
    OversizedAnswerError,
    is_loopback,
    normal_base_url,
    send,
)
from connectors.halopsa.errors import HaloError, NotAppliedError, OutcomeUnknownError
from connectors.halopsa.rate import RollingWindow
from connectors.patience import (
    CONNECT_ATTEMPTS,
    LONGEST_PAUSE,
    TEMPORARY,
    Bearer,
    ElsewhereError,
    Patience,
    address_there,
    retry_after,
)
from transforms.errors import SettingsError

_MOST_REDIRECTS = 5
_JSON = "application/json"


class _Body(NamedTuple):
    """What is sent, and which texts in it no message may quote."""

    content: bytes
    content_type: str
    hide: tuple[str, ...]

    def __repr__(self) -> str:
        return f"_Body({self.content_type})"


class HaloClient:
    """A HaloPSA tenant.

    Args:
        base_url: such as `https://acme.halopsa.com`; the API is below `/api`.
        client_id, client_secret, tenant: the client-credentials login.
        rate: requests/seconds of the rolling window.
        timeout: seconds to connect and to wait for an answer.
        patience: seconds that temporary failures are waited out; more than HaloPSA's five-minute window.
        page_size: rows asked for in a list; the server may give fewer.

    Attributes:
        requests_sent: how many requests went out, logins included.
        answered_after: how long the last answer took, without any wait before its request.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        tenant: str | None = None,
        rate: str = "300/300",
        timeout: tuple[float, float] = (5, 60),
        patience: float = 600,
        page_size: int = 1000,
    ) -> None:
        self.base_url = normal_base_url(base_url)
        self.requests_sent = 0
        self.answered_after = timedelta(0)
        self._credentials = auth.Credentials(client_id, client_secret, tenant)
        self._timeout = timeout
        self._patience = patience
        self._page_size = page_size
        self._window = RollingWindow(rate, self._pause)
        self._heartbeat: Callable[[], None] | None = None
        self._token: auth.Token | None = None
        self._token_place: tuple[str, str | None] | None = None
        self._session = requests.Session()
        # A proxy of the environment cannot reach this machine's own loopback.
        self._session.trust_env = not is_loopback(urlsplit(self.base_url).hostname)

    def __repr__(self) -> str:
        return f"HaloClient({self.base_url!r})"

    @contextmanager
    def beating(self, heartbeat: Callable[[], None]) -> Iterator[None]:
        """Call `heartbeat` before every request and at least once a minute while waiting."""
        self._heartbeat = heartbeat
        try:
            yield
        finally:
            self._heartbeat = None

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET below `/api`; returns the parsed JSON. Raises HaloError when patience runs out."""
        return self._call("GET", path, params=params)

    def post(self, path: str, rows: Sequence[Mapping[str, Any]], hide: Sequence[str] = ()) -> Any:
        """POST an array of bodies below `/api`; returns the parsed answer, None for an empty one.

        Args:
            path: below `/api`.
            rows: the bodies.
            hide: credentials in them, to be blanked out of what an error quotes.

        Raises:
            RefusedError, TooLargeError, NotAppliedError: nothing was applied.
            OutcomeUnknownError: it may have been.
        """
        return self._call("POST", path, _Body(wire.encode(list(rows)).encode(), _JSON, tuple(hide)))

    def post_form(self, path: str, parts: Sequence[RequestField], hide: Sequence[str] = ()) -> Any:
        """POST a multipart form below `/api`; returns and raises like `post`."""
        content, content_type = encode_multipart_formdata(parts)
        return self._call("POST", path, _Body(content, content_type, tuple(hide)))

    def delete(self, path: str) -> Any:
        """DELETE below `/api`; raises like `post`."""
        return self._call("DELETE", path)

    def newest_first(self, path: str, id_property: str, floor: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a list, newest id first, fetched as they are consumed (see `paging.newest_first`)."""
        return paging.newest_first(lambda params: self.get(path, params), path, id_property, self._page_size, floor)

    def wait(self, seconds: float) -> None:
        """Let time pass between two requests, with the heartbeat of a long wait."""
        self._pause(seconds)

    def log_in(self) -> None:
        """Fetch a token now, so that wrong settings show before any work is done.

        Raises:
            SettingsError: HaloPSA refused the credentials.
            HaloError: there is no login for another reason.
        """
        try:
            self._bearer()
        except NotAppliedError as error:
            if error.status in answers.CREDENTIALS_REFUSED:
                raise SettingsError(str(error)) from None
            raise

    def _call(
        self, method: str, path: str, body: _Body | None = None, *, params: Mapping[str, str] | None = None
    ) -> Any:
        url = f"{self.base_url}/api/{path.lstrip('/')}"
        waiting = _Patience(self._patience, self._pause)
        renewed, redirects = False, 0
        while True:
            headers = {"Accept": _JSON, **({"Content-Type": body.content_type} if body else {})}
            bearer = Bearer(self._bearer())
            try:
                response = self._send(
                    method, url, params=params, data=body.content if body else None, headers=headers, auth=bearer
                )
            except HaloError as error:
                if waiting.allows(error, repeatable=method == "GET"):
                    continue
                raise
            if response.status == 401 and not renewed:
                renewed, self._token = True, None
                continue
            if method == "GET" and response.is_redirect and redirects < _MOST_REDIRECTS:
                url, params, redirects = self._same_host(url, response), None, redirects + 1
                continue
            temporary = response.status == 429 or (method == "GET" and response.status in TEMPORARY)
            if temporary and waiting.wait(retry_after(response)):
                continue
            return self._read(method, path, response, body.hide if body else ())

    def _read(self, method: str, path: str, response: Answer, hide: Sequence[str]) -> Any:
        """The answer's JSON, or the failure it stands for."""
        what = f"{method} {path} of HaloPSA at {self.base_url}"
        if not response.ok or response.is_redirect:
            raise answers.failure(what, response.status, response.content, [*hide, *self._secrets()])
        if not response.content.strip():
            return None
        try:
            return wire.decode(response.content)
        except ValueError:
            told = f"{what} answered something that is no JSON"
            raise OutcomeUnknownError(told, status=response.status) from None

    def _send(self, method: str, url: str, **arguments: Any) -> Answer:
        """Send one request; a failure without an answer becomes NotAppliedError or OutcomeUnknownError."""
        self._window.take()
        self._beat()
        self.requests_sent += 1
        answer = send(self._session, method, url, self._timeout, **arguments)
        self.answered_after = answer.elapsed
        return answer

    def _bearer(self) -> str:
        if self._token is None or time.monotonic() >= self._token.stale_at:
            self._token = self._fetch_token()
        return self._token.value

    def _fetch_token(self) -> auth.Token:
        if self._token_place is None:
            self._token_place = auth.token_url(self.base_url, self._auth_info(), self._credentials.tenant)
        url, tenant = self._token_place
        form = auth.token_form(self._credentials, tenant)
        waiting = _Patience(self._patience, self._pause)
        while True:
            try:
                response = self._send("POST", url, data=form, headers={"Accept": _JSON})
            except HaloError as error:
                if waiting.allows(error, repeatable=True):
                    continue
                raise NotAppliedError(error.what, mend=error.mend) from None
            # A wrong tenant is answered 500 (measured), which waiting does not mend: a few tries only.
            limited = None if response.status == 429 else CONNECT_ATTEMPTS
            if response.status in TEMPORARY and waiting.wait(retry_after(response), limited):
                continue
            if not response.ok or response.is_redirect:
                raise answers.login_failure(self.base_url, response.status, response.content, self._secrets())
            try:
                return auth.read_token(wire.decode(response.content))
            except ValueError:
                told = f"the auth server of HaloPSA at {self.base_url} answered no JSON"
                raise NotAppliedError(told, mend=CHECK_URL) from None

    def _auth_info(self) -> Any:
        """What `/api/authinfo` says; None where the tenant does not offer it. Unreachable hosts are raised."""
        waiting = _Patience(self._patience, self._pause)
        while True:
            try:
                response = self._send("GET", f"{self.base_url}/api/authinfo", headers={"Accept": _JSON})
            except HaloError as error:
                if waiting.allows(error, repeatable=True):
                    continue
                raise NotAppliedError(error.what, mend=error.mend) from None
            if response.status == 429 and waiting.wait(retry_after(response)):
                continue
            if response.is_redirect:
                self._same_host(f"{self.base_url}/api/authinfo", response)
            try:
                return wire.decode(response.content) if response.status == 200 else None
            except ValueError:
                return None

    def _same_host(self, url: str, answer: Answer) -> str:
        """Where a redirect leads, if it stays on the server."""
        try:
            return address_there(url, answer.headers["location"])
        except ElsewhereError as error:
            raise NotAppliedError(
                f"HaloPSA at {self.base_url} redirects to {error}, which is not followed",
                mend="set CSP_BILLING_HALO_URL to the address that answers",
            ) from None

    def _secrets(self) -> list[str]:
        return [self._credentials.client_secret, self._token.value if self._token else ""]

    def _beat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat()

    def _pause(self, seconds: float) -> None:
        """Sleep, with a heartbeat at least once a minute."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LONGEST_PAUSE))
            self._beat()


class _Patience(Patience):
    """How long temporary failures of one call to HaloPSA are waited out."""

    def allows(self, error: HaloError, repeatable: bool) -> bool:
        """Whether to try again after a request without an answer; a host that refuses connections gets few tries."""
        if isinstance(error, OversizedAnswerError):
            return False
        if isinstance(error, NotAppliedError):
            return self.wait(limit=CONNECT_ATTEMPTS)
        return repeatable and self.wait()
