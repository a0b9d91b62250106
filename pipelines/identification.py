"""Saying what files are: apart from what needs the warehouse or HaloPSA, because importing those takes a second."""

from __future__ import annotations

from pathlib import Path

from connectors.exports.delivery import delivered_paths
from connectors.exports.identify import Identity, identify
from pipelines.progress import tell_progress
from transforms.errors import InputError

IDENTITY_COLUMNS = ["path", "kind", "rows", "period", "invoices", "currency", "problem"]


def identify_paths(paths: list[Path]) -> list[Identity]:
    """What every file is; folders are looked into, and a file named twice is looked at once.

    Raises:
        InputError: a path does not exist.
    """
    missing = [str(path) for path in paths if not path.exists() and not path.is_symlink()]
    if missing:
        raise InputError(f"there is no {', '.join(missing)}: name files or folders that exist")
    files: dict[Path, None] = {}
    for path in paths:
        files |= dict.fromkeys(one for one in delivered_paths(path) if one == path or not one.is_dir())
    found: list[Identity] = []
    for done, file in enumerate(files):
        tell_progress("looking at files", done, len(files))
        found += identify(file)
    return found
