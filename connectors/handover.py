"""What worker processes hand to the one that writes, through files on this machine.

Rows are in Arrow's own format, mapped into memory by whoever takes them and not copied; what is for PostgreSQL is the
bytes of COPY. A file is gone as soon as it is taken, so that little of it ever reaches the disk.
"""

from __future__ import annotations

import mmap
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from connectors.warehouse.bulk import Prepared
from transforms.errors import RemoteError


def hand_over(rows: pa.Table, folder: Path) -> Path:
    """Write rows into a folder and give the file.

    Raises:
        RemoteError: there is no room for them.
    """
    with _new_file(folder) as file, pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return file


def take_over(file: Path) -> pa.Table:
    """Take the rows of a file of `hand_over` and remove it."""
    rows = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    file.unlink()
    return rows


@dataclass(frozen=True)
class Handed:
    """Prepared rows without the rows, the file that holds them, and whether that is one of `hand_over`."""

    prepared: Prepared
    file: Path
    is_arrow: bool


def hand_over_prepared(prepared: Prepared, folder: Path) -> Handed:
    """The same for rows that are ready to be written.

    Raises:
        RemoteError: there is no room for them.
    """
    if prepared.rows is not None:
        return Handed(replace(prepared, rows=None), hand_over(prepared.rows, folder), True)
    with _new_file(folder) as file, file.open("wb") as opened:
        opened.writelines(prepared.pieces)
    return Handed(replace(prepared, pieces=()), file, False)


def take_over_prepared(handed: Handed) -> Prepared:
    """Take what `hand_over_prepared` gave and remove its file."""
    prepared = handed.prepared
    if handed.is_arrow:
        return replace(prepared, rows=take_over(handed.file))
    if prepared.count:
        with handed.file.open("rb") as opened:
            prepared = replace(prepared, pieces=(memoryview(mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)),))
    handed.file.unlink()
    return prepared


@contextmanager
def _new_file(folder: Path) -> Iterator[Path]:
    file = folder / uuid.uuid4().hex
    try:
        yield file
    except OSError as error:
        raise RemoteError(f"{file}: a part cannot be written: {error}; make room and run again") from None
