"""Where exports are delivered: a folder of this machine, a single file, or what lies at the URL of a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from connectors.exports import limits
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
    if location.exists() and not location.is_dir():
        return [delivered_file(location)]
    if not location.is_dir():
        raise InputError(
            f"{location}: there is no such folder of exports: create it, or name another one with --exports"
        )
    paths = files_in(location)
    if not paths:
        raise InputError(
            f"{location}: the folder of exports is empty: put the partner exports there, or name another one with "
            "--exports"
        )
    return [Delivered(path, path.relative_to(location).as_posix()) for path in paths]


def files_in(location: Path) -> list[Path]:
    """Every file in a folder and its subfolders, but for hidden ones; of fetched versions the latest complete one.

    Folders that are links are not followed, because they may lead back; links to files are. What is no file (a pipe, a
    device, a link to nowhere, a linked folder) is among them, to be told of.

    Raises:
        InputError: it cannot be looked through, or has more files than any delivery.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}; check its permissions") from error

    names: list[str] = []
    for folder, folders, files in os.walk(location, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(folder)
        linked = [name for name in folders if (here / name).is_symlink()]
        shown = [here / name for name in (*files, *linked) if not name.startswith(".")]
        names += [path.relative_to(location).as_posix() for path in shown]
        if len(names) > limits.MAX_FILES:
            raise InputError(
                f"{location}: it has more than {limits.MAX_FILES:,} files: is it the folder of exports? Keep the files "
                "of other months elsewhere"
            )
    return sorted(location / name for name in counted(names))
