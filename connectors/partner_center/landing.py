"""Where fetched exports land: any place that fsspec knows, in folders of versions that appear at once or not at all.

    <landing>/partner-center/<period>/<dataset>/<key>/v0001-1a2b3c4d/<files>, manifest.json

A file has its name only when it is whole and checked; the manifest is written last and makes the version count (see
`connectors.landed_versions`). A version that was left half done is gone on with, and a complete one is never changed:
what Microsoft publishes anew becomes the next version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs

from connectors.exports.gzip_members import gunzip
from connectors.exports.limits import CHUNK_BYTES
from connectors.landed_versions import MANIFEST, PARTNER_CENTER, version_name, version_number
from connectors.stores.failures import is_absent, told
from connectors.stores.store import WHOLE_OR_ABSENT
from transforms.addresses import is_url, scheme_of
from transforms.errors import BillingError, InputError, RemoteError, SettingsError

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LINE = re.compile(rb"[^\r\n]+")
_LINE_ENDS = (b"\r", b"\n")


@dataclass(frozen=True)
class LandedFile:
    """A file as it was checked: rows are lines of a gzip file that are not empty, None for any other."""

    name: str
    bytes: int
    sha256: str
    rows: int | None


@dataclass(frozen=True)
class Landed:
    """A complete version.

    Attributes:
        version: the name of its folder.
        identity: what tells it from other versions, such as the eTag.
        details: what else its manifest says.
    """

    version: str
    identity: str
    files: tuple[LandedFile, ...]
    details: Mapping[str, Any]


class LandingZone:
    """The landing zone of Partner Center.

    Args:
        location: a folder, or a URL that fsspec knows.

    Raises:
        SettingsError: fsspec does not know it, or the extra that it needs is not installed.
    """

    def __init__(self, location: str) -> None:
        try:
            with told(location):
                self.files, root = url_to_fs(location)
        except SettingsError as error:
            raise SettingsError(f"CSP_BILLING_LANDING: {error}") from None
        self.is_local = not is_url(location)
        self.is_atomic = scheme_of(location) in WHOLE_OR_ABSENT
        self.root = f"{root.rstrip('/')}/{PARTNER_CENTER}"

    def location_of(self, period: str) -> str:
        """The folder of a period, as `--exports` takes it."""
        path = f"{self.root}/{period}"
        return path if self.is_local else str(self.files.unstrip_protocol(path))

    def datasets(self, period: str) -> list[str]:
        """The datasets that anything of a period has landed of, be it before."""
        with storage_told(self.root):
            return sorted(self.names(f"{self.root}/{period}"))

    def names(self, path: str) -> set[str]:
        """What is in a folder just now; nothing where there is none."""
        self.files.invalidate_cache()
        try:
            return {entry.rstrip("/").rpartition("/")[2] for entry in self.files.ls(path, detail=False)}
        except FileNotFoundError:
            return set()

    def slot(self, period: str, dataset: str, key: str) -> Slot:
        """The place of all versions of one export; `key` is its invoice, currency or market."""
        for part in (period, dataset, key):
            if not _SAFE.fullmatch(part):
                raise RemoteError(f"{part[:60]!r} cannot be the name of a folder in the landing zone")
        return Slot(self, f"{self.root}/{period}/{dataset}/{key}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process fetch at a time, where the zone is a folder of this machine; ends with the process.

        Raises:
            InputError: another one is fetching, or the folder cannot be written.
        """
        if not self.is_local:
            yield
            return
        import fcntl

        with storage_told(self.root):
            Path(self.root).mkdir(parents=True, exist_ok=True)
            lock = os.open(Path(self.root, ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise InputError(f"{self.root}: another fetch is under way; wait until it has ended") from None
        finally:
            os.close(lock)


class Slot:
    """All versions of one export."""

    def __init__(self, zone: LandingZone, path: str) -> None:
        self._zone = zone
        self._files = zone.files
        self.path = path

    def current(self) -> Landed | None:
        """The version that counts; None where there is none, or where a file of it is missing or has another size."""
        with storage_told(self.path):
            complete = [name for name in self._versions() if self._is_complete(name)]
            if not complete:
                return None
            name = max(complete, key=lambda one: version_number(one) or 0)
            try:
                document = json.loads(self._files.cat_file(f"{self.path}/{name}/{MANIFEST}"))
                files = tuple(LandedFile(**one) for one in document.pop("files"))
                landed = Landed(name, str(document["identity"]), files, document)
            except (ValueError, KeyError, TypeError, AttributeError):
                return None
            sizes = self._sizes(name)
        return landed if all(sizes.get(file.name) == file.bytes for file in files) else None

    def begin(self, identity: str) -> Version:
        """The version to fetch these data into: the one that was left half done, or the next."""
        digest = hashlib.sha256(identity.encode()).hexdigest()
        with storage_told(self.path):
            names = self._versions()
            numbers = [version_number(name) or 0 for name in names]
            complete = [number for name, number in zip(names, numbers, strict=True) if self._is_complete(name)]
            for name, number in zip(names, numbers, strict=True):
                if number > max(complete, default=0) and name == version_name(number, digest):
                    return Version(self._zone, self, name, identity)
        return Version(self._zone, self, version_name(max(numbers, default=0) + 1, digest), identity)

    def without_leftovers(self, keep: str) -> None:
        """Remove versions that were never completed, but for the one named."""
        with storage_told(self.path):
            for name in self._versions():
                if name != keep and not self._is_complete(name):
                    self._files.rm(f"{self.path}/{name}", recursive=True)

    def _versions(self) -> list[str]:
        return sorted(name for name in self._zone.names(self.path) if version_number(name) is not None)

    def _is_complete(self, version: str) -> bool:
        return bool(self._files.exists(f"{self.path}/{version}/{MANIFEST}"))

    def _sizes(self, version: str) -> dict[str, int]:
        entries = self._files.ls(f"{self.path}/{version}", detail=True)
        return {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries}


class Version:
    """A version that is being fetched."""

    def __init__(self, zone: LandingZone, slot: Slot, name: str, identity: str) -> None:
        self._zone = zone
        self._files = zone.files
        self._slot = slot
        self.name = name
        self.identity = identity
        self.path = f"{slot.path}/{name}"
        self._sweep()

    def has(self, name: str) -> bool:
        """Whether a file is there, whole."""
        with storage_told(self.path):
            return bool(self._files.exists(f"{self.path}/{name}"))

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file that is there."""
        with storage_told(self.path), self._files.open(f"{self.path}/{name}", "rb") as file:
            yield from chunks_of(file)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write a file to, which takes its place when the block ends without an error.

        Raises:
            InputError, RemoteError: it cannot be written.
        """
        if not _SAFE.fullmatch(name):
            raise RemoteError(f"{name[:60]!r} cannot be the name of a file in the landing zone")
        target = f"{self.path}/{name}"
        if self._zone.is_local:
            new = Path(self.path, f".{name}.{secrets.token_hex(4)}")
            with storage_told(self.path):
                new.parent.mkdir(parents=True, exist_ok=True)
            try:
                with storage_told(self.path):
                    yield new
                    _replace(new, Path(target))
            finally:
                new.unlink(missing_ok=True)
            return
        with storage_told(self.path), tempfile.TemporaryDirectory(prefix="csp-billing-") as folder:
            new = Path(folder, name)
            yield new
            self._put(new, target)

    def complete(self, files: Sequence[LandedFile], details: Mapping[str, Any]) -> Landed:
        """Write the manifest, which makes the version count; leftovers of others are removed then."""
        names = {file.name for file in files}
        with storage_told(self.path):
            for name in self._zone.names(self.path) - names:
                self._files.rm_file(f"{self.path}/{name}")
        document = {**details, "identity": self.identity, "files": [asdict(file) for file in files]}
        with self.writing(MANIFEST) as path:
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        self._slot.without_leftovers(self.name)
        return Landed(self.name, self.identity, tuple(files), details)

    def _put(self, new: Path, target: str) -> None:
        if self._zone.is_atomic:
            self._files.put_file(str(new), target)
            return
        aside = f"{self.path}/.{new.name}.{secrets.token_hex(4)}"
        self._files.makedirs(self.path, exist_ok=True)
        self._files.put_file(str(new), aside)
        self._files.mv(aside, target)

    def _sweep(self) -> None:
        """Remove what a fetch that was killed has left half written; on this machine nobody else is fetching."""
        if self._zone.is_local:
            with storage_told(self.path):
                for path in Path(self.path).glob(".*"):
                    path.unlink()


def checked(name: str, chunks: Iterator[bytes], *, is_packed: bool) -> LandedFile:
    """Look through a file: its size, digest and, where it is packed with gzip, its lines.

    Raises:
        InputError: the gzip data is damaged or ends too early.
    """
    digest, size, rows = hashlib.sha256(), 0, 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    if not is_packed:
        for _ in counted():
            pass
        return LandedFile(name, size, digest.hexdigest(), None)
    is_within = False
    for text in gunzip(counted(), name):
        starts = len(_LINE.findall(text))
        rows += starts - (is_within and text[:1] not in _LINE_ENDS)
        is_within = text[-1:] not in _LINE_ENDS
    return LandedFile(name, size, digest.hexdigest(), rows)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """A file piece by piece."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _replace(new: Path, target: Path) -> None:
    """Let a file take its place, so that a power cut leaves it whole or absent."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def storage_told(path: str) -> Iterator[None]:
    """Failures of a store, or of this machine's disk, as errors of one line.

    Args:
        path: as the store's file system calls it: on this machine absolute, in a store beginning with its bucket.
    """
    try:
        yield
    except BillingError:
        raise
    except FileNotFoundError as error:
        if not is_absent(path, error):
            with told(path):
                raise
        raise RemoteError(f"{path}: a file is missing in the landing zone ({error}); repeat the command") from None
    except Exception as error:
        if not Path(path).is_absolute():
            with told(path):
                raise
        if not isinstance(error, OSError):
            raise
        room = ""
        with contextlib.suppress(OSError):
            room = f"; {shutil.disk_usage(Path(path).anchor or '.').free >> 20} MiB are free"
        raise InputError(
            f"{path}: the landing zone cannot be used: {error.strerror or error}{room}; check space, permissions and "
            "CSP_BILLING_LANDING"
        ) from None
