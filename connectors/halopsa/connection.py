"""One request to HaloPSA: verified, to no other host than the one it names, and with an answer of bounded size.

Certificates are always verified: by those of the `certifi` package, or by a file that REQUESTS_CA_BUNDLE names, for a
HaloPSA behind a company's own authority. No setting switches that off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ConnectTimeout, InvalidSchema, InvalidURL, MissingSchema, ProxyError, SSLError

from connectors.halopsa.errors import HaloError, NotAppliedError, OutcomeUnknownError
from connectors.patience import never_connected
from transforms.errors import SettingsError

#: An answer has at most a thousand records of some thousand bytes; an endless one must not fill the memory.
MAX_ANSWER_BYTES = 64 << 20
CHECK_URL = "check CSP_BILLING_HALO_URL"
_PIECE_BYTES = 1 << 16
_LATER = "repeat the command later"


class OversizedAnswerError(OutcomeUnknownError):
    """An answer larger than any of HaloPSA's; what it answers may have been applied."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: by name, in whatever case.
        content: the body, unpacked.
        elapsed: until the headers were there.
        is_redirect: whether it names another place.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: timedelta
    is_redirect: bool

    @property
    def ok(self) -> bool:
        """Whether the status is no error."""
        return self.status < 400


def send(session: requests.Session, method: str, url: str, timeout: tuple[float, float], **arguments: Any) -> Answer:
    """Send one request and read its answer; a redirect is an answer like others.

    Raises:
        NotAppliedError, OutcomeUnknownError: no answer came, or one that is larger than MAX_ANSWER_BYTES.
    """
    try:
        with session.request(
            method, url, timeout=timeout, allow_redirects=False, stream=True, **arguments
        ) as response:
            content = bytearray()
            for piece in response.iter_content(_PIECE_BYTES):
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise OversizedAnswerError(
                        f"HaloPSA at {urlsplit(url).netloc} answered more than {MAX_ANSWER_BYTES >> 20} MiB",
                        status=response.status_code, mend=CHECK_URL,
                    )  # fmt: skip
    except requests.RequestException as error:
        # `from None`: the exceptions of requests carry the request, and with it secret and token.
        raise _no_answer(error, url) from None
    return Answer(response.status_code, response.headers, bytes(content), response.elapsed, response.is_redirect)


def _has_good_port(netloc: str) -> bool:
    _, colon, port = netloc.rpartition(":")
    return not colon or netloc.endswith("]") or (port.isdecimal() and int(port) < 1 << 16)


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def normal_base_url(text: str) -> str:
    """The base without a trailing slash or `/api`, as the ledger keys it.

    Raises:
        SettingsError: it is no URL, holds a login, or is plain HTTP to another machine, on whose way anybody could read
            the client secret, the token and every charge.
    """
    base = text.strip().rstrip("/").removesuffix("/api").rstrip("/")
    parts = urlsplit(base)
    # A password with a slash in it would else be taken for a host and a path.
    if "@" in base:
        raise SettingsError("CSP_BILLING_HALO_URL holds a user name or password; write the bare address")
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_good_port(parts.netloc):
        raise SettingsError(f"CSP_BILLING_HALO_URL is {text!r}; write the base, such as https://acme.halopsa.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(
            f"CSP_BILLING_HALO_URL is {base}: the client secret would travel readable for everybody on the way; write "
            "https://, plain http is for this machine's own 127.0.0.1 only"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


def _no_answer(error: requests.RequestException, url: str) -> HaloError:
    halo = f"HaloPSA at {urlsplit(url).netloc}"
    if isinstance(error, SSLError):
        return NotAppliedError(f"{halo} has no valid TLS certificate", mend=CHECK_URL)
    if isinstance(error, ProxyError):
        return NotAppliedError(f"the proxy to {halo} cannot be used", mend="check HTTPS_PROXY and NO_PROXY")
    if isinstance(error, ConnectTimeout | InvalidURL | InvalidSchema | MissingSchema) or never_connected(error):
        return NotAppliedError(f"{halo} cannot be reached", mend="is it running, is CSP_BILLING_HALO_URL right?")
    if isinstance(error, requests.Timeout):
        return OutcomeUnknownError(f"{halo} did not answer in time", mend=_LATER)
    return OutcomeUnknownError(f"the connection to {halo} broke before its answer", mend=_LATER)
