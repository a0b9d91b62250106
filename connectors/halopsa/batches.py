"""How many rows a request carries: fewer where HaloPSA finds them too many or too slow, more again as it goes well.

A tenant allows so few requests that none may be wasted on small batches, nor on trying the same too large one again
and again: each failure doubles the successes that are asked for before the next growth.
"""

from __future__ import annotations

from datetime import timedelta

#: Half of what HaloPSA's gateway waits (60 s, measured): the next such batch could be cut off.
SLOW = timedelta(seconds=30)
#: Statuses of an unknown outcome that a smaller batch may avoid; None where no answer came at all.
TOO_SLOW = (None, 408, 504)

#: So many batches without an answer on end are no accident of the network, however soon they failed.
_ON_END = 3
_FIRST_CALM = 4
_LONGEST_CALM = 64


class BatchSize:
    """The size of the next batch.

    Args:
        most: rows that it never exceeds.

    Attributes:
        rows: the size now.
    """

    def __init__(self, most: int) -> None:
        self.rows = most
        self._most = most
        self._calm = _FIRST_CALM
        self._successes = 0
        self._unanswered = 0

    def unanswered(self, sent: int, after: timedelta) -> None:
        """No answer came to a batch of `sent` rows, and that was clear after so long.

        One that took long may have been too large. One whose connection was cut soon says nothing of its size: taken
        for too large, on a network that now and then loses a request all rows would end up in batches of one.
        """
        self._unanswered += 1
        if after > SLOW or self._unanswered >= _ON_END:
            self.failed(sent)

    def failed(self, sent: int) -> None:
        """A batch of `sent` rows was too large or too slow: take half of it."""
        self.rows = max(1, sent // 2)
        self._successes = self._unanswered = 0
        self._calm = min(self._calm * 2, _LONGEST_CALM)

    def answered(self, sent: int, after: timedelta) -> None:
        """A batch of `sent` rows was answered after that time."""
        if after > SLOW:
            self.failed(sent)
            return
        self._successes += 1
        self._unanswered = 0
        if self._successes >= self._calm:
            self.rows = min(self._most, self.rows * 2)
            self._successes = 0
