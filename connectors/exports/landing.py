"""Keep an untouched copy of every delivered file, once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from connectors.exports.containers import Content
from connectors.exports.delivery import SourceFile
from connectors.exports.gzip_members import CHUNK_BYTES
from transforms.errors import InputError


def land(file: Content | SourceFile, home: Path) -> str:
    """Copy the delivered file, for a member of an archive the whole archive, below the working folder.

    The copy is complete or absent, never partial, and is made once however often the file is delivered.

    Returns:
        The copy's path relative to `home`: `landing/<sha256[:2]>/<sha256>/<name>`.

    Raises:
        InputError: the file changed since it was read, or the copy cannot be written.
    """
    relative = Path("landing", file.file_sha256[:2], file.file_sha256, file.path.name)
    target = home / relative
    if target.is_file() and target.stat().st_size == file.byte_count:
        return relative.as_posix()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".landing-")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as copy, file.path.open("rb") as original:
                digest = hashlib.sha256()
                while chunk := original.read(CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            if digest.hexdigest() != file.file_sha256:
                raise InputError(f"{file.path}: the file changed while it was read: run again when it is complete")
            part.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise InputError(
            f"{file.path}: its copy cannot be kept below {home}: {error.strerror or error}; check space and permissions"
        ) from error
    return relative.as_posix()
