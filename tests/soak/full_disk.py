"""A disk that is full: at the landing copies, the warehouse, what is spilled, the reports, and anywhere between.

The working folder, or the folder for temporary files, is put on a file system of its own that has room for less and
less. A command must then either do its work or say in one line what is full, with exit code 2 or 3, and when there is
room again the month comes to what an undisturbed one comes to.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.stage import BILL, Done, Result, Stage

_KINDS = (
    "enough room", "its copy cannot be kept", "cannot be opened", "cannot be made", "the reports are not written",
    "the analysts' copy is not renewed", "what is noted of every line", "TMPDIR", "failed",
)  # fmt: skip


@dataclass
class Shortages:
    """What a campaign of full disks came to."""

    tried: int = 0
    complaints: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system in memory at `folder`, for the length of a `with`; needs to be root.

    Raises:
        OSError: it cannot be mounted here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "soak", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        raise OSError(mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path, kilobytes: int) -> None:
    """Make room on a `small_disk`."""
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)


def fill_disks(
    place: Stage, fresh: Callable[[], str], sizes: list[int], tell: Callable[[str], None] = print
) -> Shortages:
    """Bill the month on disks of these sizes, in kilobytes, below the working folder and below the temporary one."""
    found = Shortages()
    place.reset(fresh())
    place.bill()
    expected = place.result()
    for kilobytes in sizes:
        for name in ("home", "tmp"):
            found.tried += 1
            place.reset(fresh())
            try:
                told = _short_of_room(place, place.folder / name, kilobytes, expected)
            except AssertionError as error:
                found.failures.append(f"{kilobytes} KB at {name}: {error}")
                told = "FAILED"
            found.complaints[_kind(told)] += 1
            tell(f"{kilobytes} KB at {name}: {told[:160]}")
    return found


def _short_of_room(place: Stage, folder: Path, kilobytes: int, expected: Result) -> str:
    with small_disk(folder, kilobytes):
        done = place.run(*BILL, "--report")
        told = _told(done)
        grow(folder, 1 << 20)
        again = place.run(*BILL, "--report")
        assert again.code in (0, 1), again.err
        assert again.document["status"] == "billed", again.out
        place.check(expected)
        for report in again.document["reports"]:
            assert Path(report).stat().st_size, report
        shutil.rmtree(place.home / "reports", ignore_errors=True)
    return told


def _told(done: Done) -> str:
    """What a command says of a disk that is too small; `enough room` where it was large enough for all it did."""
    assert "Traceback" not in done.err, done.err[-2000:]
    if done.code in (2, 3):
        return done.told_in_a_line()
    assert done.code in (0, 1), (done.code, done.err)
    notices = [notice for notice in done.document["notices"] if "snapshot" in notice or "report" in notice]
    return f"the month is {done.document['status']}; {notices[0]}" if notices else "enough room"


def _kind(told: str) -> str:
    """A complaint without sizes and names of files."""
    return next((words for words in _KINDS if words in told), told[:60])
