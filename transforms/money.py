"""Exact money: the one place where amounts, prices, rates and quantities are parsed, multiplied and rounded.

Numbers travel as Arrow decimals (`Kind.arrow_type`). Arithmetic runs on `Fixed`: integers that count units of
10**-scale, in int64 wherever the largest possible result is proven to fit, else in Python integers. Nothing here
rounds unless it is asked to, and no binary float is ever made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns import Kind
from transforms.integers import (
    INT64_MAX,
    Integers,
    Mask,
    appended,
    largest,
    powers,
    product,
    same_width,
    scaled_up,
    units_of,
    without_zeros,
)
from transforms.wide import Wide

#: How many texts of a column show whether they repeat.
_SHOWN_TEXTS = 1024
#: Wide enough that sums, products and moves of the decimal point never round.
EXACT = Context(prec=200)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

#: Decimals of a currency's smallest coin where ISO 4217 gives other than two.
_CURRENCY_EXPONENTS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip


def currency_exponent(currency: str | None) -> int:
    """Decimals of the currency's smallest coin (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD."""
    return _CURRENCY_EXPONENTS.get((currency or "").upper(), 2)


def tidy(value: Decimal) -> Decimal:
    """The same number without trailing zeros, and never in scientific notation."""
    short = EXACT.normalize(value)
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1), context=EXACT)


def divide(value: Decimal, divisor: int, places: int, rounding: str) -> Decimal:
    """One quotient, rounded to `places` decimals by one of the decimal module's roundings."""
    return EXACT.divide(value, Decimal(divisor)).quantize(Decimal(1).scaleb(-places), rounding, EXACT)


def decimals_of(value: Decimal) -> int:
    """How many decimals a number has once its trailing zeros are dropped."""
    return -int(tidy(value).as_tuple().exponent)


def parse_decimals(
    texts: pa.Array | pa.ChunkedArray, kind: Kind, *, decimal_comma: bool = False
) -> tuple[pa.Array, Mask]:
    """Parse number texts into exact decimals.

    Args:
        texts: strings as exported: `-1234.5`, `3.2e-05`, `0E-20`, `'22.0000` (an apostrophe guard), spaces around;
            null, an empty text and `\\N` are null.
        kind: a decimal kind; its width is the limit.
        decimal_comma: whether a comma separates the decimals (then a dot is an error).

    Returns:
        The decimals, null where there is no value, and a mask of the rows whose text is no number or does not fit
        the kind. No amount that is charged is rounded; a price, quantity, rate or usage amount with more decimals
        than its kind has is.
    """
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if array.null_count == len(array):
        return pa.nulls(len(array), kind.arrow_type), np.zeros(len(array), dtype=np.bool_)
    if _repeats(array):
        encoded = array.dictionary_encode()
        values, bad = parse_decimals(encoded.dictionary, kind, decimal_comma=decimal_comma)
        missing = pa.array(np.append(bad, False)).take(encoded.indices.fill_null(len(bad)))
        return values.take(encoded.indices), np.asarray(missing)
    plain = None if decimal_comma else _parse_plain(array, kind)
    if plain is not None:
        return plain, np.zeros(len(array), dtype=np.bool_)
    cleaned = pc.utf8_trim_whitespace(array.cast(pa.string()))
    cleaned = pc.utf8_ltrim(cleaned, characters="'")
    if decimal_comma:
        cleaned = _comma_to_dot(cleaned)
    empty = pc.or_kleene(pc.equal(cleaned, ""), pc.equal(cleaned, "\\N"))
    cleaned = pc.if_else(empty, pa.scalar(None, pa.string()), cleaned)
    try:
        return cleaned.cast(kind.arrow_type), np.zeros(len(array), dtype=np.bool_)
    except pa.ArrowInvalid:
        return _parse_one_by_one(cleaned, kind)


def _repeats(texts: pa.Array) -> bool:
    """Whether the texts are few different ones, as far as the first ones tell."""
    shown = texts.slice(0, _SHOWN_TEXTS)
    return len(texts) > _SHOWN_TEXTS and len(shown.unique()) * 4 < len(shown)


