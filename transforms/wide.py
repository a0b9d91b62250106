"""Products of 64-bit integers, exact in 128 bits, and their division back into 64: for whole columns at once.

Prices with ten decimals, quantities with six and exchange rates with ten have products that no 64-bit integer holds,
yet what is wanted of them is rounded to coins. Python's integers would do, some fifty times slower (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint64]]
Integers = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
#: Powers of ten are divided by in steps that leave room for a 32-bit remainder.
_STEP_PLACES = 9
_LIMIT = np.uint64(2**62)


@dataclass(frozen=True)
class Wide:
    """A column of integers below 2**126: magnitudes in two words, and which are negative."""

    high: Words
    low: Words
    negative: Mask

    @classmethod
    def of(cls, units: Integers) -> Wide:
        """An int64 column."""
        return cls(np.zeros(len(units), dtype=np.uint64), np.abs(units).view(np.uint64), units < 0)

    @classmethod
    def product(cls, left: Integers, right: Integers) -> Wide:
        """The products of two int64 columns."""
        high, low = _product(np.abs(left).view(np.uint64), np.abs(right).view(np.uint64))
        return cls(high, low, (left < 0) != (right < 0))

    def times(self, factor: int) -> Wide | None:
        """Multiply by a positive number below 2**63; None where 126 bits are too few."""
        by = np.full(len(self.low), factor, dtype=np.uint64)
        carried, low = _product(self.low, by)
        beyond, upper = _product(self.high, by)
        high = upper + carried
        if beyond.any() or (high < upper).any() or (high >= _LIMIT).any():
            return None
        return Wide(high, low, self.negative)

    def minus(self, other: Wide) -> Wide:
        """The difference of two columns."""
        (high, low), (its_high, its_low) = self.words(), other.words()
        borrowed = (low < its_low).astype(np.int64)
        return Wide._of_words(high - its_high - borrowed, low - its_low)

    @classmethod
    def _of_words(cls, high: Integers, low: Words) -> Wide:
        negative = high < 0
        magnitude_low = np.where(negative, ~low + np.uint64(1), low)
        magnitude_high = np.where(negative, ~high + (low == 0), high)
        return cls(magnitude_high.view(np.uint64), magnitude_low, negative)

    def words(self) -> tuple[Integers, Words]:
        """High and low words as two's complement."""
        low = np.where(self.negative, ~self.low + np.uint64(1), self.low)
        high = np.where(self.negative, ~self.high + (self.low == 0).astype(np.uint64), self.high)
        return high.view(np.int64), low

    def at_most(self, bound: int) -> Mask:
        """Whose magnitude is at most a number below 2**63."""
        small: Mask = (self.high == 0) & (self.low <= np.uint64(bound))
        return small

    def divided(self, places: int, *, half_up: bool) -> Wide:
        """Divide by 10**places and cut, or round halves away from zero."""
        high, low = self.high, self.low
        # The digit that decides about rounding is the last one dropped.
        whole = max(places - 1, 0) if half_up else places
        for done in range(0, whole, _STEP_PLACES):
            high, low = _short_division(high, low, 10 ** min(_STEP_PLACES, whole - done))
        if half_up and places:
            low = low + np.uint64(5)
            high = high + (low < np.uint64(5)).astype(np.uint64)
            high, low = _short_division(high, low, 10)
        return Wide(high, low, self.negative)

    def shared(self, places: int, divisors: Integers, *, half_up: bool) -> Integers | None:
        """Divide by 10**places × divisors and cut, or round halves away from zero; None where 64 bits are too few.

        Args:
            places: not negative.
            divisors: int64 below 2**31, one a row.
            half_up: whether to round.
        """
        doubled = self
        if half_up:
            doubled = Wide((self.high << np.uint64(1)) | (self.low >> np.uint64(63)), self.low << np.uint64(1),
                           self.negative)  # fmt: skip
        quotient = doubled.divided(places, half_up=False)
        if quotient.high.any() or (quotient.low >= _LIMIT).any():
            return None
        units = quotient.low.view(np.int64)
        whole = (units + divisors) // (2 * divisors) if half_up else units // divisors
        return np.where(self.negative, -whole, whole)


def _product(left: Words, right: Words) -> tuple[Words, Words]:
    """High and low words of the products of two columns of words."""
    a_high, a_low, b_high, b_low = left >> _HALF, left & _LOW, right >> _HALF, right & _LOW
    lowest, cross, other = a_low * b_low, a_low * b_high, a_high * b_low
    middle = (lowest >> _HALF) + (cross & _LOW) + (other & _LOW)
    high = a_high * b_high + (cross >> _HALF) + (other >> _HALF) + (middle >> _HALF)
    return high, (lowest & _LOW) | (middle << _HALF)


def _short_division(high: Words, low: Words, divisor: int) -> tuple[Words, Words]:
    """Divide two-word magnitudes by a number below 2**31, digit by 32-bit digit."""
    by = np.uint64(divisor)
    if not high.any():
        return high, low // by
    rest = np.zeros_like(high)
    words = []
    for word in (high, low):
        upper = (rest << _HALF) | (word >> _HALF)
        first = upper // by
        lower = ((upper - first * by) << _HALF) | (word & _LOW)
        second = lower // by
        rest = lower - second * by
        words.append((first << _HALF) | second)
    return words[0], words[1]
