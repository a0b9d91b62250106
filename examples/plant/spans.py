"""Changes of the days that a line charges for; each says in a sentence what it did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from examples.dates import DAY
from examples.lines import ReconLine
from examples.numbers import guid, plain

_DAYS = timedelta(days=3)


def short_term(line: ReconLine) -> str:
    """The term ends before the charge does."""
    line.subscription_end = line.charge_end - _DAYS
    return f"the term ends on {line.subscription_end}, the charge on {line.charge_end}"


def early_start(line: ReconLine) -> str:
    """The first charge begins before the term: nothing is charged twice."""
    line.charge_start -= _DAYS
    return f"the charge starts on {line.charge_start}, the term on {line.subscription_start}"


def late_end(line: ReconLine) -> str:
    """The last charge of a term that is not renewed ends after it: nothing is charged twice."""
    line.charge_end += _DAYS
    return f"the charge ends on {line.charge_end}, the term on {line.subscription_end}"


def overlapping_start(line: ReconLine) -> str:
    """The charge begins before the one of the month before has ended."""
    line.charge_start -= _DAYS
    return f"the charge starts on {line.charge_start}, within the cycle before"


def repeated(line: ReconLine) -> tuple[ReconLine, str]:
    """The same charge once more, from the second day on: the seats of the cycle's first day stay what they were."""
    again = _once_more(line)
    again.charge_start += DAY
    return again, f"{plain(line.subtotal)} is charged twice"


def started_again(line: ReconLine) -> tuple[ReconLine, str]:
    """The same charge once more, of an order an hour later."""
    again = _once_more(line)
    again.order_date += timedelta(hours=1)
    return again, f"{plain(line.subtotal)} is charged twice, ordered at {again.order_date:%H:%M} once more"


def _once_more(line: ReconLine) -> ReconLine:
    """Nothing else is planted at it, therefore it is no full cycle."""
    return replace(line, reference_id=guid(Random(f"{line.reference_id}/again")), is_full_cycle=False)
