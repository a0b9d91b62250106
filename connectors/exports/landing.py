"""Keep an untouched copy of every delivered file, once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from connectors.exports.containers import Content
from connectors.exports.delivery import SourceFile
from transforms.errors import InputError
from transforms.shown import printable


def land(file: Content | SourceFile, home: Path) -> str:
    """Copy the delivered file, for a member of an archive the whole archive, below the working folder.

    The copy is complete or absent, never partial, and is made once however often the file is delivered.

    Returns:
        The copy's path relative to `home`: `landing/<sha256[:2]>/<sha256>/<name>`.

    Raises:
        InputError: the file changed since it was read, or the copy cannot be written.
    """
    relative = Path("landing", file.file_sha256[:2], file.file_sha256, printable(file.path.name))
    target = home / relative
    if target.is_file() and target.stat().st_size == file.byte_count:
        return relative.as_posix()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".landing-")
        part = Path(name)
        try:
            # By the kernel, which is much cheaper than reading, digesting and writing it once more.
            shutil.copyfile(file.path, part)
            os.fsync(descriptor)
            if not _is_as_seen(file) and _sha256(part) != file.file_sha256:
                raise _changed(file)
            part.replace(target)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise InputError(
            f"{file.path}: its copy cannot be kept below {home}: {error.strerror or error}; check space and permissions"
        ) from error
    return relative.as_posix()


def check_unchanged(file: Content) -> None:
    """Check that the delivered file is still the one that its SHA-256 was taken of, once it is read.

    Its copy may be an earlier run's, or have been made before the file changed.

    Raises:
        InputError: the file changed since it was found.
    """
    try:
        if not _is_as_seen(file) and _sha256(file.path) != file.file_sha256:
            raise _changed(file)
    except FileNotFoundError:
        return


def _is_as_seen(file: Content | SourceFile) -> bool:
    """Whether size and time of change are those of when its SHA-256 was taken."""
    stat = file.path.stat()
    return (stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)) == (file.byte_count, file.modified_at)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(file: Content | SourceFile) -> InputError:
    return InputError(f"{file.path}: the file changed while it was read: run again when it is complete")
