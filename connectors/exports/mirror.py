"""Exports of a store as files of this machine: readers need ranges of bytes, mapped files and worker processes.

The mirror is a cache below the working folder and may be removed at any time. An object's copy is named by a digest of
the object's address, size, time and tag, so that a changed object has another copy, and a copy that is there is the
whole of it. Its time of change is the object's, since that decides which of two versions of an export counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from connectors.landed_versions import counted
from connectors.progress import Progress, silent
from connectors.stores.store import Store, StoredObject, open_store
from connectors.unfinished import ABANDONED_AFTER
from transforms.addresses import masked
from transforms.errors import InputError, SettingsError

#: How many objects are copied at a time.
COPIES_AT_ONCE = 8
#: A mirror that nobody used for so long is left over.
UNUSED_SECONDS = 30 * 24 * 3600
_PART, _LOCK = ".part-", ".lock"


class Hold:
    """Keeps copies from being removed by another process, until it is released or collected."""

    def __init__(self, lock: int) -> None:
        """Keep them by a locked file, of which this is the descriptor."""
        # A descriptor, since an open file that is collected together with this one warns that nobody closed it.
        self._let_go = weakref.finalize(self, os.close, lock)

    def release(self) -> None:
        """Let the copies go."""
        self._let_go()


@dataclass(frozen=True)
class Mirrored:
    """Objects of a store with their copies on this machine, in the order of a folder.

    Attributes:
        objects: each with the path of its copy.
        hold: to be kept for as long as the copies are read.
    """

    objects: list[tuple[StoredObject, Path]]
    hold: Hold


def mirror(url: str, cache: Path, progress: Progress = silent) -> Mirrored:
    """Copy what lies at a URL to this machine: what is new or changed, several at a time, each whole or not at all.

    Copies of what is gone are removed, unless another process is reading the mirror.

    Args:
        url: of an object, or of what begins with it as with a folder.
        cache: folder of all mirrors.
        progress: is told how many bytes of how many are copied.

    Raises:
        InputError: nothing is there, or an object changed while it was copied.
        SettingsError: access is denied, or this machine cannot keep the copies.
        RemoteError: the store failed; what was copied is not copied again.
    """
    store = open_store(url)
    there = {one.place: one for one in store.find()}
    objects = [there[place] for place in counted(there)]
    if not objects:
        raise InputError(f"{store.shown}: there are no exports: put the partner exports there, or name another place "
                         "with --exports")  # fmt: skip
    folder = cache / hashlib.sha256(masked(url).encode()).hexdigest()[:16]
    copies = [(one, folder / _copy_name(one)) for one in objects]
    with _kept_told(cache):
        folder.mkdir(parents=True, exist_ok=True)
        hold = _held(folder, {path.name for _, path in copies})
        os.utime(folder)
    missing = [(one, path) for one, path in copies if not _is_whole(one, path)]
    try:
        _copy_all(store, missing, progress)
    except BaseException:
        # What was raised in a thread refers to itself, and with it to this frame, until it is collected.
        hold.release()
        raise
    return Mirrored(copies, hold)


def left_over(cache: Path, now: float | None = None) -> list[Path]:
    """Mirrors that nobody uses any more, and half copies of a process that was killed: they may be removed."""
    now = time.time() if now is None else now
    found = []
    for folder in sorted(cache.iterdir()) if cache.is_dir() else ():
        if now - folder.stat().st_mtime > UNUSED_SECONDS:
            found.append(folder)
            continue
        found += [part for part in sorted(folder.glob(f"{_PART}*")) if now - part.stat().st_mtime > ABANDONED_AFTER]
    return found


def remove_left_over(path: Path) -> bool:
    """Remove what `left_over` found; False where a process has begun to use it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return True
    with contextlib.suppress(FileNotFoundError), (path / _LOCK).open("ab") as lock:
        if not _locked_alone(lock):
            return False
        for one in path.iterdir():
            one.unlink()
        path.rmdir()
    return True


def _copy_name(one: StoredObject) -> str:
    """The name of an object's copy; without a tag or time nothing tells that it is the same, and it is copied anew."""
    seen = one.tag or (one.modified_at.isoformat() if one.modified_at else os.urandom(16).hex())
    return hashlib.sha256("\0".join((one.name, str(one.byte_count), seen)).encode()).hexdigest()[:40]


def _is_whole(one: StoredObject, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return one.byte_count in (None, path.stat().st_size)
    return False


def _copy_all(store: Store, missing: list[tuple[StoredObject, Path]], progress: Progress) -> None:
    total, done = sum(one.byte_count or 0 for one, _ in missing), 0
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        copies = {pool.submit(_copy, store, one, path): one for one, path in missing}
        try:
            for copy in as_completed(copies):
                copy.result()
                done += copies[copy].byte_count or 0
                progress("copying exports from the store", done, total)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _copy(store: Store, one: StoredObject, path: Path) -> None:
    with _kept_told(path.parent):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_PART)
    part = Path(name)
    try:
        store.fetch(one, part)
        at = round((one.modified_at or datetime.now(UTC)).timestamp() * 1_000_000) * 1_000
        with _kept_told(path.parent):
            os.fsync(descriptor)
            os.utime(part, ns=(at, at))
            part.replace(path)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)


def _held(folder: Path, wanted: set[str]) -> Hold:
    """Lock the mirror together with other readers; what is not wanted is removed first where there are none."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    hold = Hold(lock)
    if _locked_alone(lock):
        for path in folder.iterdir():
            if path.name not in wanted and path.name != _LOCK:
                path.unlink(missing_ok=True)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return hold


def _locked_alone(lock: int | BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _kept_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"{folder}: copies of exports cannot be kept there: {error.strerror or error}; check space and permissions"
        ) from error
