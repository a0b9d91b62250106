"""Dates and instants as partner exports write them.

Measured and documented forms: `11/30/2025` (month first, with or without leading zeros), `2/1/2019 0:00`,
`2/1/2019 12:00:00 AM`, `2025-04-01T00:00:00.0000000Z`, `2019-02-04T09:22:40.1767993-08:00`, `2021-05-01T00:00:00` and
`0001-01-01T00:00:00`, the API's way to say that there is no date.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.columns import Kind

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
_ISO = re.compile(
    r"(?P<year>[0-9]{4})(?P<mark>[-/])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
    rf"(?:[T ]\s*{_TIME}\s*(?P<zone>Z|UTC|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?P<month>[0-9]{{1,2}})/(?P<day>[0-9]{{1,2}})/(?P<year>[0-9]{{4}})(?:\s+{_TIME}\s*(?P<half>[AP]M)?)?",
    re.IGNORECASE,
)

#: How long a text may be to be remembered; the longest way to write an instant takes half of it.
_REMEMBERED_CHARACTERS = 80
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
#: The instants that Python's datetime can hold, so that no reader of the table stumbles over a later one.
_FIRST_US = (date.min.toordinal() - _EPOCH) * _DAY_US
_END_US = (date.max.toordinal() + 1 - _EPOCH) * _DAY_US


@dataclass(frozen=True)
class DayOrder:
    """Evidence of how a file writes slashed dates: how many distinct ones can only be read one way.

    Attributes:
        month_first: dates whose second number is above 12, such as 11/30/2025.
        day_first: dates whose first number is above 12, such as 30/11/2025; they cannot be read.
        either: dates that both orders can read, such as 1/2/2025.
        example: a day-first date, for a message.
    """

    month_first: int = 0
    day_first: int = 0
    either: int = 0
    example: str = ""

    def __add__(self, other: DayOrder) -> DayOrder:
        return DayOrder(
            self.month_first + other.month_first,
            self.day_first + other.day_first,
            self.either + other.either,
            self.example or other.example,
        )

    @property
    def is_day_first(self) -> bool:
        """Whether reading the ambiguous dates month first would be a guess against the evidence."""
        return bool(self.day_first and self.either and not self.month_first)


def days_of(instants: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The UTC days, since 1970, of instants that there are; nulls are left out."""
    microseconds = instants.drop_null().cast(pa.int64())
    return np.asarray(microseconds).astype(np.int64) // _DAY_US


def parse_dates(texts: pa.Array, kind: Kind) -> tuple[pa.Array, Mask, DayOrder]:
    """Parse date texts; each distinct text is parsed once.

    Args:
        texts: strings; null, an empty text, `\\N` and any day of the year 1 are null.
        kind: `Kind.DATE` takes the calendar day as it is written, whatever its time and zone. `Kind.TIMESTAMP` gives
            the instant in UTC; a text without a zone is UTC; digits beyond the microsecond are cut off.

    Returns:
        The dates, null where there is none; a mask of the rows whose text is no date; evidence of the day order.
    """
    encoded = texts.dictionary_encode()
    read = [
        # What is longer is hardly a date, may be as long as a row, and is not to stay in memory.
        _remembered(text, kind) if len(text) <= _REMEMBERED_CHARACTERS else _read(text, kind)
        for text in encoded.dictionary.to_pylist()
    ]
    values = [value for value, _, _ in read]
    unreadable = np.array([is_unreadable for _, is_unreadable, _ in read], dtype=np.bool_)
    order = sum((evidence for _, _, evidence in read if evidence), DayOrder())
    storage = pa.int32() if kind is Kind.DATE else pa.int64()
    dates = pa.array(values, storage).cast(kind.arrow_type).take(encoded.indices)
    if not unreadable.any():
        return dates, np.zeros(len(texts), dtype=np.bool_), order
    bad = pa.array(unreadable).take(encoded.indices).fill_null(False)
    return dates, np.asarray(bad), order


def _read(text: str, kind: Kind) -> tuple[int | None, bool, DayOrder | None]:
    """What a text says, whether it is no date, and what it tells of the day order."""
    cleaned = text.strip().lstrip("'")
    if cleaned in ("", "\\N"):
        return None, False, None
    evidence = _day_order(cleaned) if "/" in cleaned[:3] else None
    try:
        return (_day if kind is Kind.DATE else _instant)(cleaned), False, evidence
    except ValueError:
        return None, True, evidence


#: A file repeats its dates, in one part after the other.
_remembered = functools.lru_cache(maxsize=1 << 15)(_read)


def _match(text: str) -> re.Match[str]:
    found = _ISO.fullmatch(text) or _MONTH_FIRST.fullmatch(text)
    if not found:
        raise ValueError(f"no date: {text}")
    return found


def _calendar_day(parts: re.Match[str]) -> int | None:
    """Days since 1970, None in the year 1."""
    if parts["year"] == "0001":
        return None
    return date(int(parts["year"]), int(parts["month"]), int(parts["day"])).toordinal() - _EPOCH


def _day(text: str) -> int | None:
    parts = _match(text)
    if parts["hour"] is not None:
        _microseconds(parts)
    return _calendar_day(parts)


def _instant(text: str) -> int | None:
    parts = _match(text)
    day = _calendar_day(parts)
    if day is None:
        return None
    instant = day * _DAY_US
    if parts["hour"] is not None:
        instant += _microseconds(parts) - _zone_offset(parts.groupdict().get("zone"))
    if not _FIRST_US <= instant < _END_US:
        raise ValueError(f"out of range: {text}")
    return instant


def _microseconds(parts: re.Match[str]) -> int:
    """Time of day in microseconds."""
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0)
    half = (parts.groupdict().get("half") or "").upper()
    if hour > (12 if half else 23) or (half and hour == 0) or minute > 59 or second > 59:
        raise ValueError("no time of day")
    if half:
        hour = hour % 12 + (12 if half == "PM" else 0)
    fraction = int((parts["fraction"] or "").ljust(6, "0")[:6])
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction


def _zone_offset(zone: str | None) -> int:
    """Microseconds that the zone is ahead of UTC."""
    if zone is None or zone.upper() in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 15 or minutes > 59:
        raise ValueError("no time zone")
    offset = (hours * 60 + minutes) * 60_000_000
    return -offset if zone[0] == "-" else offset


def _day_order(text: str) -> DayOrder | None:
    parts = _MONTH_FIRST.fullmatch(text)
    if not parts:
        return None
    first, second = int(parts["month"]), int(parts["day"])
    if 12 < first <= 31 and 1 <= second <= 12:
        return DayOrder(day_first=1, example=text)
    if second > 12:
        return DayOrder(month_first=1)
    return DayOrder(either=1) if first != second else None
