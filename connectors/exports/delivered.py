"""Where exports are delivered: a folder of this machine, a single file, or what lies at the URL of a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.landed_versions import counted
from connectors.progress import Progress, silent
from transforms.addresses import is_url, local_path
from transforms.errors import InputError


@dataclass(frozen=True)
class Delivered:
    """One delivered file.

    Attributes:
        path: the file on this machine; of a store's object its copy.
        place: below the folder that was named, with forward slashes.
        address: of a store's object its URL, masked, for messages; empty for a file of this machine.
    """

    path: Path
    place: str
    address: str = ""

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return PurePosixPath(self.place).name

    @property
    def shown(self) -> str:
        """Where the file was delivered, for messages."""
        return self.address or str(self.path)


@dataclass(frozen=True)
class DeliveredFiles:
    """Delivered files in the order of their folders and names.

    Attributes:
        files: the files.
        hold: to be kept for as long as they are read.
    """

    files: list[Delivered]
    hold: Any = None


def find_delivered(location: str, cache: Path | None, progress: Progress = silent) -> DeliveredFiles:
    """Find what is delivered at a path or URL; objects of a store are copied to this machine, where they are new.

    Of fetched versions only the latest complete one counts.

    Args:
        location: folder, file or URL.
        cache: folder for the copies of objects; a URL needs one.
        progress: is told how far copying is.

    Raises:
        InputError: there is nothing.
        SettingsError, RemoteError: as `connectors.exports.mirror.mirror`.
    """
    if not is_url(location):
        return DeliveredFiles(_in_folder(Path(local_path(location))))
    if cache is None:
        raise ValueError("objects of a store need a folder for their copies")
    # What stores need is loaded for them alone.
    from connectors.exports.mirror import mirror

    found = mirror(location, cache, progress)
    return DeliveredFiles([Delivered(path, one.place, one.address) for one, path in found.objects], found.hold)


def delivered_file(path: Path) -> Delivered:
    """A file of this machine, by itself."""
    return Delivered(path, path.name)


def _in_folder(location: Path) -> list[Delivered]:
    if location.is_file():
        return [delivered_file(location)]
    if not location.is_dir():
        raise InputError(
            f"{location}: there is no such folder of exports: create it, or name another one with --exports"
        )
    names = [
        path.relative_to(location)
        for path in location.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(location).parts)
    ]
    paths = sorted(location / name for name in counted(name.as_posix() for name in names))
    if not paths:
        raise InputError(
            f"{location}: the folder of exports is empty: put the partner exports there, or name another one with "
            "--exports"
        )
    return [Delivered(path, path.relative_to(location).as_posix()) for path in paths]
