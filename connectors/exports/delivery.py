"""A delivery: every export in a folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connectors.exports.batches import Source
from connectors.exports.containers import NO_FILE, Content, Form, open_contents
from connectors.exports.delivered import Delivered, find_delivered
from connectors.exports.identify import Identity, not_an_export, shown_path, unknown
from connectors.exports.kinds import UNKNOWN, missing_sentence, recognise
from connectors.exports.opening import open_source
from connectors.exports.reader import ExportReader
from connectors.progress import Progress, silent
from transforms.errors import InputError


@dataclass(frozen=True)
class SourceFile:
    """One export that was read: a file, or a member of an archive.

    Attributes:
        source_file: the name that its rows carry, `file.csv` or `archive.zip!member.csv`.
        file_sha256: SHA-256 of the file on disk.
        kind: invoice_recon, daily_usage, price_list or invoices.
        byte_count: size of the file on disk.
        row_count: rows that were read.
        rejected_count: rows that could not be.
    """

    source_file: str
    file_sha256: str
    kind: str
    byte_count: int
    row_count: int
    rejected_count: int


@dataclass(frozen=True)
class Export:
    """One export of a folder: a file, or a member of an archive, of a known kind.

    Another process that unpickles it opens the file anew: by its head, and without a digest of the whole.
    """

    content: Content
    source: Source
    kind: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (replace(self.content, path=self.content.path.absolute()), self.kind)

    def reader(self) -> ExportReader:
        """Reads its rows; it can be read repeatedly."""
        return ExportReader(self.content, self.source, self.kind)

    def about_rows(self) -> int:
        """About how many rows it has, by the length of the first ones; 0 where it is packed or no delimited text."""
        if self.source.ranges is None:
            return 0
        head = self.content.head()
        lines = max(head.count(b"\n"), 1)
        if len(head) >= self.content.byte_count:
            return max(lines - 1, 1)
        return lines * self.content.byte_count // len(head)

    def file(self, reader: ExportReader) -> SourceFile:
        """The export as a source file, when the reader has read it."""
        content = self.content
        return SourceFile(
            source_file=content.source_file,
            file_sha256=content.file_sha256,
            kind=self.kind,
            byte_count=content.byte_count,
            row_count=reader.row_count,
            rejected_count=reader.rejected_count,
        )


@dataclass(frozen=True)
class Delivery:
    """What a folder of exports holds.

    Attributes:
        exports: the exports, in the order of their paths.
        skipped: files that are no exports, and repeated ones.
        hold: keeps copies of a store's objects in place for as long as they may be read.
    """

    exports: list[Export]
    skipped: list[Identity]
    hold: Any = None

    def of_kind(self, kind: str) -> dict[int, Export]:
        """The exports of a kind, by their place among all."""
        return {place: export for place, export in enumerate(self.exports) if export.kind == kind}


def open_delivery(location: str | Path, cache: Path | None = None, progress: Progress = silent) -> Delivery:
    """Find every export in a folder and its subfolders, or below a URL, or take a single file or object.

    Files with the same bytes, packed or not, are taken once; rows are never dropped for being equal. Hidden files are
    ignored, files that are no exports are listed as skipped. Of fetched versions the latest complete one is taken.

    Args:
        location: path or URL.
        cache: folder for copies of a store's objects; a URL needs one.
        progress: is told how far copying is.

    Raises:
        InputError: the folder is missing or empty; or a file is an export that cannot be read as a whole (damaged,
            truncated, malformed, a required column missing, legacy): leaving it out would lose charges.
        SettingsError, RemoteError: the store denies access or fails.
    """
    exports: list[Export] = []
    skipped: list[Identity] = []
    found: dict[int, list[Content]] = {}
    found_there = find_delivered(str(location), cache, progress)
    names = Counter(file.name for file in found_there.files)
    for file in found_there.files:
        opened = _opened(file)
        if isinstance(opened, Identity):
            skipped.append(opened)
            continue
        if names[file.name] > 1:
            opened = [replace(content, label=file.place) for content in opened]
        if first := _same_file(opened[0], found):
            skipped.append(_repeated(opened[0], first.name))
            continue
        for content in opened:
            recognised = _recognised(content)
            if isinstance(recognised, Identity):
                skipped.append(recognised)
            else:
                exports.append(recognised)
    return Delivery(_without_repeats(exports, skipped), skipped, found_there.hold)


def _reopened(content: Content, kind: str) -> Export:
    return Export(content, open_source(content), kind)


def _opened(file: Delivered) -> list[Content] | Identity:
    """What a file holds; an identity where it is no file at all."""
    if file.path.is_dir():
        return unknown(file.shown, None, "a link to a folder, which is not followed: name that folder with --exports")
    if file.path.exists() and not file.path.is_file():
        return unknown(file.shown, None, NO_FILE)
    return open_contents(file)


def _same_file(content: Content, found: dict[int, list[Content]]) -> Content | None:
    """A file of the same bytes among those found, by size; where there is none, it joins them.

    Of files of different sizes no digest is asked, which may still be under way.
    """
    alike = found.setdefault(content.byte_count, [])
    first = next((other for other in alike if other.file_sha256 == content.file_sha256), None)
    if first is None:
        alike.append(content)
    return first


def _recognised(content: Content) -> Export | Identity:
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
    return Export(content, source, recognition.kind)


def _repeated(content: Content, first: str) -> Identity:
    return unknown(shown_path(content), content.file_sha256, f"the same content as {first}, which is read once")


def _without_repeats(exports: list[Export], skipped: list[Identity]) -> list[Export]:
    """Leave out files whose unpacked content was read before, as when an export lies there packed and unpacked.

    Only files that begin alike are unpacked as a whole to compare.
    """
    heads = [hashlib.blake2b(export.content.head()).digest() + export.kind.encode() for export in exports]
    alike = Counter(heads)
    kept: list[Export] = []
    first_names: dict[str, str] = {}
    for export, head in zip(exports, heads, strict=True):
        if alike[head] > 1:
            digest = hashlib.blake2b()
            for chunk in export.content.chunks():
                digest.update(chunk)
            if first := first_names.get(digest.hexdigest()):
                skipped.append(_repeated(export.content, first))
                continue
            first_names[digest.hexdigest()] = export.content.source_file
        kept.append(export)
    return kept
