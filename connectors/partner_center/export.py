"""Microsoft Graph's asynchronous billing export: ask, poll, read the manifest.

`POST …/export` is answered 202 with the address of an operation. That is polled until it has succeeded, and then leads
to a manifest: by an address as text, by a navigation link, or with the manifest itself in its answer (all three are
seen, reference §1a). A failed operation is answered 200; its error 5000 "No data available" means that there is
nothing to export.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from connectors.partner_center.errors import GoneError, PartnerCenterError
from connectors.partner_center.http import Http, Token, failed, json_object
from connectors.patience import ElsewhereError, address_there, retry_after

_BILLING = "/v1.0/reports/partners/billing"
_POLL_SECONDS = 10
#: So often an operation is polled as fast as Microsoft allows; from then on at most once a second.
_EAGER_POLLS = 5
_GONE = (404, 410)
_LINK = "resourceLocation"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MENDS = {
    400: "check the invoice and the currency that it names",
    401: "the application may not sign in to Graph; check its registration",
    403: "the application lacks the permission PartnerBilling.Read.All with admin consent",
}


@dataclass(frozen=True)
class Manifest:
    """What an export consists of.

    Attributes:
        etag: changes with the data.
        root: address of the folder of blobs.
        blobs: their names below it.
        created: when it was made, as told.
        signature: the query that opens the blobs; never shown, never stored.
    """

    etag: str
    root: str
    blobs: tuple[str, ...]
    created: str
    signature: str = field(repr=False)

    def address(self, blob: str) -> str:
        """The signed address of a blob."""
        return f"{self.root.rstrip('/')}/{quote(blob)}?{self.signature.lstrip('?')}"

    def file_name(self, blob: str) -> str:
        """What a blob is called where it lands: the last part of its name, if that is a plain one."""
        name = blob.rpartition("/")[2]
        if "/" not in blob and _SAFE.fullmatch(name):
            return name
        return f"part-{hashlib.sha256(blob.encode()).hexdigest()[:16]}.json.gz"


@dataclass(frozen=True)
class Started:
    """An export that was asked for."""

    what: str
    operation: str
    ready_after: int | None


class Exports:
    """Graph's billing exports.

    Args:
        http: sends the requests.
        base_url: of Microsoft Graph.
        token: for it.
        deadline: seconds in all that one operation may take.
        clock: tells them.
    """

    def __init__(
        self, http: Http, base_url: str, token: Token, deadline: float = 3600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._http = http
        self._base = base_url.rstrip("/")
        self._token = token
        self._deadline = deadline
        self._clock = clock

    def start(self, path: str, body: Mapping[str, str], what: str) -> Started:
        """Ask for an export.

        Args:
            path: such as `usage/billed`.
            body: names the invoice, or the currency and period; all attributes are asked for.
            what: the export, for messages.
        """
        answer, _ = self._http.send(
            "POST", f"{self._base}{_BILLING}/{path}/export", what, token=self._token,
            json={**body, "attributeSet": "full"},
        )  # fmt: skip
        location = answer.headers.get("Location", "")
        if answer.status_code != 202 or not location:
            raise failed(what, answer, _MENDS.get(answer.status_code, ""))
        return Started(what, self._own(location, what), retry_after(answer))

    def manifest(self, started: Started) -> Manifest | None:
        """Wait for an export, and return its manifest; None where there is nothing to export.

        Raises:
            GoneError: the operation or its manifest exists no longer.
            PartnerCenterError: it failed, or took longer than the deadline.
        """
        what, until = started.what, self._clock() + self._deadline
        wait, polls = started.ready_after, 0
        while True:
            seconds = max(_POLL_SECONDS if wait is None else wait, polls > _EAGER_POLLS)
            if self._clock() + seconds > until:
                raise PartnerCenterError(
                    f"{what} was not ready after {self._deadline:.0f} s; repeat the command later, or raise "
                    "CSP_BILLING_PARTNER_DEADLINE"
                )
            self._http.pause(seconds)
            answer = self._get(started.operation, what)
            operation, wait, polls = json_object(answer, what), retry_after(answer), polls + 1
            status = str(operation.get("status", "")).lower()
            if status == "succeeded":
                return self._read(operation, what)
            if status == "failed":
                if _is_without_data(operation.get("error")):
                    return None
                raise PartnerCenterError(f"{what} failed at Microsoft ({_error(operation)}); repeat the command later")
            if status not in ("notstarted", "running"):
                raise PartnerCenterError(f"{what} is in a state that is not known: {status[:50] or 'none'}")

    def _read(self, operation: Mapping[str, Any], what: str) -> Manifest:
        place = operation.get(_LINK) or operation.get(f"{_LINK}@odata.navigationLink")
        if isinstance(place, Mapping) and not place.get("rootDirectory"):
            place = place.get("@odata.id") or place.get("url")
        if isinstance(place, Mapping):
            return read_manifest(place, what)
        if not isinstance(place, str) or not place:
            raise PartnerCenterError(f"{what} succeeded, but its answer names no manifest")
        return read_manifest(json_object(self._get(self._own(place, what), what), what), what)

    def _get(self, url: str, what: str) -> requests.Response:
        answer, _ = self._http.send("GET", url, what, token=self._token)
        if answer.status_code in _GONE:
            raise GoneError(f"{what} exists no longer at Microsoft", status=answer.status_code)
        if answer.status_code != 200:
            raise failed(what, answer, _MENDS.get(answer.status_code, ""))
        return answer

    def _own(self, url: str, what: str) -> str:
        """An address that Graph gave, if it is on Graph: the token goes nowhere else."""
        try:
            return address_there(f"{self._base}{_BILLING}/", url)
        except ElsewhereError as error:
            raise PartnerCenterError(
                f"{what} leads to {error}, not to Microsoft Graph at {self._base}: not followed"
            ) from None


def read_manifest(document: Mapping[str, Any], what: str) -> Manifest:
    """Read a manifest.

    Raises:
        PartnerCenterError: it lacks something, counts other blobs than it names, or leads to an unencrypted address.
    """
    root, blobs = document.get("rootDirectory"), document.get("blobs")
    signature = document.get("sasToken")
    if not isinstance(root, str) or not isinstance(blobs, list) or not isinstance(signature, str):
        raise PartnerCenterError(f"{what}: the manifest lacks rootDirectory, sasToken or blobs")
    names = tuple(str(one.get("name") or "") for one in blobs if isinstance(one, Mapping))
    count = document.get("blobCount", len(blobs))
    if count != len(names) or len(set(names)) != len(names) or not all(names):
        raise PartnerCenterError(f"{what}: the manifest counts {count} blobs and names {len(set(names) - {''})}")
    if urlsplit(root).scheme != "https" or not urlsplit(root).hostname:
        raise PartnerCenterError(f"{what}: the manifest names an address that is not HTTPS; nothing was fetched")
    # Without an eTag, what blobs it names stands for it: Microsoft's names are new with each version.
    etag = str(document.get("eTag") or hashlib.sha256("\n".join((root, *sorted(names))).encode()).hexdigest())
    return Manifest(etag, root, names, str(document.get("createdDateTime") or ""), signature)


def _is_without_data(error: Any) -> bool:
    return (
        isinstance(error, Mapping)
        and str(error.get("code")) == "5000"
        and "no data" in str(error.get("message", "")).lower()
    )


def _error(operation: Mapping[str, Any]) -> str:
    error = operation.get("error")
    if not isinstance(error, Mapping):
        return "without a reason"
    return " ".join(f"{error.get('code', '')} {error.get('message', '')}".split())[:300]
