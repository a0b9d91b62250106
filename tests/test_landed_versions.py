"""Which files of fetched versions count, told from names alone."""

from __future__ import annotations

import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.landed_versions import MANIFEST, counted, version_folder, version_name, version_number

FOLDER = "usage/G1"
ONE, TWO, THREE = (f"{FOLDER}/{version_name(number, '1a2b3c4d5e')}" for number in (1, 2, 3))


def test_files_outside_of_versions_count_as_they_are() -> None:
    paths = ["a.csv", "v1/b.csv", "manifest.json", "older/v0001-XYZ/c.csv", "v0001-1a2b3c4d.csv"]
    assert counted(paths) == sorted(paths)


def test_the_latest_complete_version_counts_without_its_manifest() -> None:
    old, new = [f"{ONE}/a.gz", f"{ONE}/{MANIFEST}"], [f"{TWO}/a.gz", f"{TWO}/b.gz", f"{TWO}/{MANIFEST}"]
    assert counted(old) == [f"{ONE}/a.gz"]
    assert counted([*old, *new]) == [f"{TWO}/a.gz", f"{TWO}/b.gz"]
    assert counted([*old, *new[:-1]]) == [f"{ONE}/a.gz"], "until its manifest is there"
    assert counted(new[:-1]) == []


def test_a_later_version_without_files_counts_as_well() -> None:
    assert counted([f"{ONE}/a.gz", f"{ONE}/{MANIFEST}", f"{TWO}/{MANIFEST}"]) == []


def test_versions_are_ordered_by_number_not_by_text() -> None:
    late = f"{FOLDER}/{version_name(10_000, 'ffffffff')}"
    early = f"{FOLDER}/{version_name(9_999, 'ffffffff')}"
    assert counted([f"{folder}/{name}" for folder in (late, early) for name in ("a", MANIFEST)]) == [f"{late}/a"]


def test_the_version_that_a_file_is_a_part_of_is_its_folder() -> None:
    assert version_folder(Path("/zone", ONE, "a.gz")) == f"/zone/{ONE}"
    assert version_folder(Path("/zone/exports/a.gz")) == ""


@given(st.lists(st.tuples(st.sampled_from(["x", "y/z"]), st.integers(0, 4), st.sampled_from(["a", "b", MANIFEST]))))
def test_of_each_export_at_most_one_version_counts(files: list[tuple[str, int, str]]) -> None:
    paths = {f"{export}/{version_name(number, string.hexdigits)}/{name}" for export, number, name in files}
    shown = counted(paths)
    for export in ("x", "y/z"):
        versions = {path.split("/")[-2] for path in shown if path.startswith(f"{export}/v")}
        assert len(versions) <= 1
        complete = [number for place, number, name in files if (place, name) == (export, MANIFEST)]
        for version in versions:
            assert version_number(version) == max(complete)
    assert not any(path.endswith(MANIFEST) for path in shown)
    assert counted(sorted(paths, reverse=True)) == shown
