"""Work on parts in threads: several at a time, results in order, and never more in memory than there are threads."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")
_END = object()

#: How many parts are worked on at a time.
WORKERS = min(8, os.cpu_count() or 1)


def collect_rarely() -> None:
    """Let Python look for garbage less often in this process.

    What a month keeps, such as hundreds of thousands of answers of the price lists, would be looked through again and
    again: a tenth of the time that judging reconciliation lines takes (measured), and what is given up goes at once,
    since hardly any of it refers to itself.
    """
    gc.set_threshold(50_000, 20, 20)


def in_order(tasks: Iterable[Callable[[], R]], workers: int = WORKERS) -> Iterator[R]:
    """Run tasks in threads and give their results in the tasks' order.

    The next tasks are only made when there is room for them. The first task that fails raises here what it raised.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_ahead(items: Iterable[R], ahead: int = 2) -> Iterator[R]:
    """The items, made in a thread of their own: so many of them before they are asked for."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Any]] = deque(pool.submit(next, iterator, _END) for _ in range(ahead))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, iterator, _END))
                yield item
        finally:
            for future in waiting:
                future.cancel()
