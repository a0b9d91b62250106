"""Rows that one process hands to another, as Parquet files in a folder that both of them see.

The folder may be anything that fsspec knows: a path, or a URL of an object store. Values come back as they were:
decimals with every digit, texts dictionary-encoded where they were.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.addresses import masked
from transforms.errors import RemoteError, SettingsError


@dataclass(frozen=True)
class PartsFolder:
    """The folder of one run; a value that can be sent to another process.

    Attributes:
        location: absolute path or URL.
    """

    location: str

    @classmethod
    def make(cls, parent: str, name: str) -> PartsFolder:
        """Make a folder in another one.

        Raises:
            SettingsError: it cannot be made.
        """
        location = f"{parent.rstrip('/')}/{name}" if "://" in parent else str(Path(parent, name).absolute())
        folder = cls(location)
        try:
            files, root = folder._files()
            files.makedirs(root, exist_ok=True)
        except (OSError, ValueError, ImportError) as error:
            raise SettingsError(f"{masked(location)}: the folder for parts cannot be made: {error}") from None
        return folder

    def write(self, rows: pa.Table) -> str:
        """Write rows as a file of its own and return its name.

        Raises:
            RemoteError: it cannot be written.
        """
        files, root = self._files()
        name = f"{uuid.uuid4().hex}.parquet"
        columns = [_distinct(column) for column in rows.columns]
        texts = [name for name, column in zip(rows.column_names, columns, strict=True)
                 if pa.types.is_dictionary(column.type)]  # fmt: skip
        table = pa.Table.from_arrays(columns, names=rows.column_names)
        try:
            pq.write_table(table, f"{root}/{name}", filesystem=files, compression="lz4", use_dictionary=texts,
                           write_statistics=False)  # fmt: skip
        except OSError as error:
            raise RemoteError(f"{masked(self.location)}: a part cannot be written: {error}; run again") from None
        return name

    def take(self, name: str) -> pa.Table:
        """Read the rows of a file and remove it.

        Raises:
            RemoteError: it is not there or cannot be read.
        """
        files, root = self._files()
        try:
            with pq.ParquetFile(f"{root}/{name}", filesystem=files) as file:
                rows = file.read()
            files.rm_file(f"{root}/{name}")
        except OSError as error:
            raise RemoteError(
                f"{masked(self.location)}: a part that a worker wrote cannot be read: {error}; all workers and this "
                "process need the same folder"
            ) from None
        return rows

    def remove(self) -> None:
        """Remove the folder with what is left in it."""
        files, root = self._files()
        # An object store has no folders: without files there is nothing to remove.
        if files.exists(root):
            files.rm(root, recursive=True)

    def _files(self) -> tuple[Any, str]:
        files, root = fsspec.url_to_fs(self.location)
        return files, root


def _distinct(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column, its dictionary anew where it has a text twice or none as a text, which Parquet cannot have."""
    if not pa.types.is_dictionary(column.type):
        return column
    for chunk in column.chunks:
        if chunk.dictionary.null_count or pc.count_distinct(chunk.dictionary).as_py() < len(chunk.dictionary):
            return column.cast(column.type.value_type).dictionary_encode()
    return column
