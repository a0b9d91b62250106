"""Keep an untouched copy of every delivered file in the landing zone, once."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.exports.containers import Content
from connectors.exports.file_digests import changed, sha256_of
from connectors.exports.zone import Zone
from transforms.errors import InputError
from transforms.shown import printable


def land(file: Content, zone: Zone) -> str:
    """Copy the delivered file, for a member of an archive the whole archive, into the landing zone.

    The copy is complete or absent, never partial, and is made once however often the file is delivered. A file that
    was delivered from the zone itself is not copied: it lies there already.

    Returns:
        Its place in the zone: `<sha256[:2]>/<sha256>/<name>` of a copy.

    Raises:
        InputError: the file changed since it was read.
        SettingsError, RemoteError: the copy cannot be kept.
    """
    own = zone.place_of(file)
    if own is not None:
        return own
    place = f"{file.file_sha256[:2]}/{file.file_sha256}/{printable(file.name)}"
    if zone.byte_count(place) == file.byte_count:
        return place
    try:
        was_put = zone.put(file.path, place, file.file_sha256, lambda: _is_as_seen(file))
    except FileNotFoundError as error:
        raise InputError(f"{file.shown}: it is gone: run again when it is complete") from error
    if not was_put:
        raise changed(file.shown)
    return place


def check_unchanged(file: Content) -> None:
    """Check that the delivered file is still the one that its SHA-256 was taken of, once it is read.

    Its copy may be an earlier run's, or have been made before the file changed.

    Raises:
        InputError: the file changed since it was found.
    """
    try:
        if not _is_as_seen(file) and sha256_of(file.path) != file.file_sha256:
            raise changed(file.shown)
    except FileNotFoundError:
        return


def _is_as_seen(file: Content) -> bool:
    """Whether size and time of change are those of when its SHA-256 was taken."""
    stat = file.path.stat()
    return (stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)) == (file.byte_count, file.modified_at)
