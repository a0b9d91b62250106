"""The command line as a user calls it, in a process that can be told where to die or to wait.

`python -m tests.soak.command run --period …` is `csp-billing run --period …`, but that HaloPSA's grace and the pauses
between tries are shortened by the factor of SOAK_HURRY, and that SOAK_PLAN, a `Plan` as JSON, is followed.

A boundary is what may have an effect outside the process: a commit (before, and after it), a file renamed, linked or
made a symbolic link, a request to HaloPSA (before, and after it).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PLAN, HURRY = "SOAK_PLAN", "SOAK_HURRY"
_FILE_EVENTS = ("os.rename", "os.link", "os.symlink")


@dataclass(frozen=True)
class Plan:
    """What is to happen to a command.

    Attributes:
        counts: the beginning of the boundaries that count; empty for all.
        at: which of them, from 1; 0 for none.
        waits: a file that is written there; the command goes on when it is gone. Empty: the process group is killed.
        workers: judge lines in worker processes, however small the month.
        tells: a file to which is written at the end how many boundaries of each name were passed.
        lock_seconds: how long a DuckDB file is waited for that another process has open; 0 for as long as usual.
    """

    counts: str = ""
    at: int = 0
    waits: str = ""
    workers: bool = False
    tells: str = ""
    lock_seconds: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Boundaries:
    """Counts boundaries, and does at one of them what the plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process = os.getpid()
        self._left = plan.at
        self.passed: Counter[str] = Counter()

    def pass_by(self, what: str) -> None:
        """Come to a boundary; one of another process, a worker's, does not count."""
        if os.getpid() != self._process:
            return
        self.passed[what] += 1
        self._left -= what.startswith(self._plan.counts)
        if self._left or not what.startswith(self._plan.counts) or not self._plan.at:
            return
        if not self._plan.waits:
            os.killpg(0, signal.SIGKILL)
        waits = Path(self._plan.waits)
        waits.write_text(what)
        while waits.exists():
            time.sleep(0.01)


def _watch(boundaries: Boundaries) -> None:
    import requests
    import sqlalchemy as sa

    def between(function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def passing(*arguments: Any, **options: Any) -> Any:
            what = name(*arguments)
            boundaries.pass_by(f"before {what}")
            result = function(*arguments, **options)
            boundaries.pass_by(f"after {what}")
            return result

        return passing

    def audit(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS:
            boundaries.pass_by(event)

    connection: Any = sa.engine.Connection
    connection._commit_impl = between(connection._commit_impl, lambda *_: "commit")
    session: Any = requests.Session
    session.request = between(session.request, lambda _, method, url, *rest: f"{method} {urlsplit(url).path}")
    sys.addaudithook(audit)


def _hurry(factor: float) -> None:
    from connectors.halopsa.client import HaloClient

    pause = HaloClient._pause
    HaloClient._pause = lambda self, seconds: pause(self, seconds / factor)  # type: ignore[method-assign]


def main() -> None:
    """Run the command."""
    plan = Plan(**json.loads(os.environ.get(PLAN, "{}")))
    boundaries = Boundaries(plan)
    _watch(boundaries)
    _hurry(float(os.environ.get(HURRY, "1")))
    if plan.lock_seconds:
        from connectors.warehouse.engine import open_warehouse

        open_warehouse.__defaults__ = (plan.lock_seconds,)
    if plan.workers:
        from connectors.exports import delimited
        from pipelines import engines

        delimited.BLOCK_BYTES = 16 << 10
        engines.MANY_BYTES = 0
    from pipelines.cli import main as command

    try:
        command()
    finally:
        if plan.tells:
            Path(plan.tells).write_text(json.dumps(boundaries.passed))


if __name__ == "__main__":
    main()
