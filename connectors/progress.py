"""How connectors tell how far they are, whoever listens."""

from __future__ import annotations

from collections.abc import Callable

#: Called as work goes on: what is being done, how many are done, and of how many; 0 where that is not known before.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """The progress that nobody watches."""