def _parse_plain(texts: pa.Array, kind: Kind) -> pa.Array | None:
    """Numbers that are all written plainly, at the scale that holds them; None where one is not.

    A narrow scale lets the calculations stay within 64 bits; Arrow refuses what does not fit it exactly.
    """
    scale = _most_decimals(texts)
    if scale > kind.arrow_type.scale:
        return None
    try:
        narrow = texts.cast(pa.decimal128(kind.arrow_type.precision - kind.arrow_type.scale + scale, scale))
    except pa.ArrowInvalid:
        return None
    return narrow


def _most_decimals(texts: pa.Array) -> int:
    """How many characters follow a point at most; an exponent may need more decimals than that."""
    points = pc.find_substring(texts, ".")
    behind = np.asarray(pc.binary_length(texts).fill_null(0)) - np.asarray(points.fill_null(-1)) - 1
    return int(np.max(behind, where=np.asarray(points.fill_null(-1)) >= 0, initial=0))


def _comma_to_dot(texts: pa.Array) -> pa.Array:
    """Swap a decimal comma for a dot; a text that has a dot already is spoiled, so that it is refused."""
    spoiled = pc.match_substring(texts, ".")
    return pc.if_else(spoiled, pc.binary_join_element_wise(texts, "?", ""), pc.replace_substring(texts, ",", "."))


def _parse_one_by_one(texts: pa.Array, kind: Kind) -> tuple[pa.Array, Mask]:
    """The slow path for a column with at least one bad text: each distinct text is tried by itself."""
    encoded = texts.dictionary_encode()
    values: list[Decimal | None] = []
    for text in encoded.dictionary.to_pylist():
        values.append(_parse_text(text, kind))
    good = pa.array(values, kind.arrow_type)
    parsed = good.take(encoded.indices)
    bad = np.asarray(pc.and_(pc.is_valid(texts), pc.is_null(parsed)))
    return parsed, bad


def _parse_text(text: str, kind: Kind) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if kind is not Kind.AMOUNT and -int(number.as_tuple().exponent) > kind.arrow_type.scale:
        # A quotient, or what a program's own number looks like (0.016666666666666666), printed longer than any currency
        # needs; what is charged for it was rounded to coins anyway.
        number = number.quantize(Decimal(1).scaleb(-kind.arrow_type.scale), ROUND_HALF_EVEN, EXACT)
    try:
        number = tidy(number)
        pa.array([number], kind.arrow_type)
    except (pa.ArrowInvalid, InvalidOperation):
        return None
    return number


