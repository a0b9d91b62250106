"""Which files of a folder count where a source keeps several versions of the same export.

What is fetched lies in folders of versions, `v0001-1a2b3c4d`, `v0002-…`, beside each other; the last file written into
one is its manifest. Whoever reads the folders above takes the files of the highest version that has a manifest, and
nothing of the others: one that is being fetched cannot be seen, and one that is superseded does not count twice. The
names alone tell, so that the rule holds on a disk and on an object store.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MANIFEST = "manifest.json"
#: The folder of the landing zone in which fetched exports land.
PARTNER_CENTER = "partner-center"

_VERSION = re.compile(r"v(\d{4,})-[0-9a-f]{8}")
_PERIOD = re.compile(r"\d{4}-\d{2}")


class FetchedFile(NamedTuple):
    """A file of an export that was fetched: of which period, where below that, and whether it is the manifest."""

    period: str
    place: str
    is_manifest: bool


def version_name(number: int, digest: str) -> str:
    """The name of a version's folder; `digest` (hexadecimal) tells what it is a version of."""
    return f"v{number:04d}-{digest[:8]}"


def version_number(name: str) -> int | None:
    """The number of a version by the name of its folder; None where a folder is none."""
    found = _VERSION.fullmatch(name)
    return int(found[1]) if found else None


def version_folder(path: Path) -> str:
    """The folder of the version that a file is a part of; empty where it is part of none."""
    return "" if version_number(path.parent.name) is None else str(path.parent)


def fetched_file(place: str) -> FetchedFile | None:
    """What a place in the landing zone says of a file that was fetched; None of any other file.

    Args:
        place: `partner-center/<period>/<dataset>/<key>/<version>/<name>`, with slashes.
    """
    source, _, below = place.partition("/")
    period, *parts = below.split("/")
    if source != PARTNER_CENTER or not _PERIOD.fullmatch(period) or len(parts) != 4 or version_number(parts[2]) is None:
        return None
    return FetchedFile(period, "/".join(parts), parts[3] == MANIFEST)


def counted(paths: Iterable[str]) -> list[str]:
    """Leave out manifests, and the files of versions that are incomplete or superseded.

    Args:
        paths: of files, relative to the folder that is read, with slashes. A version that this folder itself is, or
            is within, was asked for by name: all of its files count.
    """
    kept: list[str] = []
    versions: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    complete: set[tuple[str, int]] = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        above, _, last = folder.rpartition("/")
        number = version_number(last)
        if number is None:
            kept.append(path)
        elif name == MANIFEST:
            complete.add((above, number))
        else:
            versions[above][number].append(path)
    for above, numbers in versions.items():
        shown = max((number for number in numbers if (above, number) in complete), default=None)
        latest = max((number for place, number in complete if place == above), default=None)
        if shown is not None and shown == latest:
            kept += numbers[shown]
    return sorted(kept)
