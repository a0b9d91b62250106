"""What the ids or the price of a metered charge tell at once is what the price book answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.transforms.rows import OPEN_END, price_rows, recon_rows, usage_rows
from transforms.azure_prices import AzurePriceBook, AzureQuestion
from transforms.categories import categorise
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.price_rows import READ, PriceRows
from transforms.pricing import Pricer, Pricing

_BEGINS = datetime(2025, 11, 1, tzinfo=UTC)
_PRICES = ["1", "1.004", "1.005", "1.01", "12.5", "0.115", "3", "0.0000000000000000000001"]
_DAYS = [date(2025, 11, 1), date(2025, 11, 20), date(2025, 11, 30), date(2025, 10, 31), date(2025, 12, 2), None]
_SHARED: dict[str, list[Any]] = {"product_id": ["DZH318Z0A", "dzh318z0a", "DZH318Z0B"], "sku_id": ["0X"]}
_LISTED: dict[str, list[Any]] = {
    **_SHARED, "billing_plan": [None], "term_duration": [None] * 5 + ["P1Y"], "market": ["US", "us", "DE", "DE", None],
    "currency": ["USD", "usd", "JPY"], "unit_price": _PRICES, "meter_ids": ["m1", "M2", "m3", "m1,m2", "", None],
    "meter_type": ["x"], "effective_start_date": [_BEGINS] * 5 + [None, datetime(2025, 11, 15, tzinfo=UTC)],
    "effective_end_date": [OPEN_END] * 5 + [datetime(2025, 11, 20, tzinfo=UTC)],
}  # fmt: skip
_CHARGED: dict[str, list[Any]] = {
    **_SHARED, "customer_country": ["US", "DE", None], "pricing_currency": ["USD", "JPY"], "unit_price": _PRICES,
    "publisher_name": ["Microsoft"],
}  # fmt: skip
_USED = {**_CHARGED, "usage_date": _DAYS, "meter_id": ["m1", "M1", "m2", "m3", None]}
_LINE = {
    **_CHARGED, "charge_start_date": _DAYS, "charge_end_date": _DAYS[::-1], "product_name": ["Azure plan"],
    "term_and_billing_cycle": [None], "billing_frequency": [None], "product_category": ["Azure"],
}  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_every_answer_is_the_price_books(seed: int) -> None:
    random = Random(seed)

    def drawn(choices: dict[str, list[Any]], count: int) -> list[dict[str, Any]]:
        return [{name: random.choice(values) for name, values in choices.items()} for _ in range(count)]

    table = price_rows(*drawn(_LISTED, random.randint(2, 14)), file="azure_2025-11.csv")
    lists = PriceLists(table, "2025-11", frozenset())
    rows = PriceRows(table.select(READ)).at(np.arange(table.num_rows))
    book = AzurePriceBook(rows, lists.azure)

    def check(pricing: Pricing, count: int) -> None:
        for row in range(count):
            try:
                question = pricing.question(row)
            except LookupError:
                continue
            assert isinstance(question, AzureQuestion)
            expected, found = book.answer(question), pricing.answer(row)
            assert (found.outcome, found.row) == (expected.outcome, expected.row)
            price = expected.row.unit_price if expected.row else None
            assert pricing.list_price.decimal(row) == price

    pricer = Pricer(lists, Policy())
    usage, recon = usage_rows(*drawn(_USED, 40)), recon_rows(*drawn(_LINE, 40))
    check(pricer.price_usage(usage), usage.num_rows)
    check(pricer.price_lines(recon, categorise(recon)), recon.num_rows)