@dataclass(frozen=True)
class Fixed:
    """A column of exact numbers: `units` × 10**-`scale`; `valid` is False where there is no value (units 0)."""

    units: Integers
    scale: int
    valid: Mask

    @classmethod
    def from_arrow(cls, array: pa.Array | pa.ChunkedArray) -> Fixed:
        """Read Arrow decimals at a scale that holds them all and leaves products narrow."""
        column = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        valid = np.asarray(pc.is_valid(column))
        units = units_of(column, valid)
        if units.dtype == object:
            return cls._narrowed(column, valid)
        return cls(*without_zeros(units, column.type.scale), valid)

    @classmethod
    def _narrowed(cls, column: pa.Array, valid: Mask) -> Fixed:
        """Too large for 64 bits at the column's own scale: the smallest even scale that holds every value."""
        for scale in range(2, min(column.type.scale, 13), 2):
            try:
                narrow = column.cast(pa.decimal128(38, scale))
            except pa.ArrowInvalid:
                continue
            return cls(units_of(narrow, valid), scale, valid)
        return cls(units_of(column, valid), column.type.scale, valid)

    @classmethod
    def of(cls, values: Sequence[Decimal | None]) -> Fixed:
        """A column of single numbers."""
        scale = max((decimals_of(value) for value in values if value is not None), default=0)
        units = [0 if value is None else int(value.scaleb(scale, EXACT)) for value in values]
        wide = any(abs(unit) > INT64_MAX for unit in units)
        return cls(np.array(units, dtype=object if wide else np.int64), max(scale, 0),
                   np.array([value is not None for value in values], dtype=np.bool_))  # fmt: skip

    @classmethod
    def constant(cls, value: Decimal | int, length: int) -> Fixed:
        """A column of one value."""
        exponent = Decimal(value).as_tuple().exponent
        scale = max(0, -exponent) if isinstance(exponent, int) else 0
        units = int(Decimal(value).scaleb(scale, EXACT))
        dtype = np.int64 if abs(units) <= INT64_MAX else object
        return cls(np.full(length, units, dtype=dtype), scale, np.ones(length, dtype=np.bool_))

    def to_arrow(self, kind: Kind) -> pa.Array:
        """Write as Arrow decimals of that kind.

        Raises:
            pyarrow.ArrowInvalid: a value does not fit the kind; nothing is rounded.
        """
        mask = ~self.valid
        if self.units.dtype == object:
            values = [Decimal(int(u)).scaleb(-self.scale, EXACT) if ok else None
                      for u, ok in zip(self.units, self.valid, strict=True)]  # fmt: skip
            return pa.array(values, kind.arrow_type)
        words = np.empty((len(self.units), 2), dtype=np.int64)
        words[:, 0] = self.units
        words[:, 1] = self.units >> 63
        wide = pa.Array.from_buffers(
            pa.decimal128(38, self.scale), len(words), [None, pa.py_buffer(np.ascontiguousarray(words))]
        )
        return pc.if_else(pa.array(mask), pa.scalar(None, wide.type), wide).cast(kind.arrow_type)

    def fitting(self, kind: Kind) -> Fixed:
        """The same column, without the values that are too large for the kind."""
        width = kind.arrow_type
        bound = 10 ** (width.precision - width.scale + self.scale)
        if largest(self.units) < bound:
            return self
        fits = np.array([abs(int(units)) < bound for units in self.units], dtype=np.bool_)
        return Fixed(np.where(fits, self.units, 0), self.scale, self.valid & fits)

    def __len__(self) -> int:
        return len(self.units)

    def __mul__(self, other: Fixed) -> Fixed:
        left, right = same_width(self.units, other.units, largest(self.units) * largest(other.units))
        return Fixed(left * right, self.scale + other.scale, self.valid & other.valid)

    def rounded_product(
        self, other: Fixed, places: Integers, *, half_up: bool, divisors: Integers | None = None
    ) -> Fixed:
        """Multiply, divide by positive whole numbers where given, then round half up or cut to `places` decimals.

        The same as the steps one by one, without a result between them that 64 bits are too few for.
        """
        scale, target = self.scale + other.scale, int(places.max(initial=0))
        bound = largest(self.units) * largest(other.units)
        divisors = np.ones(len(self), dtype=np.int64) if divisors is None else divisors
        if self.units.dtype == other.units.dtype == np.int64 and bound > INT64_MAX // 2 and scale >= target:
            steps = product(powers(target - places), divisors)
            if largest(steps) < 2**31:
                wide = Wide.product(self.units, other.units)
                whole = wide.shared(scale - target, steps, half_up=half_up)
                if whole is not None:
                    grown = product(whole, powers(target - places))
                    return Fixed(grown, target, self.valid & other.valid)
        return (self * other)._rounded(places, half_up=half_up, divisors=divisors)

    def __add__(self, other: Fixed) -> Fixed:
        left, right, scale = _aligned(self, other)
        left, right = same_width(left, right, largest(left) + largest(right))
        return Fixed(left + right, scale, self.valid & other.valid)

    def __neg__(self) -> Fixed:
        return Fixed(-self.units, self.scale, self.valid)

    def __sub__(self, other: Fixed) -> Fixed:
        return self + (-other)

    def abs(self) -> Fixed:
        """Magnitudes."""
        return Fixed(np.abs(self.units), self.scale, self.valid)

    def times(self, factors: Integers) -> Fixed:
        """Multiply each row by a whole number."""
        return self * Fixed(factors.astype(np.int64), 0, np.ones(len(factors), dtype=np.bool_))

    def compare(self, other: Fixed) -> Integers:
        """-1, 0 or 1 a row; 0 where either has no value."""
        left, right, _ = _aligned(self, other)
        order = (left > right).astype(np.int8) - (left < right).astype(np.int8)
        return np.where(self.valid & other.valid, order, 0)

    def equals(self, other: Fixed) -> Mask:
        """Whether both have a value and it is the same."""
        same: Mask = (self.compare(other) == 0) & self.valid & other.valid
        return same

    def sign(self) -> Integers:
        """-1, 0 or 1 a row."""
        return (self.units > 0).astype(np.int8) - (self.units < 0).astype(np.int8)

    def round_down(self, places: Integers) -> Fixed:
        """Cut to `places` decimals a row, towards zero, as Microsoft's ROUNDDOWN does."""
        return self._rounded(places, half_up=False)

    def round_half_up(self, places: Integers) -> Fixed:
        """Round to `places` decimals a row, halves away from zero."""
        return self._rounded(places, half_up=True)

    def divide(self, divisors: Integers, places: Integers, *, half_up: bool) -> Fixed:
        """Divide by positive whole numbers, then round half up or cut to `places` decimals a row."""
        return self._rounded(places, half_up=half_up, divisors=divisors)

    def _rounded(self, places: Integers, *, half_up: bool, divisors: Integers | None = None) -> Fixed:
        target = int(places.max()) if len(places) else 0
        units, scale = self.units, self.scale
        if scale < target:
            units, scale = scaled_up(units, target - scale), target
        steps = powers(scale - places)
        if divisors is not None:
            steps = product(steps, divisors)
        magnitude = np.abs(units)
        if half_up:
            magnitude, steps = same_width(magnitude, steps, 2 * (largest(magnitude) + largest(steps)))
            whole = (2 * magnitude + steps) // (2 * steps)
        else:
            magnitude, steps = same_width(magnitude, steps, largest(magnitude))
            whole = magnitude // steps
        grown = product(whole, powers(target - places))
        return Fixed(np.where(units < 0, -grown, grown), target, self.valid)

    def where(self, mask: Mask, other: Fixed) -> Fixed:
        """This column where the mask holds, the other elsewhere."""
        left, right, scale = _aligned(self, other)
        left, right = same_width(left, right, max(largest(left), largest(right)))
        return Fixed(np.where(mask, left, right), scale, np.where(mask, self.valid, other.valid))

    def appended(self, rows: int, more: Fixed) -> Fixed:
        """The first rows, those of another column behind them, and room for others; see `integers.appended`."""
        left, right, scale = _aligned(self, more)
        left, right = same_width(left, right, 0)
        return Fixed(appended(left, rows, right), scale, appended(self.valid, rows, more.valid))

    def first(self, rows: int) -> Fixed:
        """The first rows."""
        return Fixed(self.units[:rows], self.scale, self.valid[:rows])

    def take(self, rows: Integers) -> Fixed:
        """Rows by position."""
        return Fixed(self.units[rows], self.scale, self.valid[rows])

    def sum_by(self, codes: Integers, groups: int) -> Fixed:
        """Sum per group; `codes` gives each row's group from 0, rows without a value add nothing."""
        units = np.where(self.valid, self.units, 0)
        if units.dtype != object and largest(units) * max(len(units), 1) <= INT64_MAX:
            totals = np.zeros(groups, dtype=np.int64)
        else:
            units, totals = units.astype(object), np.zeros(groups, dtype=object)
        np.add.at(totals, codes, units)
        return Fixed(totals, self.scale, np.ones(groups, dtype=np.bool_))

    def decimal(self, row: int) -> Decimal | None:
        """One row as a Decimal, for a message."""
        return Decimal(int(self.units[row])).scaleb(-self.scale, EXACT) if self.valid[row] else None

    def half_of_last_decimal(self, least: int = 0) -> Fixed:
        """Half a unit of the last decimal that each number needs, but of no fewer decimals than `least`."""
        places = np.maximum(self.decimals_needed(), least) + 1
        top = max(int(places.max(initial=0)), self.scale)
        return Fixed(5 * powers(top - places), top, self.valid)

    def decimals_needed(self) -> Integers:
        """How many decimals each row has once its trailing zeros are dropped."""
        needed = np.full(len(self.units), self.scale, dtype=np.int64)
        rest = self.units
        shrinking = np.ones(len(self.units), dtype=np.bool_)
        for _ in range(self.scale):
            shrinking = shrinking & (rest % 10 == 0)
            if not shrinking.any():
                break
            needed -= shrinking
            rest = np.where(shrinking, rest // 10, rest)
        return needed


def _aligned(left: Fixed, right: Fixed) -> tuple[Integers, Integers, int]:
    scale = max(left.scale, right.scale)
    return scaled_up(left.units, scale - left.scale), scaled_up(right.units, scale - right.scale), scale
