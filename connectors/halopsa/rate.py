"""HaloPSA's limit on requests: so many in a rolling window. A request over it is answered 429."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from transforms.errors import SettingsError


def parse_rate(text: str) -> tuple[int, int]:
    """`requests/seconds` as two whole numbers; raises SettingsError for anything else."""
    requests, _, seconds = text.partition("/")
    if not (requests.strip().isdecimal() and seconds.strip().isdecimal() and int(requests) and int(seconds)):
        raise SettingsError(f"CSP_BILLING_HALO_RATE is {text!r}; write requests/seconds, such as 300/300")
    return int(requests), int(seconds)


class RollingWindow:
    """Hands out at most `requests` permits in any `seconds`; one client's share of the tenant's limit."""

    def __init__(self, rate: str, sleep: Callable[[float], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._requests, self._seconds = parse_rate(rate)
        self._sleep = sleep
        self._clock = clock
        self._sent: deque[float] = deque()

    def take(self) -> None:
        """Wait until a request may be sent, and count it."""
        while True:
            now = self._clock()
            while self._sent and self._sent[0] <= now - self._seconds:
                self._sent.popleft()
            if len(self._sent) < self._requests:
                self._sent.append(now)
                return
            self._sleep(self._sent[0] + self._seconds - now)
