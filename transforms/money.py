"""Exact money: the one place where amounts, prices, rates and quantities are parsed, multiplied and rounded.

Numbers travel as Arrow decimals (`Kind.arrow_type`). Arithmetic runs on `Fixed`: integers that count units of
10**-scale, in int64 wherever the largest possible result is proven to fit, else in Python integers. Nothing here
rounds unless it is asked to, and no binary float is ever made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns import Kind

Integers = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_INT64_MAX = 2**63 - 1
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
        the kind exactly. Nothing is rounded but a price with more decimals than its kind has (22).
    """
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if array.null_count == len(array):
        return pa.nulls(len(array), kind.arrow_type), np.zeros(len(array), dtype=np.bool_)
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
    if kind is Kind.PRICE and -int(number.as_tuple().exponent) > kind.arrow_type.scale:
        # A quotient that is printed longer than any currency needs; what it is charged at was rounded to coins anyway.
        number = number.quantize(Decimal(1).scaleb(-kind.arrow_type.scale), ROUND_HALF_EVEN, EXACT)
    try:
        pa.scalar(number).cast(kind.arrow_type)
    except pa.ArrowInvalid:
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
        """Read Arrow decimals at the smallest scale that holds them all, so that products stay narrow."""
        column = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        valid = np.asarray(pc.is_valid(column))
        for scale in (2, 4, 6, 8, 10, 12):
            if scale >= column.type.scale:
                break
            try:
                narrow = column.cast(pa.decimal128(38, scale))
            except pa.ArrowInvalid:
                continue
            return cls(_units(narrow, valid), scale, valid)
        return cls(_units(column, valid), column.type.scale, valid)

    @classmethod
    def constant(cls, value: Decimal | int, length: int) -> Fixed:
        """A column of one value."""
        exponent = Decimal(value).as_tuple().exponent
        scale = max(0, -exponent) if isinstance(exponent, int) else 0
        units = int(Decimal(value).scaleb(scale, EXACT))
        dtype = np.int64 if abs(units) <= _INT64_MAX else object
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
        if _largest(self.units) < bound:
            return self
        fits = np.array([abs(int(units)) < bound for units in self.units], dtype=np.bool_)
        return Fixed(np.where(fits, self.units, 0), self.scale, self.valid & fits)

    def __len__(self) -> int:
        return len(self.units)

    def __mul__(self, other: Fixed) -> Fixed:
        left, right = _same_width(self.units, other.units, _largest(self.units) * _largest(other.units))
        return Fixed(left * right, self.scale + other.scale, self.valid & other.valid)

    def __add__(self, other: Fixed) -> Fixed:
        left, right, scale = _aligned(self, other)
        left, right = _same_width(left, right, _largest(left) + _largest(right))
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
            units, scale = _scaled_up(units, target - scale), target
        steps = _powers(scale - places)
        if divisors is not None:
            steps = _product(steps, divisors)
        magnitude = np.abs(units)
        if half_up:
            magnitude, steps = _same_width(magnitude, steps, 2 * (_largest(magnitude) + _largest(steps)))
            whole = (2 * magnitude + steps) // (2 * steps)
        else:
            magnitude, steps = _same_width(magnitude, steps, _largest(magnitude))
            whole = magnitude // steps
        grown = _product(whole, _powers(target - places))
        return Fixed(np.where(units < 0, -grown, grown), target, self.valid)

    def where(self, mask: Mask, other: Fixed) -> Fixed:
        """This column where the mask holds, the other elsewhere."""
        left, right, scale = _aligned(self, other)
        left, right = _same_width(left, right, max(_largest(left), _largest(right)))
        return Fixed(np.where(mask, left, right), scale, np.where(mask, self.valid, other.valid))

    def take(self, rows: Integers) -> Fixed:
        """Rows by position."""
        return Fixed(self.units[rows], self.scale, self.valid[rows])

    def sum_by(self, codes: Integers, groups: int) -> Fixed:
        """Sum per group; `codes` gives each row's group from 0, rows without a value add nothing."""
        units = np.where(self.valid, self.units, 0)
        if units.dtype != object and _largest(units) * max(len(units), 1) <= _INT64_MAX:
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
        return Fixed(5 * _powers(top - places), top, self.valid)

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


def _units(column: pa.Array, valid: Mask) -> Integers:
    """The integers behind Arrow decimals: int64 when every one fits, else Python integers."""
    words = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)
    words = words[column.offset : column.offset + len(column)]
    low, high = np.where(valid, words[:, 0], 0), np.where(valid, words[:, 1], 0)
    if bool((high == low >> 63).all()) and bool((low != np.iinfo(np.int64).min).all()):
        return low
    wide = high.astype(object) * 2**64 + low.view(np.uint64).astype(object)
    return np.asarray(wide)


def _largest(units: Integers) -> int:
    if not len(units):
        return 0
    return max(abs(int(units.max())), abs(int(units.min())))


def _same_width(left: Integers, right: Integers, bound: int) -> tuple[Integers, Integers]:
    """Both as int64 when a result up to `bound` is proven to fit, else both as Python integers."""
    if bound <= _INT64_MAX and left.dtype != object and right.dtype != object:
        return left, right
    return left.astype(object), right.astype(object)


def _product(left: Integers, right: Integers) -> Integers:
    left, right = _same_width(left, right, _largest(left) * _largest(right))
    product: Integers = left * right
    return product


def _powers(exponents: Integers) -> Integers:
    """10 to the power of each exponent (none negative), by table."""
    top = int(exponents.max()) if len(exponents) else 0
    table = np.array([10**power for power in range(top + 1)], dtype=np.int64 if top <= 18 else object)
    powers: Integers = table[exponents]
    return powers


def _scaled_up(units: Integers, places: int) -> Integers:
    if places == 0:
        return units
    return _product(units, np.full(1, 10**places, dtype=np.int64 if places <= 18 else object))


def _aligned(left: Fixed, right: Fixed) -> tuple[Integers, Integers, int]:
    scale = max(left.scale, right.scale)
    return _scaled_up(left.units, scale - left.scale), _scaled_up(right.units, scale - right.scale), scale
