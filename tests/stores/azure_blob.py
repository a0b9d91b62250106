"""The operations of Azure Blob Storage that reading exports and landing copies need, in memory.

As Microsoft documents them for the Blob service's REST interface: List Blobs, Get Container Properties, Get Blob and
its properties, Put Blob, Put Block, Put Block List, Delete Blob. A login is not proven, but one must be shown.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request, Response

ACCOUNT = "devstoreaccount1"


@dataclass
class Blob:
    """One blob; put in one piece it has an MD5, as the service computes it, put in blocks it has none."""

    content: bytes
    etag: str
    modified: datetime
    metadata: dict[str, str] = field(default_factory=dict)
    md5: str | None = None

    def headers(self) -> dict[str, str]:
        """What is answered with it."""
        named = {f"x-ms-meta-{name}": value for name, value in self.metadata.items()}
        md5 = {"Content-MD5": self.md5} if self.md5 else {}
        return {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True),
                "x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream", **named, **md5}  # fmt: skip


class BlobService:
    """A WSGI application with one account; `containers` holds what was put."""

    def __init__(self, *containers: str) -> None:
        self.containers: dict[str, dict[str, Blob]] = {name: {} for name in containers}
        self._blocks: dict[tuple[str, str], dict[str, bytes]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, container: str, name: str, content: bytes, metadata: dict[str, str] | None = None, *,
            has_md5: bool = True) -> Blob:  # fmt: skip
        """Put a blob, as another program would."""
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode() if has_md5 else None
        blob = Blob(content, f'"0x{next(self._numbers):016X}"', datetime.now(UTC), metadata or {}, md5)
        self.containers[container][name] = blob
        return blob

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        with self._lock:
            response = self._answer(request)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if f" {ACCOUNT}:" not in request.headers.get("Authorization", ""):
            return _error(403, "AuthenticationFailed")
        _, _, container, *rest = request.path.split("/", 3)
        name, comp = "".join(rest), request.args.get("comp")
        blobs = self.containers.get(container)
        if blobs is None:
            return _error(404, "ContainerNotFound")
        if not name:
            return self._list(container, request) if comp == "list" else Response(headers={"ETag": '"0x1"'})
        if request.method == "PUT":
            return self._put(container, name, comp, request)
        blob = blobs.get(name)
        if blob is None:
            return _error(404, "BlobNotFound")
        if request.method == "DELETE":
            del blobs[name]
            return Response(status=202)
        return _content(blob, request)

    def _list(self, container: str, request: Request) -> Response:
        prefix, delimiter = request.args.get("prefix", ""), request.args.get("delimiter")
        found, folders = [], set()
        for name, blob in sorted(self.containers[container].items()):
            if not name.startswith(prefix):
                continue
            if delimiter and delimiter in name[len(prefix) :]:
                folders.add(prefix + name[len(prefix) :].split(delimiter)[0] + delimiter)
                continue
            metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
            found.append(
                f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>"
                f"{format_datetime(blob.modified, usegmt=True)}</Last-Modified><Etag>{escape(blob.etag)}</Etag>"
                f"<Content-Length>{len(blob.content)}</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
                f"<Metadata>{metadata}</Metadata></Blob>"
            )
        found += [f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in sorted(folders)]
        body = (f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}"><Blobs>'
                f"{''.join(found)}</Blobs><NextMarker/></EnumerationResults>")  # fmt: skip
        return Response(body, content_type="application/xml")

    def _put(self, container: str, name: str, comp: str | None, request: Request) -> Response:
        metadata = {
            key[len("x-ms-meta-") :].lower(): value
            for key, value in request.headers.items() if key.lower().startswith("x-ms-meta-")
        }  # fmt: skip
        if comp == "block":
            self._blocks.setdefault((container, name), {})[request.args["blockid"]] = request.data
            return Response(status=201)
        if comp == "blocklist":
            blocks = self._blocks.pop((container, name), {})
            named = [one.text or "" for one in ElementTree.fromstring(request.data)]
            if any(one not in blocks for one in named):
                return _error(400, "InvalidBlockList")
            blob = self.put(container, name, b"".join(blocks[one] for one in named), metadata, has_md5=False)
        else:
            blob = self.put(container, name, request.data, metadata)
        return Response(status=201, headers={"ETag": blob.etag, "Last-Modified": blob.headers()["Last-Modified"]})


def _content(blob: Blob, request: Request) -> Response:
    headers = blob.headers()
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(blob.content))})
    if request.headers.get("If-Match", blob.etag) != blob.etag:
        return _error(412, "ConditionNotMet")
    asked = request.headers.get("x-ms-range") or request.headers.get("Range")
    if not asked:
        return Response(blob.content, headers=headers)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    end = min(int(last) + 1 if last else len(blob.content), len(blob.content))
    if int(first) >= max(len(blob.content), 1):
        return _error(416, "InvalidRange")
    headers.pop("Content-MD5", None)
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(blob.content)}"
    return Response(blob.content[int(first) : end], 206, headers)


def _error(status: int, code: str) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Response(body, status, {"x-ms-error-code": code}, content_type="application/xml")
