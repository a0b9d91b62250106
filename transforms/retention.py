"""Which untouched copies of delivered files may be removed: those that are of use to nobody any more.

A copy is kept while one of these holds:

- a run that was started in one of the last months, or is of one of them, was made from the file;
- a period that it has lines, invoices or prices in is not billed: its latest full run is not, or it has none;
- a row of it is in quarantine, whose mended file has not been delivered yet;
- no run was made from it: nobody has looked at it yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from transforms.periods import month_before, month_of


@dataclass(frozen=True)
class Use:
    """A run that was made from a file."""

    run_id: str
    period: str
    started_at: datetime


@dataclass(frozen=True)
class StoredCopy:
    """An untouched copy as the warehouse knows it.

    Attributes:
        place: below the landing zone.
        file_sha256: of the file.
        source_files: the names that its rows carry; of an archive those of its members.
        kinds: what it holds.
        byte_count: its size.
        landed_at: when it was first seen, UTC.
        pruned_at: when it was removed, UTC; None while it is kept.
        uses: the runs that were made from it, the latest last.
        is_quarantined: whether a row of it is in quarantine.
    """

    place: str
    file_sha256: str
    source_files: tuple[str, ...]
    kinds: tuple[str, ...]
    byte_count: int
    landed_at: datetime
    pruned_at: datetime | None
    uses: tuple[Use, ...]
    is_quarantined: bool

    @property
    def periods(self) -> list[str]:
        """The periods of the runs that were made from it."""
        return sorted({use.period for use in self.uses})


def kept_because(copy: StoredCopy, keep_from: str, billed: Collection[str]) -> str | None:
    """Why a copy must be kept; None where it may be removed.

    Args:
        copy: the copy.
        keep_from: the first of the last months.
        billed: periods whose latest full run is billed.
    """
    if not copy.uses:
        return "no run was made from it yet"
    if copy.is_quarantined:
        return "a row of it is in quarantine"
    if unbilled := [period for period in copy.periods if period not in billed]:
        return f"{', '.join(unbilled)} is not billed"
    if any(max(month_of(use.started_at.date()), use.period) >= keep_from for use in copy.uses):
        return f"used since {keep_from}"
    return None


def months_back(now: datetime, months: int) -> str:
    """The month that lies so many months before the current one."""
    month = month_of(now.date())
    for _ in range(months):
        month = month_before(month)
    return month
