"""A place in a store, by its URL: list what is there, fetch, put and remove it.

Credentials are those of the store's own environment and configuration; none are taken or kept here. What is put is
there whole or not at all: stores of objects show an object when it is complete, elsewhere it gets its name then.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from connectors.stores.failures import changed, is_absent, told
from transforms.addresses import TEMPORARY, masked, scheme_of
from transforms.errors import RemoteError

#: What is sent at a time; S3 takes 10,000 such parts of an object.
_BLOCK_BYTES = 16 << 20
#: Stores in which an object is there when it is whole; elsewhere it gets its name then.
WHOLE_OR_ABSENT = ("s3", "abfs", "gs", "gcs")
_MODIFIED = ("LastModified", "last_modified", "mtime", "modified", "updated", "Last-Modified", "created")
#: The ETag first: a listing has no version where a look at the object has one.
_TAGS = ("ETag", "etag", "VersionId", "version_id", "generation", "md5Hash", "Content-MD5")
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells it.

    Attributes:
        name: as the store's file system calls it.
        place: below the address that was listed; the last part of the address itself for a single object.
        address: masked, for messages.
        byte_count: None where the store does not tell.
        modified_at: UTC; None where the store does not tell.
        tag: what changes with its content (ETag, version, generation); empty where the store has none.
    """

    name: str
    place: str
    address: str
    byte_count: int | None
    modified_at: datetime | None
    tag: str

    def is_same(self, other: StoredObject) -> bool:
        """Whether two looks at an object saw the same content."""
        if self.byte_count != other.byte_count:
            return False
        if self.tag and other.tag:
            return self.tag == other.tag
        return self.modified_at == other.modified_at


@dataclass(frozen=True)
class Store:
    """An address in a store.

    Attributes:
        url: with whatever secret it has: for the store alone, never for a message.
    """

    url: str
    _files: Any
    _root: str

    @property
    def shown(self) -> str:
        """The address for messages."""
        return masked(self.url).rstrip("/")

    def address_of(self, place: str) -> str:
        """The masked address of what lies below this one."""
        return f"{self.shown}/{place}"

    def find(self, with_temporary: bool = False) -> list[StoredObject]:
        """Every object below the address, or the one at it, by place; hidden ones and folders left out.

        Args:
            with_temporary: with copies in the making, which are hidden.

        Raises:
            InputError, SettingsError, RemoteError: as `connectors.stores.failures.told`, also where nothing is there.
        """
        with told(self.url):
            self._files.invalidate_cache()
            # An address of the web that ends with a slash is a page whose links are followed.
            is_page = scheme_of(self.url) in ("http", "https") and self.url.endswith("/")
            info = None if is_page else self._files.info(self._root)
            if info is not None and info["type"] == "file":
                return [_object(info, _last(info["name"]), self.shown)]
            found = self._files.find(self._root, detail=True)
            infos = [one if one.get("size") is not None else self._files.info(name) for name, one in found.items()]
        objects = [
            self._below(info)
            for info in infos
            if info["type"] == "file" and not info["name"].endswith("/")
        ]
        visible = (one for one in objects if _is_visible(one.place, with_temporary))
        return sorted(visible, key=lambda one: one.place.split("/"))

    def reach(self) -> None:
        """Ask the store whether it can be listed there; that there is nothing yet is no failure, no bucket is one."""
        with told(self.url):
            self._files.invalidate_cache()
            try:
                self._files.ls(self._root, detail=False)
            except FileNotFoundError as error:
                if not is_absent(self.url, error):
                    raise
                if scheme_of(self.url) in WHOLE_OR_ABSENT:
                    self._files.info(self._root.partition("/")[0])

    def look(self, name: str) -> StoredObject | None:
        """An object as it is now, by its name; None where there is none."""
        with told(self.url):
            self._files.invalidate_cache()
            try:
                info = self._files.info(name)
            except FileNotFoundError as error:
                if not is_absent(self.url, error):
                    raise
                return None
        return self._below(info) if info["type"] == "file" else None

    def fetch(self, wanted: StoredObject, path: Path) -> None:
        """Copy an object to a file of this machine, and check that it is the one that was listed, and whole.

        Raises:
            InputError: it changed meanwhile.
            RemoteError: it did not come whole.
        """
        with told(wanted.address):
            self._files.get_file(wanted.name, str(path))
        now = self.look(wanted.name)
        if now is None or not now.is_same(wanted):
            raise changed(wanted.address)
        came = path.stat().st_size
        if wanted.byte_count is not None and came != wanted.byte_count:
            raise RemoteError(f"{wanted.address}: {came:,} of {wanted.byte_count:,} bytes came: run again")

    def byte_count(self, place: str) -> int | None:
        """The size of what lies at a place; None where nothing does."""
        found = self.look(f"{self._root}/{place}")
        return None if found is None else found.byte_count

    def put(self, path: Path, place: str, sha256: str) -> bool:
        """Copy a file of this machine to a place, whole or not at all, and look whether it arrived.

        Returns:
            False where the file is no longer the one of that SHA-256: nothing is put then.

        Raises:
            RemoteError: what arrived is something else.
        """
        name = f"{self._root}/{place}"
        is_atomic = scheme_of(self.url) in WHOLE_OR_ABSENT
        folder = name.rpartition("/")[0]
        written = name if is_atomic else f"{folder}/{TEMPORARY}{secrets.token_hex(8)}"
        with told(self.address_of(place)):
            if not is_atomic:
                self._files.makedirs(folder, exist_ok=True)
            sent = self._send(path, written, sha256)
            if sent is None:
                return False
            if not is_atomic:
                self._files.mv(written, name)
            self._files.invalidate_cache()
            info = self._files.info(name)
        byte_count, md5 = sent
        stored_md5 = self._stored_md5(name, info)
        if info["size"] != byte_count or stored_md5 not in (None, md5):
            raise RemoteError(
                f"{self.address_of(place)}: {info['size']} bytes are there, {byte_count} were sent, or with another "
                "checksum: run again"
            )
        return True

    def remove(self, place: str) -> None:
        """Remove what lies at a place, if anything does."""
        with told(self.address_of(place)):
            try:
                self._files.rm_file(f"{self._root}/{place}")
            except Exception as error:
                if not is_absent(self.url, error):
                    raise

    def _send(self, path: Path, name: str, sha256: str) -> tuple[int, str] | None:
        """Write a file block by block; its size and MD5, or None, with nothing written, where its SHA-256 is another.

        Digested while it is sent: what is shown under a digest must have it, however long the file takes.
        """
        content, checksum = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        sent = 0
        with _closed_or_dropped(self._files, name) as file, path.open("rb") as source:
            while block := source.read(_BLOCK_BYTES):
                content.update(block)
                checksum.update(block)
                sent += file.write(block)
            if content.hexdigest() != sha256:
                raise _OtherContentError
            return sent, checksum.hexdigest()
        return None

    def _stored_md5(self, name: str, info: Mapping[str, Any]) -> str | None:
        """The MD5 that the store has of an object's content, where it has one."""
        if scheme_of(self.url) == "s3":
            tag = _text(info.get("ETag")).strip('"')
            # Of parts, or of what is encrypted by a key service, it is no MD5 of the content.
            return tag if _MD5.fullmatch(tag) and not self._has_own_key(name) else None
        md5 = (info.get("content_settings") or {}).get("content_md5")
        return bytes(md5).hex() if md5 else None

    def _has_own_key(self, name: str) -> bool:
        """Whether S3 encrypts an object by a key that makes its ETag no digest of its content."""
        bucket, _, key = name.partition("/")
        head = self._files.call_s3("head_object", Bucket=bucket, Key=key)
        return str(head.get("ServerSideEncryption", "")).startswith("aws:kms") or "SSECustomerAlgorithm" in head

    def _below(self, info: Mapping[str, Any]) -> StoredObject:
        place = info["name"].removeprefix(self._root).lstrip("/")
        return _object(info, place, self.address_of(place))


