"""What is being done right now: told by the steps, and shown where somebody sits at a terminal.

Steps tell and do not know who listens, so that none has to be handed a terminal, also not as a Prefect task. It is
shown on stderr, once the work takes longer than a second, and is gone when the work is done.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from connectors.progress import Progress, silent
from pipelines import telemetry

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

#: Work that is done sooner is not told.
PATIENCE_SECONDS = 1.0

#: What was told last, so that it is logged once.
_told: ContextVar[str] = ContextVar("told", default="")
_listener: ContextVar[Progress] = ContextVar("listener", default=silent)


def tell_progress(what: str, done: int = 0, total: int = 0) -> None:
    """Say what is being done, how many are done, and of how many; 0 where that is not known before."""
    if what != _told.get():
        _told.set(what)
        telemetry.log("debug", what)
    _listener.get()(what, done, total)


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show on a terminal what the steps inside tell; nothing where stderr is none."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    display = _Display()
    token = _listener.set(display.told)
    try:
        yield
    finally:
        _listener.reset(token)
        display.close()


class _Display:
    """One line at the bottom of the terminal: what is being done at present."""

    def __init__(self) -> None:
        # Rich is loaded by whoever waits long enough to see it, beside the work.
        self._timer = threading.Timer(PATIENCE_SECONDS, self._open)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._is_closed = False
        self._what, self._done, self._total = "", 0, 0
        self._began = time.monotonic()
        self._timer.start()

    def told(self, what: str, done: int, total: int) -> None:
        """See `connectors.progress.Progress`."""
        with self._lock:
            is_new = what != self._what or done < self._done
            if is_new:
                self._began = time.monotonic()
            self._what, self._done, self._total = what, done, max(total, done) if total else 0
            if self._bar is not None:
                self._draw(self._bar, is_new)

    def close(self) -> None:
        """Wipe the line away."""
        self._timer.cancel()
        with self._lock:
            self._is_closed = True
            if self._bar is not None:
                self._bar.stop()

    def _open(self) -> None:
        bar = _bar()
        with self._lock:
            if self._is_closed:
                return
            self._bar = bar
            bar.add_task("", figures="")
            self._draw(bar, is_new=True)
            bar.start()

    def _draw(self, bar: Bar, is_new: bool) -> None:
        task = bar.tasks[0]
        if is_new:
            bar.reset(task.id, total=None)
            # Its time runs since it began, which was before it was shown.
            task.start_time = self._began
        seconds = max(time.monotonic() - self._began, 0.001)
        bar.update(
            task.id, description=self._what or "starting", completed=self._done, total=self._total or None,
            figures=_figures(self._done, self._total, seconds),
        )  # fmt: skip


def _figures(done: int, total: int, seconds: float) -> str:
    """How many are done, of how many, and how many in a second."""
    if not done:
        return f"{total:,} to do" if total else ""
    rate = done / seconds
    counted = f"{done:,} of {total:,}" if total else f"{done:,}"
    return f"{counted}, {rate:,.{0 if rate >= 10 else 1}f}/s"


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # Standard output is for results: what is printed there while the line is shown must not be led to stderr.
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=16),
        TextColumn("{task.fields[figures]}", markup=False), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, redirect_stdout=False,
    )  # fmt: skip
