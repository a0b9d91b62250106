"""Files that want to fill the memory, never end, or be more than a file; each built in a second or two.

A case writes what it has to say into a folder, beside sound exports of one invoice. What must come of it is one of:

- `refused`: exit code 2 and one line that names the file, because it could hold charges;
- `skipped`: the month is reconciled, and a notice names the file;
- `quarantined`: the month is reconciled, and the rows that cannot be read are findings.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.exports.written import INVOICE, RECON_HEADER, RECON_LINE, csv_text, json_lines, line, zipped

MIB = 1 << 20
PERIOD = "2025-11"
SOUND = csv_text([RECON_LINE])


@dataclass(frozen=True)
class Case:
    """A hostile file: how it is written, the name it is told by, what must come of it, and words of the message."""

    write: Callable[[Path], object]
    named: str
    outcome: str
    words: str = ""
    slow: bool = False


def write_sound_exports(folder: Path) -> None:
    """One line and its invoice."""
    folder.mkdir(parents=True)
    (folder / "recon-sound.csv").write_text(SOUND, newline="")
    (folder / "invoices.json").write_text(json.dumps([INVOICE]))


def _file(name: str, data: Callable[[], bytes | str]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        content = data()
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def other_lines(text: str = SOUND) -> str:
    """The same rows of another subscription, so that the file is not taken for a repeated one."""
    return text.replace(",s1,", ",s2,")


# --- archives ----------------------------------------------------------------------------------------------------


def _zeros(size: int) -> bytes:
    """A raw deflate stream of so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def _zip_of(entries: list[tuple[bytes, int, int, int, int]], body: bytes, comment: bytes = b"") -> bytes:
    """A ZIP archive by hand: entries of (name, crc, packed size, size, offset of the local header), above any body."""
    directory = b"".join(
        struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 8, 0, 0, crc, packed, size, len(name), 0, 0, 0, 0,
                    0, offset) + name
        for name, crc, packed, size, offset in entries
    )  # fmt: skip
    count = min(len(entries), 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), len(comment))
    return body + directory + end + comment


def _local(name: bytes, data: bytes, crc: int, size: int) -> bytes:
    head = struct.pack("<4s2B4HL2L2H", b"PK\x03\x04", 20, 0, 0, 8, 0, 0, crc, len(data), size, len(name), 0)
    return head + name + data


def _overlapping() -> bytes:
    """A thousand members that are all the same megabytes of zeros."""
    size = 20 * MIB
    data = _zeros(size)
    crc = zlib.crc32(bytes(size))
    body = _local(b"x0000", data, crc, size)
    return _zip_of([(b"x0000", crc, len(data), size, 0) for _ in range(1000)], body)


def _quine_like(depth: int) -> bytes:
    """Archives in archives, sixteen in each, with a gigabyte of zeros in the innermost in all."""
    inner = zipped({"zeros.csv": bytes(64 * MIB)})
    for _ in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(16):
                archive.writestr(f"{number}.zip", inner)
        inner = out.getvalue()
    return inner


def _inner_archives_of_rows() -> bytes:
    """Nested archives of thousands of members each, every one of which has to be unpacked to look at its members."""
    inner = zipped({f"{number}.csv": other_lines().encode() for number in range(3000)} | {"big": os.urandom(2 * MIB)})
    return zipped({f"{number}.zip": inner for number in range(20)})


def _many_entries(count: int) -> bytes:
    body = _local(b"a", b"\x03\x00", 0, 0)
    return _zip_of([(b"a", 0, 2, 0, 0)] * count, body)


def _huge_declared_size() -> bytes:
    data = _zeros(MIB)
    return _zip_of([(b"x.csv", 1, len(data), 0xFFFFFFF0, 0)], _local(b"x.csv", data, 1, 0xFFFFFFF0))


def _links_and_paths() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ("/etc/cron.d/evil", "../../../evil.csv", "C:\\Windows\\evil", "CON", "\\\\host\\share\\evil",
                     "a\nb\x1b[31m.csv", "~/.ssh/authorized_keys"):  # fmt: skip
            archive.writestr(name, b"harmless words\n" + name.encode())
    return out.getvalue()


