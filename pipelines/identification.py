"""Saying what files are: apart from what needs the warehouse or HaloPSA, because importing those takes a second."""

from __future__ import annotations

from pathlib import Path

from connectors.exports.identify import Identity, identify
from connectors.landed_versions import counted
from pipelines.progress import tell_progress
from transforms.errors import InputError

IDENTITY_COLUMNS = ["path", "kind", "rows", "period", "invoices", "currency", "problem"]


def identify_paths(paths: list[Path]) -> list[Identity]:
    """What every file is; folders are looked into, and a file named twice is looked at once.

    Raises:
        InputError: a path does not exist.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InputError(f"there is no {', '.join(missing)}: name files or folders that exist")
    files: dict[Path, None] = {}
    for path in paths:
        inside = _files_in(path) if path.is_dir() else [path]
        files |= dict.fromkeys(inside)
    found: list[Identity] = []
    for done, file in enumerate(files):
        tell_progress("looking at files", done, len(files))
        found += identify(file)
    return found


def _files_in(folder: Path) -> list[Path]:
    """Every file in a folder and its subfolders; of fetched versions those of the latest complete one."""
    names = (one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    return sorted(folder / name for name in counted(names))
