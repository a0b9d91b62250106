"""The landing zone: where untouched copies of delivered files are kept, a folder of this machine or a place in a store.

Copies lie at `<sha256[:2]>/<sha256>/<name>`; what fetches exports writes them below a folder of its own. Places are
relative to the zone, so that it can be moved as a whole.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from connectors.exports.containers import Content
from connectors.exports.file_digests import sha256_of
from connectors.unfinished import ABANDONED_AFTER, claimed, remove_abandoned
from transforms.addresses import TEMPORARY, is_url, local_path, place_below
from transforms.errors import BillingError, SettingsError

if TYPE_CHECKING:
    from connectors.stores.store import Store


@dataclass(frozen=True)
class Landed:
    """What lies in the zone.

    Attributes:
        place: below the zone.
        byte_count: its size.
        is_left_over: whether it is a half copy that nobody completes any more.
    """

    place: str
    byte_count: int
    is_left_over: bool = False


class Zone(Protocol):
    """Where copies are kept; `open_zone` gives one."""

    @property
    def shown(self) -> str:
        """Path, or URL without its secrets."""
        ...

    def place_of(self, file: Content) -> str | None:
        """The place that a file was delivered from, where that is in the zone."""
        ...

    def byte_count(self, place: str) -> int | None:
        """The size of what lies at a place; None where nothing does."""
        ...

    def put(self, path: Path, place: str, sha256: str, is_as_seen: Callable[[], bool]) -> bool:
        """Copy a file to a place, whole or not at all.

        Args:
            path: the file.
            place: where to.
            sha256: what it must have.
            is_as_seen: whether the file is surely still the one of that SHA-256, so that nobody need digest it.

        Returns:
            False where it is not the file of that SHA-256.

        Raises:
            FileNotFoundError: the file is gone.
            SettingsError, RemoteError: the copy cannot be kept.
        """
        ...

    def find(self) -> Iterator[Landed]:
        """Everything in the zone, copies in the making that are still young left out."""
        ...

    def remove(self, place: str) -> None:
        """Remove what lies at a place, if anything does, and the folders that are empty without it."""
        ...

    def reach(self) -> None:
        """Check that the zone can be listed; raises SettingsError or RemoteError."""
        ...


def open_zone(location: str) -> Zone:
    """The zone at a path or URL; nothing is made or asked yet.

    Raises:
        SettingsError: no such kind of store, or its extra is not installed.
    """
    if not is_url(location):
        return FolderZone(Path(local_path(location)))
    # What stores need is loaded for them alone.
    from connectors.stores.store import open_store

    return StoreZone(open_store(location))


def check_writable(location: str) -> None:
    """Check that a zone in a store can be written, by a tiny copy that is removed again.

    Its copies are sent beside other work, so that a denial would be told at the end of it. A folder is not asked.

    Raises:
        InputError, SettingsError, RemoteError: it cannot be written.
    """
    if not is_url(location):
        return
    zone = open_zone(location)
    # As a copy in the making is called: hidden, and left over where it cannot be removed.
    place = f"{TEMPORARY}{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="csp-billing-") as folder:
        path = Path(folder, "probe")
        path.write_bytes(b"csp-billing\n")
        try:
            zone.put(path, place, sha256_of(path), lambda: True)
        except BillingError as error:
            mend = "; let it be written, or name another place" if isinstance(error, SettingsError) else ""
            raise type(error)(f"CSP_BILLING_LANDING: no copy can be kept there: {error}{mend}") from error
        finally:
            # Where nothing may be removed, as from a locked bucket, copies can be kept all the same.
            with contextlib.suppress(BillingError):
                zone.remove(place)


@dataclass(frozen=True)
class FolderZone:
    """A zone in a folder of this machine."""

    folder: Path

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.folder)

    def place_of(self, file: Content) -> str | None:
        """See `Zone`."""
        if is_url(file.shown):
            # Its copy in the mirror may be removed at any time, wherever the zone is.
            return None
        path, folder = file.path.resolve(), self.folder.resolve()
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else None

    def byte_count(self, place: str) -> int | None:
        """See `Zone`."""
        target = self.folder / place
        return target.stat().st_size if target.is_file() else None

    def put(self, path: Path, place: str, sha256: str, is_as_seen: Callable[[], bool]) -> bool:
        """See `Zone`."""
        target = self.folder / place
        with self._told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(target.parent.glob(f"{TEMPORARY}*"))
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=TEMPORARY)
        part = Path(name)
        try:
            with claimed(part):
                if not path.exists():
                    raise FileNotFoundError(path)
                with self._told(target):
                    # By the kernel, which is much cheaper than reading, digesting and writing it once more.
                    shutil.copyfile(path, part)
                    os.fsync(descriptor)
                if not is_as_seen() and sha256_of(part) != sha256:
                    return False
                with self._told(target):
                    part.replace(target)
        finally:
            os.close(descriptor)
            part.unlink(missing_ok=True)
        return True

    def find(self) -> Iterator[Landed]:
        """See `Zone`."""
        old = time.time() - ABANDONED_AFTER
        for path in sorted(self.folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                if not path.is_file():
                    continue
                stat, place = path.stat(), path.relative_to(self.folder).as_posix()
                if path.name.startswith(TEMPORARY):
                    if stat.st_mtime < old:
                        yield Landed(place, stat.st_size, is_left_over=True)
                elif not any(part.startswith(".") for part in place.split("/")):
                    yield Landed(place, stat.st_size)

    def remove(self, place: str) -> None:
        """See `Zone`."""
        target = self.folder / place
        with self._told(target):
            target.unlink(missing_ok=True)
        for parent in target.parents:
            if parent == self.folder:
                break
            try:
                parent.rmdir()
            except OSError:
                break

    def reach(self) -> None:
        """See `Zone`."""
        with self._told(self.folder):
            if self.folder.exists():
                next(self.folder.iterdir(), None)

    @contextlib.contextmanager
    def _told(self, target: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SettingsError(
                f"{target}: the landing zone cannot be used: {error.strerror or error}; check space and permissions, "
                "or set CSP_BILLING_LANDING"
            ) from error


@dataclass(frozen=True)
class StoreZone:
    """A zone in a store of objects."""

    store: Store

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        return self.store.shown

    def place_of(self, file: Content) -> str | None:
        """See `Zone`."""
        return place_below(file.shown, self.shown) or None

    def byte_count(self, place: str) -> int | None:
        """See `Zone`."""
        return self.store.byte_count(place)

    def put(self, path: Path, place: str, sha256: str, is_as_seen: Callable[[], bool]) -> bool:
        """See `Zone`: it is digested as it is sent, since it is read then anyway."""
        if not path.exists():
            raise FileNotFoundError(path)
        return self.store.put(path, place, sha256)

    def find(self) -> Iterator[Landed]:
        """See `Zone`."""
        old = datetime.now(UTC) - timedelta(seconds=ABANDONED_AFTER)
        for one in self.store.find(with_temporary=True):
            is_temporary = one.place.rpartition("/")[2].startswith(TEMPORARY)
            if not is_temporary or (one.modified_at is not None and one.modified_at < old):
                yield Landed(one.place, one.byte_count or 0, is_temporary)

    def remove(self, place: str) -> None:
        """See `Zone`."""
        self.store.remove(place)

    def reach(self) -> None:
        """See `Zone`."""
        self.store.reach()
