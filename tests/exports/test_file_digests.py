"""Digests of delivered files, taken at once or beside other work."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest

from connectors.exports import file_digests
from connectors.exports.delivery import open_delivery
from connectors.exports.file_digests import FileDigest
from tests.exports.written import RECON_LINE, csv_text
from transforms.errors import InputError


@pytest.fixture(autouse=True, params=[0, 1 << 30], ids=["later", "at once"])
def _large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are large enough to be digested later, or not."""
    monkeypatch.setattr(file_digests, "_LARGE_BYTES", request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is half there."""
    path = tmp_path / "export.csv"
    path.write_bytes(b"half of")
    return path


def test_it_is_that_of_the_bytes_also_in_another_process(file: Path) -> None:
    digest = FileDigest(file, "export.csv", file.stat())
    assert digest.value() == hashlib.sha256(b"half of").hexdigest()
    assert pickle.loads(pickle.dumps(digest)).value() == digest.value()


def test_a_file_that_changes_or_goes_before_its_digest_is_taken_is_refused(file: Path) -> None:
    found = file.stat()
    file.write_bytes(b"half of the other half")
    with pytest.raises(InputError, match=r"^shown: the file changed while it was read"):
        FileDigest(file, "shown", found).value()
    file.unlink()
    with pytest.raises(InputError, match=r"^shown: cannot be read: No such file"):
        FileDigest(file, "shown", found).value()


def test_files_of_one_size_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    text = csv_text([RECON_LINE])
    for name, data in {"a.csv": text, "b.csv": text, "c.csv": text.replace("1", "2")}.items():
        (tmp_path / name).write_text(data)
    delivery = open_delivery(tmp_path)
    assert [export.content.name for export in delivery.exports] == ["a.csv", "c.csv"]
    assert [one.problem for one in delivery.skipped] == ["the same content as a.csv, which is read once"]
    assert delivery.exports[1].content.file_sha256 == hashlib.sha256((tmp_path / "c.csv").read_bytes()).hexdigest()
