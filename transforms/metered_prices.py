"""The rows of Azure plan lists that a line's ids, or its price, tell from all others.

That is nearly every row of a real list, and nearly all usage. Where product, SKU, market, currency and meter have one
row, valid all month, the answer is that row whatever the day and whatever price the line shows. A line that names no
meter is priced by the row whose price it shows, where no other one's can be printed alike. The other cases are for the
price book.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.azure_prices import AzureLists
from transforms.digests import Hashes, mix, words_of
from transforms.integers import Integers, Mask, powers
from transforms.money import Fixed, currency_exponent
from transforms.periods import last_day
from transforms.price_rows import LONG_TERMS, METER
from transforms.texts import Column, is_one_of, values_and_codes, where, with_values

_KEY = ("product_id", "sku_id", "market", "currency")
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
#: Stands for no day among days since 1970.
NO_DAY = -(2**31)


@dataclass(frozen=True)
class _Index:
    """Rows by the digest of their key, in its order; `places` are theirs among the rows that a key tells."""

    keys: Hashes
    seconds: Hashes
    places: Integers

    @classmethod
    def of(cls, digests: tuple[Hashes, Hashes], sound: Mask, rows: Integers, told: Integers) -> _Index:
        own = np.flatnonzero(sound)
        order = own[np.argsort(digests[0][own])]
        return cls(digests[0][order], digests[1][order], np.searchsorted(told, rows[order]))

    def find(self, digests: tuple[Hashes, Hashes]) -> Integers:
        found = np.full(len(digests[0]), -1, dtype=np.int64)
        if len(self.keys):
            place = np.minimum(np.searchsorted(self.keys, digests[0]), len(self.keys) - 1)
            hit = (self.keys[place] == digests[0]) & (self.seconds[place] == digests[1])
            found[hit] = self.places[place[hit]]
        return found


@dataclass(frozen=True)
class MeteredPrices:
    """Rows that a key tells.

    Attributes:
        rows: the rows' places in the price lists, ascending.
        first, last: days since 1970 for which they hold.
    """

    rows: Integers
    first: int
    last: int
    _by_meter: _Index
    _by_price: _Index

    def find(self, line: Mapping[str, Column], days: tuple[Integers, Integers]) -> Integers:
        """The place in `rows` of the row that prices each line; -1 where the price book has to be asked.

        Args:
            line: columns product_id, sku_id, market, currency and unit_price of the lines; meter_id where they have it.
            days: first and last day that each line is for, NO_DAY where there is none.
        """
        key = [words_of(_upper(line[name])) for name in _KEY]
        if "meter_id" in line:
            found = self._by_meter.find(mix([*key, words_of(_lower(line["meter_id"]))]))
        else:
            found = self._by_price.find(mix([*key, words_of(line["unit_price"])]))
        for day in days:
            found[((day < self.first) & (day != NO_DAY)) | (day > self.last)] = -1
        # A line without a market may be priced in any.
        found[(days[0] == NO_DAY) | ~where(line["market"], lambda texts: pc.not_equal(texts, ""))] = -1
        return found


def metered_prices(table: pa.Table, lists: AzureLists, period: str) -> MeteredPrices:
    """Find the rows of a month's Azure plan lists that a key tells.

    Args:
        table: columns of the price list table.
        lists: the Azure plan lists of the period.
        period: YYYY-MM.
    """
    first, last = ((day - _EPOCH).days for day in (date.fromisoformat(f"{period}-01"), last_day(period)))
    rows = np.flatnonzero(_of_lists(table, lists))
    listed = table.take(pa.array(rows))
    key = [words_of(_upper(listed.column(name))) for name in _KEY]
    group, _ = mix(key)
    all_month = _all_month(listed, first, last)
    meters = _lower(listed.column("meter_ids"))
    by_meter = mix([*key, words_of(meters)])
    told_by_meter = all_month & _told_by_meter(group, meters, by_meter[0])
    by_price = mix([*key, words_of(listed.column("unit_price"))])
    told_by_price = all_month & _told_by_price(group, meters, listed)
    told = rows[told_by_meter | told_by_price]
    return MeteredPrices(
        told, first, last,
        _Index.of(by_meter, told_by_meter, rows, told), _Index.of(by_price, told_by_price, rows, told),
    )  # fmt: skip


def _told_by_meter(group: Hashes, meters: pa.DictionaryArray, keys: Hashes) -> Mask:
    """Rows that alone have their meter, of groups whose every row names one: there a meter's row is found by it."""
    single = _single(meters)
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    told: Mask = single & ~np.isin(group, np.unique(group[~single])) & (counts[inverse] == 1)
    return told


def _told_by_price(group: Hashes, meters: pa.DictionaryArray, listed: pa.Table) -> Mask:
    """Rows whose price no other row of their group comes near: printed as it stands, it can be nobody else's.

    Where some rows of a group name no meter, a line that names none either is priced by these.
    """
    prices = Fixed.from_arrow(listed.column("unit_price"))
    if prices.units.dtype == object:
        return np.zeros(len(group), dtype=np.bool_)
    currencies, codes = values_and_codes(listed.column("currency"))
    coins = np.array([currency_exponent(name) for name in [*currencies.to_pylist(), None]], dtype=np.int64)[codes]
    step = powers(np.maximum(prices.scale - np.maximum(prices.decimals_needed(), coins), 0))
    order = np.lexsort((prices.units, group))
    same = group[order][1:] == group[order][:-1]
    apart = np.diff(prices.units[order])
    told = np.ones(len(group), dtype=np.bool_)
    for side in (order[1:], order[:-1]):
        told[side[same & (apart < step[side])]] = False
    unnamed = ~where(meters, lambda texts: pc.match_substring_regex(texts, METER.pattern))
    free: Mask = told & (unnamed | ~np.isin(group, np.unique(group[unnamed])))
    return free


def _upper(column: Column) -> pa.DictionaryArray:
    return with_values(column, pc.utf8_upper)


def _lower(column: Column) -> pa.DictionaryArray:
    return with_values(column, pc.utf8_lower)


def _of_lists(table: pa.Table, lists: AzureLists) -> Mask:
    """Rows of the month's lists that price use."""
    named = np.zeros(table.num_rows, dtype=np.bool_)
    shas, names = table.column("file_sha256"), table.column("source_file")
    for sha, name in lists.files:
        named |= is_one_of(shas, [sha]) & is_one_of(names, [name])
    planned = np.asarray(pc.is_valid(table.column("billing_plan")))
    of_use: Mask = named & ~planned & ~is_one_of(_upper(table.column("term_duration")), LONG_TERMS)
    return of_use


def _single(meters: pa.DictionaryArray) -> Mask:
    """Rows that name one meter."""
    values, codes = values_and_codes(meters)
    found: Mask = np.array([METER.fullmatch(text) is not None for text in values.to_pylist()] + [False])[codes]
    return found


def _all_month(table: pa.Table, first: int, last: int) -> Mask:
    """Rows that are valid on every day of the month."""
    starts, ends = (table.column(f"effective_{end}_date").cast(pa.int64()) for end in ("start", "end"))
    begun = np.asarray(pc.fill_null(starts, -(2**62))) < (first + 1) * _DAY_US
    goes_on: Mask = np.asarray(pc.fill_null(ends, 2**62)) >= last * _DAY_US
    return begun & goes_on
