"""A place in a store: what is listed, put and removed, and what is told when that fails."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from pathlib import Path

import pytest

from connectors.partner_center.landing import LandingZone
from connectors.stores import store as stores
from connectors.stores.store import open_store
from tests.stores.places import Place
from tests.stores.serving import Fault
from transforms.errors import BillingError, InputError, RemoteError, SettingsError

_PART = 5 << 20


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_there_is_listed_as_in_a_folder(place: Place) -> None:
    for name in ("exports/b/1.csv", "exports/a.csv", "exports/.hidden/x", "exports/b.csv", "exportsnot/c.csv"):
        place.put(name, b"content")
    found = open_store(f"{place.url}/exports").find()
    assert [one.place for one in found] == ["a.csv", "b/1.csv", "b.csv"]
    assert {one.byte_count for one in found} == {7}
    assert all(one.modified_at is not None and one.modified_at.tzinfo is not None for one in found)
    assert found[0].address == f"{place.url}/exports/a.csv"
    (single,) = open_store(f"{place.url}/exports/b/1.csv").find()
    assert (single.place, single.address) == ("1.csv", f"{place.url}/exports/b/1.csv")
    with pytest.raises(InputError, match="nothing at this address"):
        open_store(f"{place.url}/nowhere").find()


@pytest.mark.parametrize("size", [0, 11, 2 * _PART + 3])
def test_what_is_put_is_there_whole(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(stores, "_BLOCK_BYTES", _PART)
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    store = open_store(f"{place.url}/landing")
    store.reach()
    assert store.byte_count("a/b") is None
    assert store.put(tmp_path / "file", "a/b", digest(content))
    assert place.names() == ["landing/a/b"]
    (one,) = store.find()
    assert (one.place, one.byte_count, store.byte_count("a/b")) == ("a/b", size, size)
    store.fetch(one, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    store.remove("a/b")
    store.remove("a/b")
    assert place.names() == []


@pytest.mark.parametrize("size", [11, 2 * _PART + 3])
def test_of_another_content_nothing_is_left(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(stores, "_BLOCK_BYTES", _PART)
    (tmp_path / "file").write_bytes(bytes(size))
    assert not open_store(place.url).put(tmp_path / "file", "a/b", digest(b"as it was"))
    assert place.names() == []


def test_what_arrives_otherwise_is_refused(s3: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    s3.faulty.faults.append(Fault("PUT", "/a", then=lambda: s3.put("a", b"CONTENT"), times=1))
    with pytest.raises(RemoteError, match="another checksum"):
        open_store(s3.url).put(tmp_path / "file", "a", digest(b"content"))


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("s3://nobucket/exports", InputError, "nothing at this address"),
        ("s3://billing/exports", InputError, "nothing at this address"),
        ("nosuch://host/x", SettingsError, "Protocol not known"),
        ("https://user:CANARY@127.0.0.1:9/x?sig=CANARY", RemoteError, "cannot be reached"),
    ],
)
def test_a_wrong_address_is_told_in_one_line_without_secrets(
    s3: Place, url: str, kind: type[BillingError], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        open_store(url).find()
    assert "\n" not in str(told.value)
    assert "CANARY" not in str(told.value)


def test_a_store_that_is_gone_is_a_remote_failure(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(RemoteError, match=r"cannot be reached.*; run again"):
        open_store(f"{s3.url}/exports").find()


def test_fetching_tells_its_zone_s_failures_alike(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    zone = LandingZone(f"{s3.url}/landing")
    assert zone.datasets("2025-11") == []
    s3.faulty.faults.append(Fault("GET", "/billing", deny=True))
    with pytest.raises(SettingsError, match="denies access"):
        zone.datasets("2025-11")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(RemoteError, match="cannot be reached"):
        LandingZone(f"{s3.url}/landing").datasets("2025-11")
    with pytest.raises(SettingsError, match="Protocol not known"):
        LandingZone("nosuch://host/landing")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "abfss", raising=False)
    with pytest.raises(SettingsError, match=r"pip install 'csp-billing\[azure\]'"):
        open_store("abfss://container@account.dfs.core.windows.net/exports")
