"""The SHA-256 of a delivered file, that of a large one taken beside other work: until its rows are read nobody asks."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

from transforms.errors import InputError

#: A smaller file is digested sooner than anything else could be done.
_LARGE_BYTES = 64 << 20
#: One at a time, because a disk is no faster for being asked twice at once.
_TURN = threading.Lock()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed(shown: str) -> InputError:
    """What to say of a file that is not the one any more that it was."""
    return InputError(f"{shown}: the file changed while it was read: run again when it is complete")


class FileDigest:
    """The SHA-256 of a file as it was when it was found; can be sent to another process."""

    def __init__(self, path: Path, shown: str, found: os.stat_result) -> None:
        """Begin, and for a small file end.

        Args:
            path: the file.
            shown: what it is called in messages.
            found: what the system says of the file; one that changes later is refused.

        Raises:
            InputError: a small file cannot be read, or changed.
        """
        self._path, self._shown = path, shown
        self._seen = found.st_size, found.st_mtime_ns
        self._told: str | InputError = ""
        self._thread: threading.Thread | None = None
        if found.st_size < _LARGE_BYTES:
            self._take()
            self.value()
        else:
            # A daemon, because what ends the command meanwhile need not wait for it.
            self._thread = threading.Thread(target=self._take_in_turn, daemon=True)
            self._thread.start()

    def __getstate__(self) -> dict[str, Any]:
        return {"_told": self.value(), "_thread": None}

    def value(self) -> str:
        """Hexadecimal; waits for it.

        Raises:
            InputError: the file cannot be read, or changed.
        """
        if self._thread is not None:
            self._thread.join()
        if isinstance(self._told, InputError):
            raise self._told
        return self._told

    def _take_in_turn(self) -> None:
        with _TURN:
            self._take()

    def _take(self) -> None:
        try:
            sha256, now = sha256_of(self._path), self._path.stat()
            self._told = sha256 if self._seen == (now.st_size, now.st_mtime_ns) else changed(self._shown)
        except OSError as error:
            self._told = InputError(f"{self._shown}: cannot be read: {error.strerror or error}")
