"""Copies of a store's exports: only what is new, whole or not at all, and never of an object that changes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.exports.delivery import Delivery, open_delivery
from connectors.exports.mirror import left_over, mirror, remove_left_over
from connectors.stores.store import open_store
from tests.exports.written import PRICE_ROW, RECON_LINE, csv_text
from tests.stores.places import Place
from tests.stores.serving import Fault
from transforms.errors import InputError, RemoteError, SettingsError

_LINES = csv_text([RECON_LINE]).encode()
_PRICES = csv_text([PRICE_ROW], list(PRICE_ROW)).encode()


def opened(place: Place, cache: Path) -> Delivery:
    return open_delivery(f"{place.url}/exports", cache)


def copies(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.name != ".lock")


def test_only_what_is_new_or_changed_is_copied(s3: Place, tmp_path: Path) -> None:
    s3.put("exports/2025/lines.csv", _LINES)
    s3.put("exports/2026/lines.csv", _PRICES)
    s3.put("exports/note.txt", b"no export")
    first = opened(s3, tmp_path)
    assert [one.content.source_file for one in first.exports] == ["2025/lines.csv", "2026/lines.csv"]
    assert [one.path for one in first.skipped] == ["s3://billing/exports/note.txt"]
    listed = {one.place: one.modified_at for one in open_store(f"{s3.url}/exports").find()}
    for export in first.exports:
        assert export.content.modified_at == listed[export.content.label]
    assert s3.faulty.count("GET", "lines.csv") == 2

    opened(s3, tmp_path)
    assert s3.faulty.count("GET", "lines.csv") == 2
    s3.put("exports/2025/lines.csv", _LINES + _LINES.splitlines(keepends=True)[-1])
    assert sum(one.reader().parts is not None for one in opened(s3, tmp_path).exports) == 2
    assert s3.faulty.count("GET", "lines.csv") == 3
    # The first one is still held: what it reads stays, also what was replaced.
    assert len(copies(tmp_path)) == 4
    del first, export
    opened(s3, tmp_path)
    assert len(copies(tmp_path)) == 3


def test_a_connection_that_breaks_is_taken_up_again(s3: Place, tmp_path: Path) -> None:
    s3.put("exports/lines.csv", _LINES)
    s3.faulty.faults.append(Fault("GET", "/lines.csv", reset=True, times=2))
    (export,) = opened(s3, tmp_path).exports
    assert export.content.path.read_bytes() == _LINES


@pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
def test_an_object_that_does_not_come_whole_is_absent(place: Place, tmp_path: Path) -> None:
    place.put("exports/lines.csv", _LINES)
    place.put("exports/prices.csv", _PRICES)
    place.faulty.faults.append(Fault("GET", "/lines.csv", reset=True))
    with pytest.raises(RemoteError, match=r"exports/lines\.csv: the store cannot be reached, or the connection broke"):
        opened(place, tmp_path)
    assert [path.read_bytes() for path in copies(tmp_path)] in ([], [_PRICES])
    place.faulty.faults.clear()
    assert len(opened(place, tmp_path).exports) == 2


@pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
def test_an_object_that_changes_meanwhile_is_noticed(place: Place, tmp_path: Path) -> None:
    place.put("exports/lines.csv", _LINES)
    replaced = _LINES.replace(b"1", b"2")
    assert len(replaced) == len(_LINES)
    place.faulty.faults.append(Fault("GET", "/lines.csv", then=lambda: place.put("exports/lines.csv", replaced)))
    with pytest.raises(InputError, match=r"exports/lines\.csv: the object changed while it was copied"):
        opened(place, tmp_path)
    assert copies(tmp_path) == []


@pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
@pytest.mark.parametrize(("method", "ending"), [("GET", "/billing"), ("GET", "/lines.csv")])
def test_denied_access_is_told_in_one_line(place: Place, tmp_path: Path, method: str, ending: str) -> None:
    place.put("exports/lines.csv", _LINES)
    place.faulty.faults.append(Fault(method, ending, deny=True))
    with pytest.raises(SettingsError, match=r"the store denies access: .*; check the A(WS|ZURE)") as told:
        opened(place, tmp_path)
    assert "\n" not in str(told.value)
    assert "CANARY" not in str(told.value)
    assert all(remove_left_over(folder) for folder in tmp_path.iterdir()), "the mirror is still locked"


def test_a_mirror_that_nobody_uses_is_removed(memory: Place, tmp_path: Path) -> None:
    memory.put("exports/lines.csv", _LINES)
    held = mirror(f"{memory.url}/exports", tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / ".part-killed").write_bytes(b"half")
    assert left_over(tmp_path) == []
    tomorrow, next_year = time.time() + 90_000, time.time() + 366 * 86_400
    assert left_over(tmp_path, tomorrow) == [folder / ".part-killed"]
    assert left_over(tmp_path, next_year) == [folder]
    assert not remove_left_over(folder)
    del held
    assert remove_left_over(folder)
    assert not folder.exists()


def test_the_web_says_when_a_file_was_changed(web: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = web
    (folder / "exports").mkdir()
    for name, content in {"lines.csv": _LINES, "prices.csv": _PRICES}.items():
        (folder / "exports" / name).write_bytes(content)
        os.utime(folder / "exports" / name, (1_700_000_000, 1_700_000_000))
    for url, names in {"exports/": ["lines.csv", "prices.csv"], "exports/lines.csv?v=1": ["lines.csv"]}.items():
        delivery = open_delivery(f"{address}/{url}", tmp_path / "mirror")
        assert [one.content.source_file for one in delivery.exports] == names
        assert {one.content.modified_at for one in delivery.exports} == {datetime.fromtimestamp(1_700_000_000, UTC)}
