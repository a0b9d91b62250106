"""Saying what files are: apart from what needs the warehouse or HaloPSA, because importing those takes a second."""

from __future__ import annotations

from pathlib import Path

from connectors.exports.delivered import Delivered, delivered_file, files_in, find_delivered
from connectors.exports.identify import Identity, identify
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
    local = [Path(local_path(one)) for one in locations if not is_url(one)]
    missing = [str(path) for path in local if not path.exists() and not path.is_symlink()]
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
        inside = [one for one in files_in(path) if not one.is_dir()] if path.is_dir() else [path]
        files |= dict.fromkeys(map(delivered_file, inside))
    found: list[Identity] = []
    for done, file in enumerate(files):
        tell_progress("looking at files", done, len(files))
        found += identify(file)
    return found


def _in_store(url: str) -> tuple[list[Delivered], object]:
    """What lies at a URL, and what keeps its copies in place."""
    from pipelines.settings import load_settings

    there = find_delivered(url, load_settings().mirror, tell_progress)
    return there.files, there.hold
