"""URLs of stores: told from paths, and shown without their secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.addresses import is_url, local_path, masked, place_below

_SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%+", min_size=6)


@pytest.mark.parametrize("url", ["s3://bucket/x", "az://c/x", "https://h/x", "simplecache::s3://b/x", "memory://x"])
def test_urls_of_stores(url: str) -> None:
    assert is_url(url)


@pytest.mark.parametrize("path", ["exports", "/srv/a:b", "./s3:/x", "file:///srv/exports", "C:\\exports"])
def test_paths(path: str) -> None:
    assert not is_url(path)
    assert local_path("file:///srv/exports") == "/srv/exports"


@given(_SECRET)
def test_no_secret_is_shown(secret: str) -> None:
    for text in (
        f"s3://key:{secret}@bucket/x", f"https://{secret}@host/x", f"https://user:{secret}@host:8080/x y",
        f"https://a.blob.core.windows.net/c/f.csv?sv=2025&sig={secret}", f"x 'https://h/f?a={secret}&b={secret}' y",
        f"AccountName=a;AccountKey={secret};BlobEndpoint=http://h", f"SharedAccessSignature={secret}",
    ):  # fmt: skip
        assert secret not in masked(text)


def test_what_is_no_secret_is_shown() -> None:
    for url in ("s3://bucket/a=b/c.csv", "abfs://container@account.dfs.core.windows.net/x", "https://host:8080/a;b/c"):
        assert masked(url) == url


def test_what_lies_below() -> None:
    assert place_below("az://c/landing/p/x.csv", "abfs://c/landing/") == "p/x.csv"
    assert place_below("s3a://b/landing/x", "s3://b/landing") == "x"
    assert place_below("s3://b/landing/", "s3://b/landing") == ""
    assert place_below("s3://b/landing2/x", "s3://b/landing") is None
    assert place_below("/srv/landing/x", "s3://b/landing") is None
