"""Whole processes, measured: how long they run, how much they compute, and how much memory they hold at most."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

_EVERY_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One run of a program.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: computed by it and its children, on all cores together.
        peak_bytes: the most memory that its processes held: the sum of each one's own highest resident size, of those
            that lived at the same time. Pages that they share count for each, so that it is never too little.
        answer: the JSON document that it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    answer: dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """The same program run several times."""

    runs: Sequence[Run]

    @property
    def seconds(self) -> float:
        """Median of the running times."""
        return median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """Median of the computing times."""
        return median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        """The highest of the peaks."""
        return max(run.peak_bytes for run in self.runs)


class FailedError(Exception):
    """A program ended with an error."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, allowed: Sequence[int] = (0,)) -> Run:
    """Run a program that prints a JSON document, and measure it.

    Args:
        command: program and arguments.
        environment: what is set for it besides this process's own environment.
        allowed: exit codes that are no error.

    Raises:
        FailedError: it ended with another exit code; the message has the end of what it wrote on standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began, before, peak = time.monotonic(), os.times(), 0
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env={**os.environ, **(environment or {})}, start_new_session=True
        )
        while process.poll() is None:
            peak = max(peak, sum(_highest(pid) for pid in _session(process.pid)))
            time.sleep(_EVERY_SECONDS)
        seconds, after = time.monotonic() - began, os.times()
        output.seek(0)
        errors.seek(0)
        if process.returncode not in allowed:
            said = errors.read().decode(errors="replace")[-2_000:]
            raise FailedError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Run(seconds, cpu, peak, json.loads(output.read()))


def busy_cores() -> float:
    """How many cores are busy just now, with other things than this process."""
    before, began = _busy_ticks(), time.monotonic()
    time.sleep(0.5)
    return (_busy_ticks() - before) / _TICKS / (time.monotonic() - began)


def _busy_ticks() -> int:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4]


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(entry.name))
    return found


def _highest(pid: int) -> int:
    """The most memory that a process has held so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    size = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(size) * 1024
