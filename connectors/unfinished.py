"""Files and folders that are being made, told from those that a killed process left.

Whoever makes one keeps it locked meanwhile. The system lets go of the lock with the process, however that ends, so what
nobody has locked belongs to nobody. Where a file system knows no such locks, only age tells.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: How long something is left alone where no lock can tell, in seconds.
ABANDONED_AFTER = 86_400


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep a file or folder that is being made from being taken for one that was left."""
    descriptor = _opened(path)
    try:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder of that prefix, claimed, which goes at the end; `remove_left` removes those that did not."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, claimed(Path(folder)):
        yield Path(folder)


def remove_left(prefix: str) -> None:
    """Remove the temporary folders of that prefix whose process was killed."""
    remove_abandoned(Path(tempfile.gettempdir()).glob(f"{prefix}*"))


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove those of some files and folders that are made by nobody any more; what cannot be removed stays."""
    for path in paths:
        if not _is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    descriptor = _opened(path)
    try:
        if descriptor is None:
            return _is_old(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return _is_old(path)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - ABANDONED_AFTER
    except OSError:
        return False


def _opened(path: Path) -> int | None:
    if fcntl is None:
        return None
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None
