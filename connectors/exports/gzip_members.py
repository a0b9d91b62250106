"""Unpack gzip files, also of several members, as a stream."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator

from transforms.errors import InputError

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
#: Real exports shrink about 10 to 60 times, the most that deflate can do is 1032.
MAX_RATIO = 500
#: Below this size no ratio is suspicious.
RATIO_FLOOR_BYTES = 64 << 20


def gunzip(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Unpack gzip members one after the other, each starting on a line of its own where it repeats the header.

    Args:
        raw: the packed bytes, piece by piece.
        name: the file, for messages.

    Raises:
        InputError: the data is damaged, ends too early, or unpacks to suspiciously much.
    """
    seams = _Seams()
    inflater: zlib._Decompress | None = None
    packed = unpacked = 0
    for piece in raw:
        chunk = piece
        packed += len(piece)
        while chunk:
            if inflater is None:
                chunk = chunk.lstrip(b"\0")  # padding between or after members
                if not chunk:
                    break
                inflater = zlib.decompressobj(wbits=31)
            try:
                out = inflater.decompress(chunk, CHUNK_BYTES)
            except zlib.error as error:
                raise InputError(f"{name}: the gzip data is damaged: deliver the file again") from error
            unpacked += len(out)
            check_ratio(name, unpacked, packed)
            yield from seams.pass_on(out, member_ends=inflater.eof)
            if inflater.eof:
                chunk, inflater = inflater.unused_data, None
            else:
                chunk = inflater.unconsumed_tail
    while inflater is not None and not inflater.eof:
        out = inflater.flush(CHUNK_BYTES)
        if not inflater.eof:
            raise InputError(f"{name}: the gzip data ends too early (truncated): copy or download the file again")
        yield from seams.pass_on(out, member_ends=True)


class _Seams:
    """Joins gzip members: where one ends within a line and the next starts a new one, a line break goes between.

    A new line is known by the first member's first line, or in JSON Lines by an object after an object. Members that
    continue in the middle of a line (block-compressed files) are joined as they are.
    """

    def __init__(self) -> None:
        self._first_line = b""
        self._last = b""
        self._pending = b""
        self._at_start = True
        self._is_first = True

    def pass_on(self, out: bytes, *, member_ends: bool) -> Iterator[bytes]:
        if self._at_start:
            self._pending += out
            wanted = HEAD_BYTES if self._is_first else len(self._first_line)
            if len(self._pending) >= wanted or member_ends:
                out, self._pending = self._pending, b""
                self._at_start = False
                if self._is_first:
                    self._first_line = out[:HEAD_BYTES].split(b"\n", 1)[0].rstrip(b"\r")
                    self._is_first = False
                elif self._starts_line(out):
                    yield self._line_break()
            else:
                out = b""
        if out:
            self._last = out[-2:]
            yield out
        if member_ends:
            self._at_start = True

    def _starts_line(self, out: bytes) -> bool:
        if b"\n" in self._last or not self._last:
            return False
        header = self._first_line.removeprefix(codecs.BOM_UTF8)
        # A JSON document's first line can be a lone brace, with which a text cut in two may go on.
        is_header = bool(header) and not header.startswith((b"{", b"["))
        repeats = is_header and out.removeprefix(codecs.BOM_UTF8).startswith(header)
        return repeats or (self._last.endswith(b"}") and out.startswith(b"{"))

    def _line_break(self) -> bytes:
        if self._first_line.startswith(codecs.BOM_UTF16_LE):
            return b"\n\0"
        return b"\0\n" if self._first_line.startswith(codecs.BOM_UTF16_BE) else b"\n"


def check_ratio(name: str, unpacked: int, packed: int) -> None:
    """Refuse what unpacks to far more than exports do; raises InputError."""
    if unpacked > RATIO_FLOOR_BYTES and unpacked > MAX_RATIO * max(packed, 1):
        raise InputError(
            f"{name}: unpacks to more than {MAX_RATIO} times its size, which no export does: refused; "
            "if it is genuine, unpack it first"
        )
