"""What a delivered file contains, once it is unpacked: told from its bytes, never from its name.

A file is itself a table, or a gzip file (also of several members, one after the other), or a ZIP archive whose every
member counts by itself. Names inside archives are labels and never become paths. What unpacks to far more than
exports ever do is refused before it fills memory or disk.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from connectors.exports.delivered import Delivered
from connectors.exports.gzip_members import CHUNK_BYTES, HEAD_BYTES, check_ratio, gunzip
from transforms.errors import InputError

#: A JSON document or a packed Parquet file has to be held whole; JSON Lines and CSV have no limit.
MAX_WHOLE_BYTES = 1 << 30
MAX_MEMBERS = 10_000
MAX_NESTED_BYTES = 256 << 20

#: What a damaged archive makes `zipfile` raise; OSError when it seeks to an offset that a file cannot have.
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
)  # fmt: skip

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
        file_sha256: SHA-256 of the file on disk.
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
    file_sha256: str
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
        name = self.label or self.name
        return f"{name}!{self.member}" if self.member else name

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

    def whole(self) -> bytes:
        """The unpacked content at once.

        Raises:
            InputError: as `chunks`, or larger than can be held whole.
        """
        parts: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > MAX_WHOLE_BYTES:
                raise InputError(
                    f"{self.source_file}: larger than {MAX_WHOLE_BYTES >> 30} GiB in one piece: "
                    "deliver it as JSON Lines or CSV, which are read row by row"
                )
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
        with path.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            stat = path.stat()
    except OSError as error:
        raise InputError(f"{file.shown}: cannot be read: {error.strerror or error}") from error

    # Another process that reads it may have another current folder.
    unpacked = functools.partial(_file_chunks, path.absolute(), file.shown)

    def make(member: str, form: Form, remark: str, open_raw: Callable[[], Iterator[bytes]]) -> Content:
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        return Content(
            path, file.name, member, sha256, stat.st_size, modified, form, remark, open_raw,
            is_plain=open_raw is unpacked, shown=file.shown,
        )  # fmt: skip

    return _explore(unpacked, file.name, "", make, depth=0, opener=functools.partial(_opened, path.absolute()))


_Make = Callable[[str, Form, str, Callable[[], Iterator[bytes]]], Content]


def _explore(
    open_raw: Callable[[], Iterator[bytes]],
    name: str,
    member: str,
    make: _Make,
    *,
    depth: int,
    opener: Callable[[], BinaryIO],
) -> list[Content]:
    """Look at the first bytes and unpack as far as needed to know the form."""
    head = _head(open_raw())
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if depth > 1:
            return [make(member, Form.OTHER, "an archive inside an archive inside an archive: unpack it", open_raw)]
        return _explore_zip(opener, name, member, make, depth)
    if head.startswith(b"\x1f\x8b"):
        unpacked = functools.partial(_unpacked, open_raw, name)
        form, remark = _form(_head(unpacked()))
        return [make(member, form, remark, unpacked)]
    form, remark = _form(head)
    return [make(member, form, remark, open_raw)]


def _explore_zip(
    opener: Callable[[], BinaryIO], name: str, prefix: str, make: _Make, depth: int
) -> list[Content]:
    contents: list[Content] = []
    labels: dict[str, int] = {}
    for info in _members(opener, name):
        label = _label(info.filename)
        if info.is_dir() or label.startswith("__MACOSX/") or label.rpartition("/")[2].startswith("."):
            continue
        if label == "xl/workbook.xml":
            remark = "an Excel workbook: save its sheet as CSV UTF-8"
            return [make(prefix, Form.OTHER, remark, _nothing)]
        labels[label] = labels.get(label, 0) + 1
        if labels[label] > 1:
            label = f"{label}#{labels[label]}"
        member = f"{prefix}!{label}" if prefix else label
        open_member = functools.partial(_member_chunks, opener, info, f"{name}!{member}")
        open_nested = functools.partial(_held, open_member, f"{name}!{member}")
        try:
            found = _explore(open_member, f"{name}!{member}", member, make, depth=depth + 1, opener=open_nested)
        except InputError as error:
            found = [make(member, Form.BROKEN, str(error), open_member)]
        contents.extend(found)
    if not contents:
        contents.append(make(prefix, Form.OTHER, "an archive without files", _nothing))
    return contents


def _members(opener: Callable[[], BinaryIO], name: str) -> list[zipfile.ZipInfo]:
    try:
        with opener() as file:
            size = file.seek(0, io.SEEK_END)
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
    except _BROKEN_ZIP as error:
        raise InputError(f"{name}: the ZIP archive is damaged or truncated: deliver it again") from error
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{name}: the ZIP archive has {len(members):,} members; more than {MAX_MEMBERS:,} are refused")
    check_ratio(name, sum(info.file_size for info in members), size)
    return members


def _label(filename: str) -> str:
    """A member's name for display: no control characters, forward slashes, nothing that leads out of the archive."""
    parts = "".join(c if c.isprintable() else "?" for c in filename.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _member_chunks(opener: Callable[[], BinaryIO], info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    if info.flag_bits & 0x1:
        raise InputError(f"{name}: encrypted: unpack it with its password and deliver the files")
    try:
        with opener() as file, zipfile.ZipFile(file) as archive, archive.open(info) as member:
            while chunk := member.read(CHUNK_BYTES):
                yield chunk
    except _BROKEN_ZIP as error:
        raise InputError(f"{name}: this member of the ZIP archive is damaged: deliver it again") from error


def _held(open_member: Callable[[], Iterator[bytes]], name: str) -> BinaryIO:
    held = io.BytesIO()
    for chunk in open_member():
        if held.tell() + len(chunk) > MAX_NESTED_BYTES:
            raise InputError(f"{name}: too large for an archive inside an archive: unpack the outer one first")
        held.write(chunk)
    held.seek(0)
    return held


def _unpacked(open_raw: Callable[[], Iterator[bytes]], name: str) -> Iterator[bytes]:
    return gunzip(open_raw(), name)


def _nothing() -> Iterator[bytes]:
    return iter(())


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _file_chunks(path: Path, shown: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
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
        if len(head) >= HEAD_BYTES:
            break
    return head[:HEAD_BYTES]


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
