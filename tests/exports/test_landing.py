"""The untouched copy of a delivered file."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.exports.containers import Content
from connectors.exports.delivery import open_delivery
from connectors.exports.landing import land
from connectors.exports.zone import open_zone
from tests.exports.written import PRICE_ROW, RECON_LINE, csv_text, zipped
from transforms.errors import InputError


def delivered(folder: Path, data: bytes, name: str = "export.csv") -> list[Content]:
    """A file in a folder of exports, as what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return [export.content for export in open_delivery(folder).exports]


def test_a_file_is_copied_once_and_whole(tmp_path: Path) -> None:
    archive = zipped(
        {"a": csv_text([RECON_LINE]).encode(), "../b": csv_text([PRICE_ROW], list(PRICE_ROW)).encode()}
    )
    first, second = delivered(tmp_path / "exports", archive, "delivery.zip")
    folder = tmp_path / "landing"
    zone = open_zone(f"file://{folder}")
    landed = land(first, zone)
    assert landed == f"{first.file_sha256[:2]}/{first.file_sha256}/delivery.zip"
    assert (folder / landed).read_bytes() == archive
    written = (folder / landed).stat().st_mtime_ns
    assert land(second, zone) == landed
    assert (folder / landed).stat().st_mtime_ns == written
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["delivery.zip"]


def test_a_file_that_changed_is_not_landed(tmp_path: Path) -> None:
    (file,) = delivered(tmp_path / "exports", csv_text([RECON_LINE]).encode())
    zone = open_zone(str(tmp_path / "landing"))
    file.path.write_bytes(b"changed")
    with pytest.raises(InputError, match="changed while it was read"):
        land(file, zone)
    file.path.unlink()
    with pytest.raises(InputError, match="it is gone"):
        land(file, zone)
    assert list(zone.find()) == []


def test_a_file_that_lies_in_the_zone_is_not_copied(tmp_path: Path) -> None:
    (file,) = delivered(tmp_path / "landing" / "partner-center" / "2025-11", csv_text([RECON_LINE]).encode())
    zone = open_zone(str(tmp_path / "landing"))
    assert land(file, zone) == "partner-center/2025-11/export.csv"
    assert [one.place for one in zone.find()] == ["partner-center/2025-11/export.csv"]
