"""Every price list ever loaded, asked by product and SKU; their rows are looked at when they are first asked for."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.azure_prices import WHOLE, AzureLists, AzurePriceBook, azure_lists_of
from transforms.dates import days_of
from transforms.integers import Integers
from transforms.metered_prices import metered_prices
from transforms.money import Fixed
from transforms.price_answers import OUTCOMES, AnswerColumns
from transforms.price_match import PriceAnswer, PriceBook
from transforms.price_rows import READ, PriceRow, PriceRows
from transforms.texts import Column, repeated, values_and_codes, where, with_encoded_texts, with_values

#: The columns of price lists that lines are priced by.
PRICED_BY = (*READ, "meter_type")


def compact(table: pa.Table) -> pa.Table:
    """The columns of price list rows that lines are priced by, texts dictionary-encoded, in one piece."""
    return with_encoded_texts(table.select(list(PRICED_BY)))


class PriceLists:
    """The price lists as a period's lines are priced by them.

    Attributes:
        azure: the Azure plan lists of the period.
        told: the rows of these that a line's ids or price tell.
        tiered: products, in upper case, that a licence list prices by quantity.
    """

    def __init__(self, table: pa.Table, period: str, delivered: Collection[str]) -> None:
        """Index the rows of every list.

        Args:
            table: columns PRICED_BY of the price list table, or more.
            period: YYYY-MM.
            delivered: SHA-256 of the lists that came with the period's exports.
        """
        table = compact(table)
        self.azure: AzureLists = azure_lists_of(period, table, delivered)
        self._table = table.select(READ)
        self._rows = PriceRows(self._table)
        products, of_product = _upper_codes(table.column("product_id"))
        skus, of_sku = _upper_codes(table.column("sku_id"))
        self._products, self._skus = products, skus
        keys = of_product * len(skus) + of_sku
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self.told = metered_prices(self._table, self.azure, period)
        self._licences: dict[tuple[str, str], PriceBook] = {}
        self._metered: dict[tuple[str, str], AzurePriceBook] = {}
        self.tiered = self._tiered()

    def licences(self, product_id: str, sku_id: str) -> PriceBook:
        """The licence prices of a product's SKU (ids in any case)."""
        key = product_id.upper(), sku_id.upper()
        book = self._licences.get(key)
        if book is None:
            book = self._licences[key] = PriceBook(self._of(*key))
        return book

    def metered(self, product_id: str, sku_id: str) -> AzurePriceBook:
        """The prices of a product's SKU (ids in any case) in the Azure plan lists of the period."""
        key = product_id.upper(), sku_id.upper()
        book = self._metered.get(key)
        if book is None:
            book = self._metered[key] = AzurePriceBook(self._of(*key), self.azure)
        return book

    @cached_property
    def turning_days(self) -> Integers:
        """Days (since 1970, sorted) on which a row begins, has ended, or a list is published.

        Two days between the same two of them have the same prices.
        """
        starts, ends = (days_of(self._table.column(name)) for name in ("effective_start_date", "effective_end_date"))
        newest = pa.array(self._rows.published, pa.timestamp("us", "UTC"))
        days: Integers = np.unique(np.concatenate([starts, ends + 1, days_of(newest)]))
        return days

    def told_answer(self, place: int) -> PriceAnswer:
        """The answer that is a row of `told`."""
        return PriceAnswer("priced", self._rows.at(self.told.rows[[place]])[0], WHOLE)

    def told_columns(self) -> AnswerColumns:
        """The answers that are rows of `told`, in their order."""
        rows = self._table.take(pa.array(self.told.rows))
        count = rows.num_rows
        retail = Fixed.from_arrow(rows.column("erp_price"))
        nothing = Fixed.of([None])
        prices = [
            column.appended(count, nothing).first(count + 1)
            for column in (Fixed.from_arrow(rows.column("unit_price")), retail)
        ]
        return AnswerColumns(
            np.append(np.full(count, OUTCOMES.index("priced"), dtype=np.int8), np.int8(0)),
            prices[0], prices[1], prices[1],
            np.ones(count + 1, dtype=np.int64),
            np.zeros(count + 1, dtype=np.int64),
            np.append(np.asarray(rows.column("source_row")), -1),
            {
                "segment": _codes(with_values(rows.column("segment"), _none_if_empty)),
                "segment_source": _codes(repeated(None, count)),
                "price_file_sha256": _codes(rows.column("file_sha256")),
                "price_source_file": _codes(rows.column("source_file")),
            },
        )  # fmt: skip

    def _of(self, product_id: str, sku_id: str) -> list[PriceRow]:
        product, sku = self._products.get(product_id), self._skus.get(sku_id)
        if product is None or sku is None:
            return []
        key = product * len(self._skus) + sku
        first, end = np.searchsorted(self._keys, [key, key + 1])
        return self._rows.at(self._order[first:end])

    def _tiered(self) -> frozenset[str]:
        tiers = [self._table.column(f"pricing_tier_range_{end}") for end in ("min", "max")]
        limited = np.asarray(pc.or_(*(pc.is_valid(tier) for tier in tiers)))
        planned = where(self._table.column("billing_plan"), lambda plans: pc.not_equal(plans, ""))
        found: Any = self._table.filter(pa.array(limited & planned)).column("product_id").unique().to_pylist()
        return frozenset(product.upper() for product in found)


def _upper_codes(ids: Column) -> tuple[dict[str, int], Integers]:
    """The number of each id in upper case, and each row's; none is like an empty one."""
    values, codes = values_and_codes(with_values(ids, pc.utf8_upper))
    numbers = {value: number for number, value in enumerate(values.to_pylist())}
    empty = numbers.setdefault("", len(values))
    return numbers, np.where(codes == len(values), empty, codes).astype(np.int64)


def _none_if_empty(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _codes(column: Column) -> tuple[Integers, pa.Array]:
    """Codes, -1 for none, also in a last row, and the distinct texts."""
    values, codes = values_and_codes(column)
    return np.append(np.where(codes == len(values), -1, codes), -1), values
