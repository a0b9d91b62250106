"""Downloading the blobs of an export: a few at a time, each checked before it has its name.

A blob is on another server than Graph, and opened by the signature in its address alone: no token goes there. Packed
data come as they lie, also where the server calls them an encoding.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from connectors.partner_center.errors import GoneError, PartnerCenterError, TransferError
from connectors.partner_center.export import Manifest
from connectors.partner_center.http import Http, failed
from connectors.partner_center.landing import LandedFile, Version, checked, chunks_of
from transforms.errors import InputError

CONNECTIONS = 4

_CHUNK_BYTES = 1 << 20
#: Asks for the bytes as they are.
_AS_IT_LIES = {"Accept-Encoding": "identity"}
#: What a blob answers whose signature has ended, or which is no longer there.
_GONE = (403, 404, 410)


def fetch_blobs(
    http: Http, manifest: Manifest, version: Version, what: str, done: Callable[[int, int], None]
) -> list[LandedFile]:
    """Bring every blob of a manifest into a version; those that are there already are looked through, not fetched.

    Args:
        http: sends the requests.
        manifest: names the blobs.
        version: where they land.
        what: the export, for messages.
        done: told how many are there, of how many.

    Raises:
        GoneError: the signature has ended or a blob is gone; what has landed stays.
        PartnerCenterError: a blob cannot be fetched, or arrives damaged again and again.
    """
    names = {blob: manifest.file_name(blob) for blob in manifest.blobs}
    if len(set(names.values())) != len(names):
        raise PartnerCenterError(f"{what}: two blobs have the same name")
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="blob") as pool:
        waiting = [pool.submit(_fetch, http, manifest.address(blob), version, name, f"{what}, blob {name}")
                   for blob, name in names.items()]  # fmt: skip
        try:
            files = []
            for file in waiting:
                files.append(file.result())
                done(len(files), len(waiting))
            return files
        finally:
            for file in waiting:
                file.cancel()


def _fetch(http: Http, address: str, version: Version, name: str, what: str) -> LandedFile:
    if version.has(name):
        return checked(name, version.read(name), is_packed=True)
    with version.writing(name) as path:
        answer, file = http.send("GET", address, what, headers=_AS_IT_LIES, read=lambda one: _received(one, path, what))
        if file is None:
            if answer.status_code in _GONE:
                raise GoneError(f"{what} can no longer be opened", status=answer.status_code)
            raise failed(what, answer)
    return LandedFile(name, file.bytes, file.sha256, file.rows)


def _received(answer: requests.Response, path: Path, what: str) -> LandedFile:
    """Write a blob to a file and check it: size, digest where the server tells one, and the packed data's own sums."""
    save_body(answer, path, what)
    try:
        with path.open("rb") as file:
            return checked(path.name, chunks_of(file), is_packed=True)
    except InputError:
        raise TransferError(f"{what} arrived damaged; repeat the command later") from None


def save_body(answer: requests.Response, path: Path, what: str) -> None:
    """Write the body of an answer to a file, as it lies.

    Raises:
        TransferError: it has another size or digest than the answer promises.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with path.open("wb") as file:
        for chunk in _raw_chunks(answer):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    promised = answer.headers.get("Content-Length", "")
    if promised.isdecimal() and int(promised) != size:
        raise TransferError(f"{what} has {promised} bytes, of which {size} arrived; repeat the command later")
    told = answer.headers.get("Content-MD5")
    if told and told != base64.b64encode(digest.digest()).decode():
        raise TransferError(f"{what} arrived with another digest than it was sent with; repeat the command later")


def _raw_chunks(answer: requests.Response) -> Iterator[bytes]:
    """The body of an answer piece by piece, not unpacked."""
    chunks: Iterator[bytes] = answer.raw.stream(_CHUNK_BYTES, decode_content=False)
    return chunks
