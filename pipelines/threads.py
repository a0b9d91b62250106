"""Work on parts in threads: several at a time, results in order, and never more in memory than there are threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

#: How many parts are worked on at a time.
WORKERS = min(8, os.cpu_count() or 1)


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
