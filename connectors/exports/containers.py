"""What a delivered file contains, once it is unpacked: told from its bytes, never from its name.

A file is itself a table, or a gzip file (also of several members, one after the other), or a ZIP archive whose every
member counts by itself. Names inside archives are labels and never become paths. What unpacks to far more than
exports ever do is refused before it fills memory or disk.
"""

from __future__ import annotations

import codecs
import functools
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from connectors.exports import archives, limits
from connectors.exports.delivered import Delivered
from connectors.exports.file_digests import FileDigest
from connectors.exports.gzip_members import gunzip
from transforms.errors import InputError
from transforms.shown import printable

_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: save a workbook's sheet as CSV UTF-8"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"PK\x03\x04", "an archive packed inside another one: unpack it first"),
    (b"\x1f\x8b", "packed with gzip twice: unpack it first"),
)


#: Said of a pipe, a device or a socket, which may never end.
NO_FILE = "no regular file: it is not read"


class Form(Enum):
    """How the records of a file are written."""

    DELIMITED = "delimited text"
    JSON = "JSON"
    PARQUET = "Parquet"
    OTHER = "something else"
    BROKEN = "damaged"


@dataclass(frozen=True)
class Content:
    """One delivered file, or one member of a delivered archive; another process can unpickle and read it.

    Attributes:
        path: the file on disk.
        name: the name it was delivered by, without folders.
        member: the member's label inside the archive, empty for the file itself.
        digest: SHA-256 of the file on disk.
        byte_count: size of the file on disk.
        modified_at: when the file on disk was last changed, UTC.
        form: how its records are written.
        label: what the file is called where its name alone is ambiguous.
        remark: for `Form.OTHER` what it is instead, for `Form.BROKEN` (members of archives only) the whole message.
        is_plain: whether it is the file on disk itself, neither packed nor a member.
        shown: where it was delivered, path or masked URL, for messages.
    """

    path: Path
    name: str
    member: str
    digest: FileDigest
    byte_count: int
    modified_at: datetime
    form: Form
    remark: str
    open_raw: Callable[[], Iterator[bytes]]
    label: str = ""
    is_plain: bool = False
    shown: str = ""

    @property
    def source_file(self) -> str:
        """The name that rows and messages carry: `file.csv` or `archive.zip!member.csv`."""
        name = printable(self.label or self.name)
        return f"{name}!{self.member}" if self.member else name

    @property
    def file_sha256(self) -> str:
        """SHA-256 of the file on disk; that of a large one is waited for.

        Raises:
            InputError: the file cannot be read, or changed since it was found.
        """
        return self.digest.value()

    def chunks(self) -> Iterator[bytes]:
        """The unpacked content piece by piece; text as UTF-8 without a byte order mark.

        Raises:
            InputError: the container is damaged, truncated or suspiciously large.
        """
        raw = self.open_raw()
        return raw if self.form is Form.PARQUET else _as_utf8(raw, self.source_file)

    def text_offset(self) -> int | None:
        """Where in the file on disk the bytes of `chunks` begin; None where these are not bytes of the file."""
        if not self.is_plain:
            return None
        head = _head(self.open_raw())
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return None
        return len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0

    def whole(self, most: int, mend: str) -> bytes:
        """The unpacked content at once.

        Args:
            most: how many bytes it may have.
            mend: what to do with one that has more.

        Raises:
            InputError: as `chunks`, or larger than that.
        """
        parts: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                raise InputError(f"{self.source_file}: larger than {most >> 20} MiB in one piece: {mend}")
            parts.append(chunk)
        return b"".join(parts)

    def head(self) -> bytes:
        """The first bytes of `chunks`, for a look at what it is."""
        return _head(self.chunks())


def open_contents(file: Delivered) -> list[Content]:
    """List what a delivered file holds: one content, or one for each member of a ZIP archive.

    Raises:
        InputError: the file cannot be read or its container is damaged.
    """
    path = file.path
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{file.shown}: {NO_FILE}")
    except OSError as error:
        raise InputError(f"{file.shown}: cannot be read: {error.strerror or error}") from error

    digest = FileDigest(path, file.shown, found)
    # Another process that reads it may have another current folder.
    unpacked = functools.partial(_file_chunks, path.absolute(), file.shown)

    def make(member: str, form: Form, remark: str, open_raw: Callable[[], Iterator[bytes]]) -> Content:
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        return Content(
            path, file.name, member, digest, found.st_size, modified, form, remark, open_raw,
            is_plain=open_raw is unpacked, shown=file.shown,
        )  # fmt: skip

    opener = functools.partial(_opened, path.absolute())
    explorer = _Explorer(printable(file.name), make)
    return explorer.explore(_Piece(unpacked, "", opener, found.st_size, depth=0))