def _gzip_ratio_below_the_limit() -> bytes:
    """Rows that shrink three hundred times: let through, and read in flat memory."""
    row = other_lines().split("\r\n")[1] + "\r\n"
    return gzip.compress((SOUND.split("\r\n")[0] + "\r\n").encode() + row.encode() + b"\r\n" * (30 * MIB), 6)


# --- texts -------------------------------------------------------------------------------------------------------


def _header() -> str:
    return ",".join(RECON_HEADER) + "\r\n"


def _rows(rows: Iterator[str] | list[str]) -> str:
    return other_lines() + "".join(rows)


def _cell_of(size: int) -> str:
    return other_lines() + other_lines().split("\r\n")[1].replace("Contoso", "x" * size) + "\r\n"


def _wide(columns: int) -> str:
    extra = ",".join(f"c{number}" for number in range(columns))
    head, row = other_lines().rstrip().split("\r\n")
    return f"{head},{extra}\r\n{row}{',' * columns}\r\n"


def _quotes_that_never_pair() -> str:
    """Every line's opening mark runs to the end of the block, where it turns out not to be closed."""
    return _header() + ("x" * 40 + '","\n') * (MIB // 2)


def _one_per_line(text: str, size: int) -> str:
    return json_lines([line(SubscriptionId="s2")]) + text * (size // len(text))


def _nested(depth: int) -> str:
    record = json.dumps(line(SubscriptionId="s2", Nested="@")).replace('"@"', "[" * depth + "]" * depth)
    return f'{{"items":[{record}]}}'


# --- Parquet -----------------------------------------------------------------------------------------------------


def _parquet(columns: dict[str, pa.Array], **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def _parquet_of_repeats(rows: int, size: int) -> bytes:
    """One large text, which all rows have: a few bytes each in the file."""
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    columns = {name: pa.array([RECON_LINE.get(name, "")] * rows) for name in RECON_HEADER}
    return _parquet(columns | {"CustomerName": repeated}, compression="zstd", use_dictionary=True)


def _parquet_of_nulls(rows: int) -> bytes:
    out = io.BytesIO()
    nulls = pa.nulls(MIB, pa.string())
    table = pa.table(dict.fromkeys(RECON_HEADER, nulls))
    with pq.ParquetWriter(out, table.schema, compression="zstd") as writer:
        for _ in range(rows // len(nulls)):
            writer.write_table(table, row_group_size=len(nulls))
    return out.getvalue()


def _parquet_page(size: int) -> bytes:
    """A single value that unpacks to so many bytes."""
    columns = {name: pa.array([RECON_LINE.get(name)]) for name in RECON_HEADER}
    large = pa.array(["x" * size], pa.large_string())
    return _parquet(columns | {"CustomerName": large}, compression="zstd", use_dictionary=False)


def _parquet_footer(length: int) -> bytes:
    whole = _parquet({name: pa.array([RECON_LINE.get(name)]) for name in RECON_HEADER})
    return whole[:-8] + struct.pack("<L", length) + b"PAR1"


# --- what is no file ---------------------------------------------------------------------------------------------


def _socket(folder: Path) -> None:
    # A socket's path may have no more than some 100 characters.
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("exports.sock")
    finally:
        os.chdir(here)


def _many_files(folder: Path) -> None:
    (folder / "many").mkdir()
    (folder / "many" / "0.csv").write_text("a\n")
    for number in range(1, 20_000):
        os.link(folder / "many" / "0.csv", folder / "many" / f"{number}.csv")


def _name(name: str | bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:  # noqa: PTH118, PTH123
            file.write(other_lines().encode())

    return write


CASES: dict[str, Case] = {
    "zip bomb": Case(_file("b.zip", lambda: zipped({"x.csv": bytes(80 * MIB)})), "b.zip", "refused", "times its size"),
    "overlapping zip": Case(_file("b.zip", _overlapping), "b.zip", "refused"),
    "zips in zips in zips": Case(_file("b.zip", lambda: _quine_like(3)), "b.zip", "refused"),
    "zips of rows in a zip": Case(_file("b.zip", _inner_archives_of_rows), "b.zip", "refused", slow=True),
    "huge declared size": Case(_file("b.zip", _huge_declared_size), "b.zip", "refused"),
    "20,000 entries": Case(_file("b.zip", lambda: _many_entries(20_000)), "b.zip", "refused", "members"),
    "400,000 entries": Case(_file("b.zip", lambda: _many_entries(400_000)), "b.zip", "refused"),
    "links and paths in a zip": Case(_file("b.zip", _links_and_paths), "b.zip", "skipped"),
    "gzip bomb": Case(_file("b.gz", lambda: gzip.compress(bytes(80 * MIB), 9)), "b.gz", "skipped"),
    "gzip bomb of rows": Case(
        _file("b.gz", lambda: gzip.compress(SOUND.encode() + (b" " * MIB + b"\n") * 80, 9)), "b.gz",
        "refused", "times"),
    "gzip bomb of many members": Case(
        _file("b.gz", lambda: gzip.compress(SOUND.encode()) + gzip.compress((b" " * MIB + b"\n") * 20, 9) * 4),
        "b.gz", "refused", "times"),
    "gzip of a million empty members": Case(
        _file("b.gz", lambda: gzip.compress(other_lines().encode()) + gzip.compress(b"") * MIB), "b.gz", "refused",
        "members"),
    "gzip of empty lines": Case(_file("b.gz", _gzip_ratio_below_the_limit), "b.gz", "refused", "few characters"),
    "gzip in gzip": Case(
        _file("b.gz", lambda: gzip.compress(gzip.compress(SOUND.encode()))), "b.gz", "skipped", "twice"),
    "a cell of 100 MB": Case(_file("c.csv", lambda: _cell_of(100 * MIB)), "c.csv", "refused", "row 3"),
    "a cell of 1 MB": Case(_file("c.csv", lambda: _cell_of(MIB)), "c.csv", "read"),
    "a million columns": Case(_file("c.csv", lambda: _wide(1_000_000)), "c.csv", "refused", "columns"),
    "ten thousand columns": Case(_file("c.csv", lambda: _wide(5_000)), "c.csv", "refused", "columns"),
    "no line end": Case(_file("c.csv", lambda: _header() + "x" * (40 * MIB)), "c.csv", "refused", "row 2"),
    "no line end in JSON Lines": Case(
        _file("c.json", lambda: json_lines([RECON_LINE]) + '{"a":"' + "x" * (40 * MIB)), "c.json", "refused"),
    "quotes that never pair": Case(_file("c.csv", _quotes_that_never_pair), "c.csv", "refused", "quotation mark"),
    "rows of one character": Case(_file("c.csv", lambda: _rows(["a\n"] * (4 * MIB))), "c.csv", "refused"),
    "rows of delimiters": Case(
        _file("c.csv", lambda: _rows(["," * (len(RECON_HEADER) - 1) + "\n"] * 400_000)), "c.csv", "read"),
    "rows without a number": Case(
        _file("c.csv", lambda: _rows([SOUND.split("\r\n")[1].replace("176.00", "x") + "\n"] * 300_000)), "c.csv",
        "refused", "cannot be read", slow=True),
    "lines of empty objects": Case(_file("c.json", lambda: _one_per_line("{}\n", 20 * MIB)), "c.json", "refused"),
    "lines of arrays": Case(_file("c.json", lambda: _one_per_line("[]\n", 20 * MIB)), "c.json", "refused"),
    "deep nesting": Case(_file("c.json", lambda: "[" * MIB + "]" * MIB), "c.json", "refused", "nested"),
    "nesting that just decodes": Case(_file("c.json", lambda: _nested(900)), "c.json", "refused", "nested"),
    "deep nesting in a line": Case(
        _file("c.json", lambda: json_lines([RECON_LINE]) + '{"a":' + "[" * MIB + "]" * MIB + "}\n"), "c.json",
        "quarantined"),
    "an array of many": Case(
        _file("c.json", lambda: "[" + json.dumps(RECON_LINE) + ",[]" * (8 * MIB) + "]"), "c.json", "refused"),
    "a large document": Case(
        _file("c.json", lambda: '{"a":"\U0001f600'.encode() + b"x" * (140 * MIB) + b'"}'), "c.json", "refused",
        "JSON Lines"),
    "NUL bytes": Case(_file("c.csv", lambda: other_lines().replace("Contoso", "Con\0toso")), "c.csv", "skipped"),
    "NUL bytes further on": Case(
        _file("c.csv", lambda: _rows([SOUND.split("\r\n")[1].replace("Contoso", n) + "\r\n"
                                      for n in ["fine" * 20] * 500 + ["Con\0toso"]])), "c.csv", "quarantined"),
    "NUL in JSON": Case(
        _file("c.json", lambda: json.dumps([line(SubscriptionId="s2", CustomerName="Con\0toso")])), "c.json",
        "quarantined"),
    "invalid UTF-8": Case(
        _file("c.csv", lambda: other_lines().encode().replace(b"Contoso", b"Con\xff\xfe")), "c.csv", "quarantined"),
    "invalid UTF-16": Case(
        _file("c.csv", lambda: other_lines().encode("utf-16") + b"\x00\xd8" * 9), "c.csv", "refused", "UTF-16"),
    "lone surrogates": Case(
        _file("c.json", lambda: json.dumps([line(SubscriptionId="s2", CustomerName="\ud800")])), "c.json",
        "quarantined"),
    "direction overrides": Case(
        _file("c.csv", lambda: other_lines().replace("Contoso", "\u202eosotnoC\u2066\x1b[2J\x9b31m")), "c.csv", "read"),
    "duplicate headers": Case(
        _file("c.csv", lambda: other_lines().replace("TaxTotal", "Subtotal", 1)), "c.csv", "refused", "stands twice"),
    "Parquet of one repeated text": Case(
        _file("c.parquet", lambda: _parquet_of_repeats(50_000, MIB)), "c.parquet", "refused"),
    "Parquet of nothing but nulls": Case(
        _file("c.parquet", lambda: _parquet_of_nulls(2 * MIB)), "c.parquet", "refused"),
    "Parquet with a page of 100 MiB": Case(
        _file("c.parquet", lambda: _parquet_page(100 * MIB)), "c.parquet", "refused"),
    "Parquet with an absurd footer": Case(
        _file("c.parquet", lambda: _parquet_footer(0xFFFFFFF0)), "c.parquet", "refused", "damaged"),
    "Parquet of 20,000 columns": Case(
        _file("c.parquet", lambda: _parquet({n: pa.array(["x"]) for n in
                                             [*RECON_HEADER, *map(str, range(20_000))]})), "c.parquet", "refused",
        "columns", slow=True),
    "a named pipe": Case(lambda folder: os.mkfifo(folder / "pipe.csv"), "pipe.csv", "skipped", "no regular file"),
    "a socket": Case(_socket, "exports.sock", "skipped", "no regular file"),
    "a device": Case(lambda folder: (folder / "zero.csv").symlink_to("/dev/zero"), "zero.csv", "skipped", "no regular"),
    "a link to itself": Case(lambda folder: (folder / "loop.csv").symlink_to("loop.csv"), "loop.csv", "refused"),
    "a link to nowhere": Case(lambda folder: (folder / "gone.csv").symlink_to("nowhere"), "gone.csv", "refused"),
    "a folder linked into itself": Case(lambda folder: (folder / "again").symlink_to("."), "again", "skipped"),
    "20,000 files": Case(_many_files, "exports", "refused", "files"),
    "a name of control characters": Case(_name("a\n\x1b]0;owned\x07\x9b2J\u202e.csv"), "owned", "read"),
    "a name that is no UTF-8": Case(_name(b"caf\xe9-\xff.csv"), "caf", "read"),
}  # fmt: skip
