"""Months, charge cycles and the date formats of the exports."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

FOREVER = datetime(9999, 11, 30, 23, 59, 59)
ALWAYS = datetime(1753, 1, 2)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """Days from `start` to `end`, both inclusive."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days, both ends counted."""
        return (self.end - self.start).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day <= self.end


def month(period: str) -> Span:
    """The calendar month of a period `YYYY-MM`."""
    first = date.fromisoformat(f"{period}-01")
    return Span(first, first.replace(day=monthrange(first.year, first.month)[1]))


def add_months(day: date, months: int) -> date:
    """The same day some months later, or the month's last day where it has no such day."""
    year, index = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, index + 1, min(day.day, monthrange(year, index + 1)[1]))


def cycle(anchor: date, index: int, months: int) -> Span:
    """The charge cycle number `index` of `months` months, counted from the anniversary day.

    Documented: an annual subscription of January 31st is charged Jan 31 to Feb 27, Feb 28 to Mar 30, Mar 31 to
    Apr 29; so every cycle is counted from the anchor, never from the cycle before it.
    """
    return Span(add_months(anchor, index * months), add_months(anchor, (index + 1) * months) - DAY)


def month_day_year(day: date | None) -> str:
    """The reconciliation file's dates: `11/3/2025`, without padding; empty for none."""
    return "" if day is None else f"{day.month}/{day.day}/{day.year}"


def padded_month_day_year(day: date) -> str:
    """The usage file's dates: `11/03/2025`."""
    return f"{day:%m/%d/%Y}"


def seven_digits(moment: datetime) -> str:
    """A UTC moment with the seven digits of .NET: `2025-04-01T00:00:00.0000000Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"