def open_store(url: str) -> Store:
    """Open the store of a URL; nothing is asked of it yet.

    Raises:
        SettingsError: no such kind of store, or the extra that it needs is not installed.
    """
    import fsspec

    with told(url):
        files, root = fsspec.url_to_fs(url)
    return Store(url, files, root.rstrip("/"))


class _OtherContentError(Exception):
    """A file is not, or no longer, the one that it was taken for."""


@contextlib.contextmanager
def _closed_or_dropped(files: Any, name: str) -> Iterator[Any]:
    """A file to be written, which is complete when it is closed; nothing is left of it when something is raised inside.

    What is raised because of its content is not raised any further.
    """
    file = files.open(name, "wb", block_size=_BLOCK_BYTES)
    try:
        yield file
    except BaseException as error:
        with contextlib.suppress(Exception):
            _drop(files, file, name)
        if not isinstance(error, _OtherContentError):
            raise
    else:
        file.close()


def _drop(files: Any, file: Any, name: str) -> None:
    from fsspec.spec import AbstractBufferedFile

    if isinstance(file, AbstractBufferedFile):
        # Closed it would be completed, also when it is collected.
        file.closed = True
        file.discard()
    else:
        file.close()
        files.rm_file(name)


def _object(info: Mapping[str, Any], place: str, address: str) -> StoredObject:
    modified = next((found for key in _MODIFIED if (found := _time(info.get(key))) is not None), None)
    tag = next((value for key in _TAGS if (value := _text(info.get(key))) and value != "null"), "")
    return StoredObject(info["name"], place, address, info.get("size"), modified, tag)


def _time(value: Any) -> datetime | None:
    """A time as a store tells it: a datetime, seconds since 1970, ISO text or a header's."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = _read_time(value)
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _read_time(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    with contextlib.suppress(ValueError):
        return parsedate_to_datetime(text)
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _last(name: str) -> str:
    """The last part of a name, of a web address without its query."""
    return re.split(r"[?#]", name, maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "object"


def _is_visible(place: str, with_temporary: bool) -> bool:
    return not any(
        part.startswith(".") and not (with_temporary and part.startswith(TEMPORARY)) for part in place.split("/")
    )