_Make = Callable[[str, Form, str, Callable[[], Iterator[bytes]]], Content]


@dataclass(frozen=True)
class _Piece:
    """A file or a member of an archive.

    Attributes:
        open_raw: gives its bytes.
        member: its label, empty for the file itself.
        opener: opens it to be read at any place.
        packed: how many bytes it takes in the delivered file.
        depth: how many archives it lies in.
    """

    open_raw: Callable[[], Iterator[bytes]]
    member: str
    opener: archives.Opener
    packed: int
    depth: int


class _Explorer:
    """Unpacks a delivered file as far as needed to know what is in it."""

    def __init__(self, name: str, make: _Make) -> None:
        self._name = name
        self._make = make
        self._members = 0

    def explore(self, piece: _Piece) -> list[Content]:
        """What a piece holds, by its first bytes."""
        head = _head(piece.open_raw())
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return self._explore_zip(piece)
        open_content = piece.open_raw
        if head.startswith(b"\x1f\x8b"):
            open_content = functools.partial(_unpacked, open_content, self._called(piece.member), piece.packed)
            head = _head(open_content())
        form, remark = _form(head)
        return [self._make(piece.member, form, remark, open_content)]

    def _called(self, member: str) -> str:
        return f"{self._name}!{member}" if member else self._name

    def _explore_zip(self, piece: _Piece) -> list[Content]:
        called = self._called(piece.member)
        if piece.depth > 1:
            raise InputError(f"{called}: an archive inside an archive inside an archive: unpack the outer ones first")
        found = archives.members(piece.opener, called, piece.packed)
        self._members += len(found)
        if self._members > limits.MAX_MEMBERS:
            raise TooManyMembersError(
                f"{self._name}: the ZIP archive has {self._members:,} members; more than {limits.MAX_MEMBERS:,} are "
                "refused"
            )
        contents: list[Content] = []
        labels: dict[str, int] = {}
        for info in found:
            label = archives.label(info.filename)
            if info.is_dir() or label.startswith("__MACOSX/") or label.rpartition("/")[2].startswith("."):
                continue
            if label == "xl/workbook.xml":
                remark = "an Excel workbook: save its sheet as CSV UTF-8"
                return [self._make(piece.member, Form.OTHER, remark, _nothing)]
            labels[label] = labels.get(label, 0) + 1
            if labels[label] > 1:
                label = f"{label}#{labels[label]}"
            member = f"{piece.member}!{label}" if piece.member else label
            contents += self._explore_member(piece, info, member)
        return contents or [self._make(piece.member, Form.OTHER, "an archive without files", _nothing)]

    def _explore_member(self, piece: _Piece, info: zipfile.ZipInfo, member: str) -> list[Content]:
        called = self._called(member)
        open_member = functools.partial(archives.member_chunks, piece.opener, info, called)
        opener = functools.partial(archives.held, open_member, called)
        try:
            return self.explore(_Piece(open_member, member, opener, info.compress_size, piece.depth + 1))
        except TooManyMembersError:
            raise
        except InputError as error:
            return [self._make(member, Form.BROKEN, str(error), open_member)]


class TooManyMembersError(InputError):
    """The delivered file as a whole has too many members."""


def _unpacked(open_raw: Callable[[], Iterator[bytes]], name: str, size: int) -> Iterator[bytes]:
    return gunzip(open_raw(), name, size)


def _nothing() -> Iterator[bytes]:
    return iter(())


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _file_chunks(path: Path, shown: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(limits.CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise InputError(f"{shown}: cannot be read: {error.strerror or error}") from error


def _as_utf8(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Drop a UTF-8 byte order mark; turn UTF-16 with one (a spreadsheet's "Unicode text") into UTF-8."""
    first = b""
    for chunk in raw:
        first += chunk
        if len(first) >= len(codecs.BOM_UTF8):
            break
    if not first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from raw
        return
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        yield decoder.decode(first).encode()
        for chunk in raw:
            yield decoder.decode(chunk).encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise InputError(f"{name}: the UTF-16 text is damaged or truncated: export it again as UTF-8") from error


def _head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= limits.HEAD_BYTES:
            break
    return head[:limits.HEAD_BYTES]


def _form(head: bytes) -> tuple[Form, str]:
    """The form of unpacked content, and what it is when it holds no records."""
    if head.startswith(b"PAR1"):
        return Form.PARQUET, ""
    for magic, remark in _MAGIC:
        if head.startswith(magic):
            return Form.OTHER, remark
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head[: len(head) // 2 * 2].decode("utf-16", errors="replace").encode(errors="replace")
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        return Form.OTHER, "empty"
    if b"\0" in text:
        return Form.OTHER, "binary data"
    if text.startswith((b"{", b"[", b"HTTP/")):
        return Form.JSON, ""
    return Form.DELIMITED, ""
