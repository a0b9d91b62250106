"""Files of a report: there whole, or as they were before."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.errors import NO_ROOM, InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end; nothing is left of it after an error.

    Raises:
        InputError: the folder cannot be made or written, or the file there cannot be replaced.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        mend = "close it where it is open, or name another folder"
        if error.errno in NO_ROOM:
            mend = f"make room there and in the folder for temporary files, {tempfile.gettempdir()}"
        raise InputError(f"{path} cannot be written: {reason}; {mend}") from None
