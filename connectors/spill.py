"""Records of every line in a temporary file, so that a month of any size takes the same memory."""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from transforms.errors import InputError

Array = np.ndarray[Any, Any]

#: About how much of the records is looked at at a time.
GROUP_BYTES = 48 << 20
_READ_BYTES = 16 << 20


class FileRecords:
    """Records of one kind, by their `key`; see `transforms.records.Records`. The file goes with the object."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._size = 0
        try:
            self._file = tempfile.TemporaryFile(prefix="csp-billing-")  # noqa: SIM115
        except OSError as error:
            raise _unkept(error) from error
        weakref.finalize(self, _close, self._file)

    def add(self, records: Array) -> None:
        """Keep more records.

        Raises:
            InputError: they cannot be written.
        """
        data = records.tobytes()
        try:
            self._file.write(data)
        except OSError as error:
            raise _unkept(error) from error
        self._size += len(data)

    def by_key(self) -> Iterator[Array]:
        """All records, in groups of about GROUP_BYTES that have every record of their keys."""
        groups = np.uint64(self._size // GROUP_BYTES + 1)
        for group in range(int(groups)):
            # NumPy takes records many times faster by number than by mask.
            own = [np.take(chunk, np.flatnonzero(chunk["key"] % groups == group)) for chunk in self._chunks()]
            yield np.concatenate([np.zeros(0, dtype=self._dtype), *own])

    def _chunks(self) -> Iterator[Array]:
        try:
            self._file.flush()
        except OSError as error:
            raise _unkept(error) from error
        self._file.seek(0)
        size = _READ_BYTES // self._dtype.itemsize * self._dtype.itemsize
        while data := self._file.read(size):
            yield np.frombuffer(data, dtype=self._dtype)


def _close(file: IO[bytes]) -> None:
    # What is still to be written is wanted by nobody.
    with contextlib.suppress(OSError):
        file.close()


def _unkept(error: OSError) -> InputError:
    return InputError(
        f"what is noted of every line cannot be kept in {tempfile.gettempdir()}: {error.strerror or error}; "
        "check space and permissions, or name another folder by TMPDIR"
    )
