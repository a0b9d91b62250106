"""Saying what files are: apart from what needs the warehouse or HaloPSA, because importing those takes a second."""

from __future__ import annotations

from pathlib import Path

from connectors.exports.delivered import Delivered, delivered_file, find_delivered
from connectors.exports.identify import Identity, identify
from connectors.landed_versions import counted
from pipelines.progress import tell_progress
from transforms.addresses import is_url, local_path
from transforms.errors import InputError

IDENTITY_COLUMNS = ["path", "kind", "rows", "period", "invoices", "currency", "problem"]


def identify_paths(locations: list[str]) -> list[Identity]:
    """What every file is; folders and URLs are looked into, and a file named twice is looked at once.

    Raises:
        InputError: a path does not exist.
        SettingsError, RemoteError: a store denies access or fails.
    """
    missing = [one for one in locations if not is_url(one) and not Path(local_path(one)).exists()]
    if missing:
        raise InputError(f"there is no {', '.join(missing)}: name files or folders that exist")
    files: dict[Delivered, None] = {}
    holds = []
    for location in locations:
        if is_url(location):
            there, hold = _in_store(location)
            files |= dict.fromkeys(there)
            holds.append(hold)
            continue
        path = Path(local_path(location))
        inside = _files_in(path) if path.is_dir() else [path]
        files |= dict.fromkeys(map(delivered_file, inside))
    found: list[Identity] = []
    for done, file in enumerate(files):
        tell_progress("looking at files", done, len(files))
        found += identify(file)
    return found


def _files_in(folder: Path) -> list[Path]:
    """Every file in a folder and its subfolders; of fetched versions those of the latest complete one."""
    names = (one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    return sorted(folder / name for name in counted(names))


def _in_store(url: str) -> tuple[list[Delivered], object]:
    """What lies at a URL, and what keeps its copies in place."""
    from pipelines.settings import load_settings

    there = find_delivered(url, load_settings().mirror, tell_progress)
    return there.files, there.hold
