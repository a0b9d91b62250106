"""HTTP to Microsoft: the only layer that retries.

An answer 408, 429 or 5xx, a broken connection and a damaged transfer are waited out for as long as `patience` allows,
as Retry-After asks or with doubling pauses. Every request may be repeated: a GET changes nothing, and an export that
is asked for twice is only made twice. Redirects are followed on the same server only. TLS is always verified. A token
goes to the server it was fetched for, and messages carry neither tokens nor query strings.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, ProxyError, SSLError
from urllib3.exceptions import HTTPError

from connectors.partner_center.errors import PartnerCenterError, TransferError
from connectors.patience import (
    CONNECT_ATTEMPTS,
    TEMPORARY,
    Bearer,
    ElsewhereError,
    Patience,
    address_there,
    never_connected,
    retry_after,
)

T = TypeVar("T")

_MOST_REDIRECTS = 5
_TRANSFER_ATTEMPTS = 5
_LONGEST_QUOTE = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LATER = "repeat the command later"


class Token(Protocol):
    """Where a bearer token comes from."""

    def value(self) -> str:
        """A token that is valid now."""
        ...

    def forget(self) -> None:
        """The last one was refused: the next has to be a new one."""
        ...


class Http:
    """Sends requests; safe to use from several threads.

    Args:
        patience: seconds that temporary failures of one request are waited out.
        timeout: seconds to connect, and to wait for the next bytes.
        pause: waits.

    Attributes:
        requests_sent: how many requests went out.
    """

    def __init__(
        self,
        patience: float = 600,
        timeout: tuple[float, float] = (10, 120),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.requests_sent = 0
        self._patience = patience
        self._timeout = timeout
        self.pause = pause
        self._outside, self._loopback = requests.Session(), requests.Session()
        # A proxy of the environment cannot reach this machine's own loopback; its certificates may be named there.
        self._loopback.trust_env = False
        self._loopback.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

    def send(
        self,
        method: str,
        url: str,
        what: str,
        *,
        token: Token | None = None,
        read: Callable[[requests.Response], T] | None = None,
        **arguments: Any,
    ) -> tuple[requests.Response, T | None]:
        """Send a request until it is answered by something that waiting does not mend.

        Args:
            method, url: the request.
            what: what is asked for, for messages.
            token: where the bearer token comes from; without one the request carries none.
            read: takes the body of a successful answer as a stream; called again from the start when the transfer
                breaks.
            arguments: for `requests`.

        Returns:
            The answer, of whatever status, and what `read` returned.

        Raises:
            PartnerCenterError: no answer, or only temporary failures, for as long as patience lasts; or a redirect
                to another server.
        """
        waiting = Patience(self._patience, self.pause)
        renewed, redirects = False, 0
        while True:
            answer, failure = None, None
            try:
                answer = self._once(method, url, token, stream=read is not None, **arguments)
                if answer.ok and not answer.is_redirect:
                    return answer, read(answer) if read else None
                if read is not None:
                    _ = answer.content  # what it says of the failure, before it is closed
            except (requests.RequestException, HTTPError) as error:
                # `from None` below: these exceptions carry the request, with token or signature.
                failure, limit = _no_answer(error, what, url), _attempts(error)
            except TransferError as error:
                failure, limit = error, _TRANSFER_ATTEMPTS
            finally:
                if answer is not None and read is not None:
                    answer.close()
            if failure is not None:
                if waiting.wait(limit=limit):
                    continue
                raise failure from None
            assert answer is not None
            if answer.status_code == 401 and token is not None and not renewed:
                renewed = True
                token.forget()
            elif answer.is_redirect and method == "GET" and redirects < _MOST_REDIRECTS:
                url, redirects = _redirected(url, answer, what), redirects + 1
                arguments.pop("params", None)
            elif answer.status_code in TEMPORARY and waiting.wait(retry_after(answer)):
                continue
            elif answer.status_code in TEMPORARY:
                raise failed(what, answer)
            else:
                return answer, None

    def _once(self, method: str, url: str, token: Token | None, **arguments: Any) -> requests.Response:
        self.requests_sent += 1
        session = self._loopback if urlsplit(url).hostname in _LOOPBACK else self._outside
        return session.request(
            method, url, timeout=self._timeout, allow_redirects=False,
            auth=Bearer(token.value()) if token else _no_credentials, **arguments,
        )  # fmt: skip


def failed(what: str, answer: requests.Response, mend: str = "") -> PartnerCenterError:
    """The error that an answer stands for: what was asked, the status, and what the body says of it."""
    told = _message(answer)
    mend = mend or (_LATER if answer.status_code in TEMPORARY else "")
    parts = [f"{what} answered {answer.status_code}{f' ({told})' if told else ''}", mend]
    return PartnerCenterError("; ".join(part for part in parts if part), status=answer.status_code)


def json_object(answer: requests.Response, what: str) -> Mapping[str, Any]:
    """The JSON object of an answer; raises PartnerCenterError where it is none."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, Mapping):
        raise PartnerCenterError(f"{what} was answered by something that is no JSON object")
    return document


def shown(url: str) -> str:
    """An address for messages and manifests: without its query, which may sign it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _redirected(url: str, answer: requests.Response, what: str) -> str:
    try:
        return address_there(url, answer.headers["location"])
    except ElsewhereError as error:
        raise PartnerCenterError(
            f"{what} redirects to {error}, which is not followed; check the address in the settings"
        ) from None


def _message(answer: requests.Response) -> str:
    """What the body of a failed answer says: code and message of Graph, Partner Center or the login."""
    try:
        body = answer.json()
    except (ValueError, RuntimeError, requests.RequestException):
        return str(answer.headers.get("x-ms-error-code", ""))
    inner = body.get("error") if isinstance(body, Mapping) else None
    texts: list[Any] = []
    if isinstance(inner, Mapping):
        texts = [inner.get("code"), inner.get("message")]
    elif isinstance(body, Mapping):
        texts = [inner, body.get("error_description"), body.get("code"), body.get("description")]
    text = " ".join(" ".join(str(one) for one in texts if one).split())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def _no_answer(error: Exception, what: str, url: str) -> PartnerCenterError:
    host = urlsplit(url).netloc
    if isinstance(error, SSLError):
        return PartnerCenterError(
            f"{what}: {host} has no TLS certificate that is trusted; check the address in the settings, and "
            "REQUESTS_CA_BUNDLE where a proxy opens TLS"
        )
    if isinstance(error, ProxyError):
        return PartnerCenterError(f"{what}: the proxy to {host} cannot be used; check HTTPS_PROXY and NO_PROXY")
    if isinstance(error, requests.RequestException) and _is_unreachable(error):
        return PartnerCenterError(f"{what}: {host} cannot be reached; check network and the address in the settings")
    return PartnerCenterError(f"{what}: the connection to {host} broke before the end of its answer; {_LATER}")


def _is_unreachable(error: requests.RequestException) -> bool:
    return isinstance(error, requests.ConnectTimeout | InvalidURL | InvalidSchema | MissingSchema) or never_connected(
        error
    )


def _attempts(error: Exception) -> int | None:
    """How often to try after this failure; None: as long as patience lasts."""
    if isinstance(error, SSLError | InvalidURL | InvalidSchema | MissingSchema):
        return 1
    return CONNECT_ATTEMPTS if isinstance(error, requests.RequestException) and _is_unreachable(error) else None


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stands where requests would otherwise look into a .netrc."""
    return request
