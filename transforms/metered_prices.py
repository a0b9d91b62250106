"""The rows of Azure plan lists that can be told by product, SKU, market, currency and meter alone.

That is nearly every row of a real list, and nearly all usage. Where such a key has one row, valid all month, the
answer is that row whatever the day and whatever price the line shows; the other cases are for the price book.
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
from transforms.integers import Integers, Mask
from transforms.periods import last_day
from transforms.price_rows import LONG_TERMS, METER
from transforms.texts import Column, is_one_of, values_and_codes, with_values

_KEY = ("product_id", "sku_id", "market", "currency")
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class MeteredPrices:
    """One row for each key, in the order of the keys' digests.

    Attributes:
        rows: the rows' places in the price lists.
        first, last: days since 1970 for which they hold.
    """

    rows: Integers
    first: int
    last: int
    _keys: Hashes
    _seconds: Hashes

    def find(self, line: Mapping[str, Column], days: tuple[Integers, Integers]) -> Integers:
        """The place in `rows` of the row that prices each line; -1 where the price book has to be asked.

        Args:
            line: columns product_id, sku_id, market, currency and meter_id of the lines.
            days: first and last day that each line is for.
        """
        found = np.full(len(days[0]), -1, dtype=np.int64)
        if not len(self.rows):
            return found
        first, second = _digests({name: line[name] for name in _KEY}, line["meter_id"])
        place = np.minimum(np.searchsorted(self._keys, first), len(self._keys) - 1)
        hit = (self._keys[place] == first) & (self._seconds[place] == second)
        hit &= (days[0] >= self.first) & (days[1] <= self.last)
        found[hit] = place[hit]
        return found


def metered_prices(table: pa.Table, lists: AzureLists, period: str) -> MeteredPrices:
    """Find the rows of a month's Azure plan lists that a key tells.

    Args:
        table: columns of the price list table.
        lists: the Azure plan lists of the period.
        period: YYYY-MM.
    """
    first, last = ((day - _EPOCH).days for day in (date.fromisoformat(f"{period}-01"), last_day(period)))
    own = np.flatnonzero(_of_lists(table, lists))
    listed = table.take(pa.array(own))
    key = {name: with_values(listed.column(name), pc.utf8_upper) for name in _KEY}
    group, _ = mix([words_of(column) for column in key.values()])
    meters = with_values(listed.column("meter_ids"), pc.utf8_lower)
    single = _single(meters)
    digests = _digests(key, meters)
    # In a group of rows that name their meter, each for itself, a meter's row is found by the meter.
    sound = single & ~np.isin(group, np.unique(group[~single])) & _all_month(listed, first, last)
    _, inverse, counts = np.unique(digests[0], return_inverse=True, return_counts=True)
    sound &= counts[inverse] == 1
    places = np.flatnonzero(sound)
    order = places[np.argsort(digests[0][places])]
    return MeteredPrices(own[order], first, last, digests[0][order], digests[1][order])


def _digests(key: Mapping[str, Column], meters: Column) -> tuple[Hashes, Hashes]:
    upper = [with_values(key[name], pc.utf8_upper) for name in _KEY]
    return mix([words_of(column) for column in (*upper, with_values(meters, pc.utf8_lower))])


def _of_lists(table: pa.Table, lists: AzureLists) -> Mask:
    """Rows of the month's lists that price use."""
    named: Mask = np.zeros(table.num_rows, dtype=np.bool_)
    shas, names = table.column("file_sha256"), table.column("source_file")
    for sha, name in lists.files:
        named |= is_one_of(shas, [sha]) & is_one_of(names, [name])
    planned = np.asarray(pc.is_valid(table.column("billing_plan")))
    terms = with_values(table.column("term_duration"), pc.utf8_upper)
    return named & ~planned & ~is_one_of(terms, LONG_TERMS)


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
