"""Prepared rows that a worker process hands to the one that writes, through files on this machine.

Rows are in Arrow's own format, mapped into memory by whoever takes them and not copied; what is for PostgreSQL is the
bytes of COPY. A file is gone as soon as it is taken, so that little of it ever reaches the disk.
"""

from __future__ import annotations

import mmap
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from connectors.warehouse.bulk import Prepared
from transforms.errors import RemoteError


@dataclass(frozen=True)
class Handed:
    """Prepared rows without the rows, and the file that holds them."""

    prepared: Prepared
    file: Path


def hand_over(prepared: Prepared, folder: Path) -> Handed:
    """Write prepared rows into a folder.

    Raises:
        RemoteError: there is no room for them.
    """
    file = folder / uuid.uuid4().hex
    try:
        if prepared.rows is None:
            with file.open("wb") as opened:
                opened.writelines(prepared.pieces)
        else:
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, prepared.rows.schema) as stream:
                stream.write_table(prepared.rows)
    except OSError as error:
        raise RemoteError(f"{file}: a part cannot be written: {error}; make room and run again") from None
    return Handed(replace(prepared, rows=None, pieces=()), file)


def take_over(handed: Handed, *, arrow: bool) -> Prepared:
    """Take prepared rows and remove their file.

    Args:
        handed: what `hand_over` returned.
        arrow: whether they are for DuckDB.
    """
    prepared = handed.prepared
    if prepared.count:
        if arrow:
            rows = pa.ipc.open_stream(pa.memory_map(str(handed.file))).read_all()
            prepared = replace(prepared, rows=rows)
        else:
            with handed.file.open("rb") as opened:
                prepared = replace(prepared, pieces=(memoryview(mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)),))
    handed.file.unlink()
    return prepared
