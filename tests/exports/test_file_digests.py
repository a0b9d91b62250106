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

THRESHOLDS = pytest.mark.parametrize("large", [0, 1 << 30], ids=["later", "at once"])


@THRESHOLDS
def test_it_is_that_of_the_bytes_also_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(file_digests, "_LARGE_BYTES", large)
    file = tmp_path / "export.csv"
    file.write_bytes(b"bytes of an export")
    digest = FileDigest(file, "export.csv", file.stat())
    assert digest.value() == hashlib.sha256(b"bytes of an export").hexdigest()
    assert pickle.loads(pickle.dumps(digest)).value() == digest.value()


@THRESHOLDS
def test_a_file_that_changes_or_goes_before_its_digest_is_taken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(file_digests, "_LARGE_BYTES", large)
    file = tmp_path / "export.csv"
    file.write_bytes(b"half of")
    found = file.stat()
    file.write_bytes(b"half of the other half")
    with pytest.raises(InputError, match=r"^shown: the file changed while it was read"):
        FileDigest(file, "shown", found).value()
    file.unlink()
    with pytest.raises(InputError, match=r"^shown: cannot be read: No such file"):
        FileDigest(file, "shown", found).value()


@THRESHOLDS
def test_files_of_one_size_are_told_apart_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(file_digests, "_LARGE_BYTES", large)
    text = csv_text([RECON_LINE])
    for name, data in {"a.csv": text, "b.csv": text, "c.csv": text.replace("1", "2")}.items():
        (tmp_path / name).write_text(data)
    delivery = open_delivery(tmp_path)
    assert [export.content.name for export in delivery.exports] == ["a.csv", "c.csv"]
    assert [one.problem for one in delivery.skipped] == ["the same content as a.csv, which is read once"]
    assert delivery.exports[1].content.file_sha256 == hashlib.sha256((tmp_path / "c.csv").read_bytes()).hexdigest()
