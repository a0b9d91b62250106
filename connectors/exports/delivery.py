"""Read a delivery: every export in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from connectors.exports.containers import Content, Form, open_contents
from connectors.exports.identify import Identity, not_an_export, shown_path, unknown
from connectors.exports.kinds import UNKNOWN, missing_sentence, recognise
from connectors.exports.opening import open_source
from connectors.exports.reader import FileRows, export_schema, read_rows, rejected_schema
from transforms.errors import InputError
from transforms.tables import EXPORT_TABLES


@dataclass(frozen=True)
class SourceFile:
    """One export that was read: a file, or a member of an archive.

    Attributes:
        path: the file on disk.
        source_file: the name that its rows carry, `file.csv` or `archive.zip!member.csv`.
        file_sha256: SHA-256 of the file on disk.
        kind: invoice_recon, daily_usage, price_list or invoices.
        byte_count: size of the file on disk.
        row_count: rows that were read.
        rejected_count: rows that could not be.
        modified_at: when the file on disk was last changed, UTC.
    """

    path: Path
    source_file: str
    file_sha256: str
    kind: str
    byte_count: int
    row_count: int
    rejected_count: int
    modified_at: datetime


@dataclass(frozen=True)
class Delivery:
    """What a folder of exports holds.

    Attributes:
        files: the exports that were read, in the order of their paths.
        tables: for each of the four kinds all its rows, as `EXPORT_TABLES` without `line_id` and `period`.
        rejected: rows that could not be read, as `QUARANTINE` without `period`.
        skipped: files that are no exports, and repeated ones.
    """

    files: list[SourceFile]
    tables: dict[str, pa.Table]
    rejected: pa.Table
    skipped: list[Identity]


@dataclass(frozen=True)
class _Read:
    content: Content
    file: SourceFile
    rows: FileRows


def read_delivery(location: str | Path) -> Delivery:
    """Read every export in a folder and its subfolders, or a single file.

    Files with the same bytes, packed or not, are read once; rows are never dropped for being equal. Hidden files are
    ignored, files that are no exports are listed as skipped.

    Raises:
        InputError: the folder is missing or empty; or a file is an export that cannot be read as a whole (damaged,
            truncated, malformed, a required column missing, legacy): leaving it out would lose charges.
    """
    paths = _delivered_paths(Path(location))
    reads: list[_Read] = []
    skipped: list[Identity] = []
    first_paths: dict[str, Path] = {}
    for path in paths:
        for content in open_contents(path):
            first = first_paths.setdefault(content.file_sha256, path)
            if first != path:
                skipped.append(_repeated(content, first.name))
                break
            found = _read(content)
            if isinstance(found, Identity):
                skipped.append(found)
            else:
                reads.append(found)
    reads = _without_repeats(reads, skipped)
    return Delivery(
        files=[read.file for read in reads],
        tables={
            kind: pa.concat_tables(
                [export_schema(kind).empty_table(), *(read.rows.rows for read in reads if read.file.kind == kind)]
            )
            for kind in EXPORT_TABLES
        },
        rejected=pa.concat_tables([rejected_schema().empty_table(), *(read.rows.rejected for read in reads)]),
        skipped=skipped,
    )


def _delivered_paths(location: Path) -> list[Path]:
    if location.is_file():
        return [location]
    if not location.is_dir():
        raise InputError(f"{location}: there is no such folder of exports: create it or name another one")
    paths = sorted(
        path
        for path in location.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(location).parts)
    )
    if not paths:
        raise InputError(f"{location}: the folder of exports is empty: put the partner exports there")
    return paths


def _read(content: Content) -> _Read | Identity:
    if content.form is Form.BROKEN:
        raise InputError(content.remark)
    if content.form is Form.OTHER:
        return not_an_export(content)
    source = open_source(content)
    recognition = recognise(source.names)
    if recognition.is_refused:
        raise InputError(f"{content.source_file}: {recognition.problem}")
    if recognition.kind == UNKNOWN:
        return not_an_export(content, recognition)
    if recognition.missing and not source.absent_is_null:
        raise InputError(f"{content.source_file}: {missing_sentence(recognition.kind, recognition.missing)}")
    rows = read_rows(content, source, recognition.kind)
    file = SourceFile(
        path=content.path,
        source_file=content.source_file,
        file_sha256=content.file_sha256,
        kind=recognition.kind,
        byte_count=content.byte_count,
        row_count=rows.rows.num_rows,
        rejected_count=rows.rejected.num_rows,
        modified_at=content.modified_at,
    )
    return _Read(content, file, rows)


def _repeated(content: Content, first: str) -> Identity:
    return unknown(shown_path(content), content.file_sha256, f"the same content as {first}, which is read once")


def _without_repeats(reads: Iterable[_Read], skipped: list[Identity]) -> list[_Read]:
    """Leave out files whose unpacked content was read before, as when an export lies there packed and unpacked.

    Only files with equal counts are unpacked a second time to compare.
    """
    by_counts: dict[tuple[str, int, int], list[_Read]] = {}
    for read in reads:
        by_counts.setdefault((read.file.kind, read.file.row_count, read.file.rejected_count), []).append(read)
    kept: list[_Read] = []
    first_names: dict[str, str] = {}
    for read in reads:
        alike = by_counts[read.file.kind, read.file.row_count, read.file.rejected_count]
        if len(alike) > 1:
            digest = hashlib.blake2b()
            for chunk in read.content.chunks():
                digest.update(chunk)
            if first := first_names.get(digest.hexdigest()):
                skipped.append(_repeated(read.content, first))
                continue
            first_names[digest.hexdigest()] = read.file.source_file
        kept.append(read)
    return kept
