"""The untouched copy of a delivered file."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.exports.landing import land
from tests.exports.written import PRICE_ROW, RECON_LINE, csv_text, read, zipped
from transforms.errors import InputError


def test_a_file_is_copied_once_and_whole(tmp_path: Path) -> None:
    archive = zipped(
        {"a": csv_text([RECON_LINE]).encode(), "../b": csv_text([PRICE_ROW], list(PRICE_ROW)).encode()}
    )
    first, second = read(tmp_path, archive, "delivery.zip").files
    home = tmp_path / "home"
    landed = land(first, home)
    assert landed == f"landing/{first.file_sha256[:2]}/{first.file_sha256}/delivery.zip"
    assert (home / landed).read_bytes() == archive
    written = (home / landed).stat().st_mtime_ns
    assert land(second, home) == landed
    assert (home / landed).stat().st_mtime_ns == written
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["delivery.zip"]


def test_a_file_that_changed_is_not_landed(tmp_path: Path) -> None:
    (file,) = read(tmp_path, csv_text([RECON_LINE])).files
    file.path.write_bytes(b"changed")
    with pytest.raises(InputError, match="changed while it was read"):
        land(file, tmp_path / "home")
    file.path.unlink()
    with pytest.raises(InputError, match="copy cannot be kept"):
        land(file, tmp_path / "home")
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []
