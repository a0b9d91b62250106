"""Saying what files are: apart from what needs the warehouse or HaloPSA, because importing those takes a second."""

from __future__ import annotations

from pathlib import Path

from connectors.exports.identify import Identity, identify
from transforms.errors import InputError

IDENTITY_COLUMNS = ["path", "kind", "rows", "period", "invoices", "currency", "problem"]


def identify_paths(paths: list[Path]) -> list[Identity]:
    """What every file is; folders are looked into, and a file named twice is looked at once.

    Raises:
        InputError: a path does not exist.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InputError(f"there is no {', '.join(missing)}")
    files: dict[Path, None] = {}
    for path in paths:
        inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        files |= dict.fromkeys(inside)
    return [identity for file in files for identity in identify(file)]
