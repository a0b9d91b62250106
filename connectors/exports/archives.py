"""ZIP archives: their members, opened one by one. Names in them are labels and never become paths."""

from __future__ import annotations

import functools
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from connectors.exports import limits
from transforms.errors import InputError
from transforms.shown import printable

Opener = Callable[[], BinaryIO]

#: What a damaged archive makes `zipfile` raise; OSError when it seeks to an offset that a file cannot have.
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
)  # fmt: skip


def members(opener: Opener, name: str, packed: int) -> list[zipfile.ZipInfo]:
    """The members of an archive.

    Args:
        opener: opens the archive's bytes.
        name: what the archive is called in messages.
        packed: how many bytes it takes in the delivered file.

    Raises:
        InputError: it is damaged, or made to fill memory or disk.
    """
    try:
        archive = _archive(opener)
    except _BROKEN_ZIP as error:
        raise InputError(f"{name}: the ZIP archive is damaged or truncated: deliver it again") from error
    except _OverlongReadError:
        raise InputError(f"{name}: the ZIP archive has more members than the {limits.MAX_MEMBERS:,} it may") from None
    found = archive.infolist()
    limits.check_ratio(name, sum(info.file_size for info in found), packed)
    if sum(info.compress_size for info in found) > archive.byte_count:
        raise InputError(f"{name}: members of the ZIP archive overlap, which no export's do: refused")
    return found


def label(filename: str) -> str:
    """A member's name for display: no control characters, forward slashes, nothing that leads out of the archive."""
    parts = printable(filename.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def member_chunks(opener: Opener, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """A member's content piece by piece.

    Raises:
        InputError: it is encrypted or damaged.
    """
    if info.flag_bits & 0x1:
        raise InputError(f"{name}: encrypted: unpack it with its password and deliver the files")
    try:
        with _archive(opener).open(info) as member:
            while chunk := member.read(limits.CHUNK_BYTES):
                yield chunk
    except _BROKEN_ZIP as error:
        raise InputError(f"{name}: this member of the ZIP archive is damaged: deliver it again") from error


def held(open_member: Callable[[], Iterator[bytes]], name: str) -> BinaryIO:
    """An archive inside an archive, in memory; raises InputError when it is too large for that."""
    return io.BytesIO(_held_bytes(open_member, name))


class _OverlongReadError(Exception):
    """A table of contents larger than that of any delivery."""


class _Reader(io.RawIOBase):
    """Reads an archive; its table of contents, which `zipfile` reads in one piece, only up to a size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > limits.MAX_DIRECTORY_BYTES:
            raise _OverlongReadError
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


class _Archive(zipfile.ZipFile):
    """An archive that closes its file with itself."""

    def __init__(self, file: BinaryIO) -> None:
        self._own = _Reader(file)
        try:
            self.byte_count = self._own.seek(0, io.SEEK_END)
            super().__init__(self._own)
        except BaseException:
            self._own.close()
            raise

    def close(self) -> None:
        super().close()
        self._own.close()


# Each opening reads the whole table of contents, each unpacking the whole inner archive: for thousands of members
# that would be done thousands of times. Two, because who reads a member of an inner archive has the outer one open.
@functools.lru_cache(maxsize=2)
def _archive(opener: Opener) -> _Archive:
    return _Archive(opener())


@functools.lru_cache(maxsize=1)
def _held_bytes(open_member: Callable[[], Iterator[bytes]], name: str) -> bytes:
    whole = bytearray()
    for chunk in open_member():
        if len(whole) + len(chunk) > limits.MAX_NESTED_BYTES:
            raise InputError(f"{name}: too large for an archive inside an archive: unpack the outer one first")
        whole += chunk
    return bytes(whole)
