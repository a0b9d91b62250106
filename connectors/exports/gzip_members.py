"""Unpack gzip files, also of several members, as a stream."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator

from connectors.exports import limits
from transforms.errors import InputError

#: Packed bytes that are unpacked at a time: what is left of them when a member ends is copied, so that for a file of
#: millions of tiny members a megabyte at a time would be copied millions of times.
_STEP_BYTES = 1 << 14


def gunzip(raw: Iterator[bytes], name: str, size: int | None = None) -> Iterator[bytes]:
    """Unpack gzip members one after the other, each starting on a line of its own where it repeats the header.

    Args:
        raw: the packed bytes, piece by piece.
        name: the file, for messages.
        size: how many bytes it takes in the delivered file, where the packed bytes are packed once more there.

    Raises:
        InputError: the data is damaged, ends too early, or unpacks to suspiciously much.
    """
    seams = _Seams()
    inflater: zlib._Decompress | None = None
    packed = unpacked = members = 0
    for piece in _steps(raw):
        chunk = piece
        packed += len(piece)
        while chunk:
            if inflater is None:
                chunk = chunk.lstrip(b"\0")  # padding between or after members
                if not chunk:
                    break
                inflater = zlib.decompressobj(wbits=31)
                members += 1
                if members > limits.MAX_MEMBERS and packed < members * limits.MIN_GZIP_MEMBER_BYTES:
                    raise InputError(f"{name}: it has {members:,} gzip members of a few bytes, which no export has")
            try:
                out = inflater.decompress(chunk, limits.CHUNK_BYTES)
            except zlib.error as error:
                raise InputError(f"{name}: the gzip data is damaged: deliver the file again") from error
            unpacked += len(out)
            limits.check_ratio(name, unpacked, packed if size is None else min(packed, size))
            yield from seams.pass_on(out, member_ends=inflater.eof)
            if inflater.eof:
                chunk, inflater = inflater.unused_data, None
            else:
                chunk = inflater.unconsumed_tail
    while inflater is not None and not inflater.eof:
        out = inflater.flush(limits.CHUNK_BYTES)
        if not inflater.eof:
            raise InputError(f"{name}: the gzip data ends too early (truncated): copy or download the file again")
        yield from seams.pass_on(out, member_ends=True)


def _steps(raw: Iterator[bytes]) -> Iterator[bytes]:
    for piece in raw:
        for start in range(0, len(piece), _STEP_BYTES):
            yield piece[start : start + _STEP_BYTES]


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
            wanted = limits.HEAD_BYTES if self._is_first else len(self._first_line)
            if len(self._pending) >= wanted or member_ends:
                out, self._pending = self._pending, b""
                self._at_start = False
                if self._is_first:
                    self._first_line = out[:limits.HEAD_BYTES].split(b"\n", 1)[0].rstrip(b"\r")
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
