"""Fixtures: a bucket of S3, a container of Azure Blob, and fsspec's store in memory, each empty."""

from __future__ import annotations

import base64
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stores.azure_blob import ACCOUNT, BlobService
from tests.stores.serving import Faulty, served


@dataclass
class Place:
    """A place in a store.

    Attributes:
        url: its URL.
        put: puts an object below it, as another program would.
        names: the names of what is there.
        front: what stands in front of the store; None where it has no sockets.
    """

    url: str
    put: Callable[[str, bytes], Any]
    names: Callable[[], list[str]]
    front: Faulty | None = None

    @property
    def faulty(self) -> Faulty:
        """What stands in front of the store."""
        assert self.front is not None
        return self.front


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A bucket of a local S3."""
    pytest.importorskip("s3fs")
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from s3fs import S3FileSystem

    front = Faulty(DomainDispatcherApplication(create_backend_app))
    with served(front) as address:
        for name, value in {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "CANARY",
                            "AWS_DEFAULT_REGION": "us-east-1"}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        # What is cached was made for another address.
        S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="billing")
        yield Place(
            "s3://billing",
            lambda name, content: client.put_object(Bucket="billing", Key=name, Body=content),
            lambda: [one["Key"] for one in client.list_objects_v2(Bucket="billing").get("Contents", [])],
            front,
        )
        front.faults.clear()
        for one in client.list_objects_v2(Bucket="billing").get("Contents", []):
            client.delete_object(Bucket="billing", Key=one["Key"])
        S3FileSystem.clear_instance_cache()


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A container of a local Azure Blob Storage."""
    pytest.importorskip("adlfs")
    from adlfs import AzureBlobFileSystem

    service = BlobService("billing")
    front = Faulty(service)
    key = base64.b64encode(b"CANARY").decode()
    with served(front) as address:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};"
                           f"AccountKey={key};BlobEndpoint={address}/{ACCOUNT};")  # fmt: skip
        AzureBlobFileSystem.clear_instance_cache()
        yield Place(
            "az://billing",
            lambda name, content: service.put("billing", name, content),
            lambda: sorted(service.containers["billing"]),
            front,
        )
        AzureBlobFileSystem.clear_instance_cache()


@pytest.fixture
def memory() -> Iterator[Place]:
    """A store that shows what is half written, as a file server does."""
    import fsspec

    files = fsspec.filesystem("memory")
    files.store.clear()
    yield Place(
        "memory://billing",
        lambda name, content: files.pipe_file(f"/billing/{name}", content),
        lambda: sorted(name.removeprefix("/billing/") for name in files.store),
    )
    files.store.clear()


@pytest.fixture(params=["s3", "azure", "memory"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the three, or those that a test names."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a web server with pages of its folders, and its folder."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
