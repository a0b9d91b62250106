"""Metered prices that are found by digest are those that the price book would find, for any lists and lines."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.rows import price_rows, recon_rows, usage_rows
from transforms.azure_prices import AzurePriceBook, AzureQuestion
from transforms.categories import categorise
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.price_rows import price_row, published_dates
from transforms.pricing import Pricer
from transforms.wide import Wide

Row = dict[str, Any]
MONTH = datetime(2025, 11, 1, tzinfo=UTC)
PRODUCTS = ("DZH318Z00001", "dzh318z00001", "DZH318Z00002")

list_rows = st.fixed_dictionaries(
    {
        "product_id": st.sampled_from(PRODUCTS),
        "sku_id": st.sampled_from(("0001", "000A")),
        "market": st.sampled_from(("US", "us", "DE")),
        "currency": st.sampled_from(("USD", "JPY")),
        "unit_price": st.sampled_from(("0.1", "0.10", "0.104", "0.1049", "1", "1.004", "0", "12345678.12345678")),
        "erp_price": st.sampled_from((None, "2")),
        "segment": st.none(),
        "meter_ids": st.sampled_from((None, "m1", "M1", "m2", "m1,m2", "")),
        "pricing_tier_range_min": st.sampled_from((None, "5")),
        "effective_start_date": st.sampled_from((None, MONTH, datetime(2025, 11, 9, 8, tzinfo=UTC))),
        "effective_end_date": st.sampled_from(
            (None, datetime(2025, 11, 30, 23, tzinfo=UTC), datetime(2025, 11, 8, tzinfo=UTC))
        ),
    }
)
lines = st.fixed_dictionaries(
    {
        "product_id": st.sampled_from(PRODUCTS),
        "sku_id": st.sampled_from(("0001", "000A")),
        "customer_country": st.sampled_from(("US", "us", "DE", None)),
        "pricing_currency": st.sampled_from(("USD", "JPY", "usd")),
        "unit_price": st.sampled_from(("0.1", "0.104", "1.00", "3", "12345678.12")),
        "meter_id": st.sampled_from(("m1", "M2", "m3", None)),
        "usage_date": st.sampled_from((date(2025, 11, 1), date(2025, 11, 9), date(2025, 11, 30), date(2025, 10, 31))),
    }
)


@settings(max_examples=100)
@given(listed=st.lists(list_rows, min_size=1, max_size=8), billed=st.lists(lines, min_size=1, max_size=6))
def test_what_a_key_tells_is_what_the_price_book_answers(listed: list[Row], billed: list[Row]) -> None:
    table = price_rows(*({"billing_plan": None, "term_duration": None, **row} for row in listed))
    lists = PriceLists(table, "2025-11", frozenset(["f" * 64]))
    rows = [price_row(row, published_dates(table)) for row in table.to_pylist()]
    book = AzurePriceBook(rows, lists.azure)
    usage = usage_rows(*({"publisher_name": "Microsoft", "partner_earned_credit_percentage": "15", **line}
                         for line in billed))  # fmt: skip
    span = {"charge_start_date": date(2025, 11, 1), "charge_end_date": date(2025, 11, 30)}
    own = [{name: value for name, value in line.items() if name not in ("meter_id", "usage_date")} for line in billed]
    recon = recon_rows(*({"term_and_billing_cycle": None, "product_category": "Azure", "meter_description": "m",
                          "publisher_name": "Microsoft", **span, **line} for line in own))  # fmt: skip
    pricer = Pricer(lists, Policy())
    for pricing, table_of_lines, days, meters in (
        (pricer.price_usage(usage), usage, ("usage_date", "usage_date"), True),
        (pricer.price_lines(recon, categorise(recon)), recon, ("charge_start_date", "charge_end_date"), False),
    ):
        for place, line in enumerate(table_of_lines.to_pylist()):
            if not lists.azure.speak_of(line["customer_country"] or "", line["pricing_currency"]):
                assert not pricing.priced[place]
                continue
            expected = book.answer(AzureQuestion(
                line["product_id"], line["sku_id"], line["customer_country"] or "", line["pricing_currency"],
                (line["meter_id"] or "") if meters else "", line[days[0]], line[days[1]], line["unit_price"],
            ))  # fmt: skip
            answer = pricing.answer(place)
            assert (answer.outcome, answer.row, answer.nearest) == (expected.outcome, expected.row, expected.nearest)
            listed_price = expected.row.unit_price if expected.row else None
            assert pricing.list_price.decimal(place) == listed_price
            source_row = pricing.price_rows()["price_source_row"][place].as_py()
            assert source_row == (expected.row.source_row if expected.row else None)


@pytest.mark.parametrize("count", [1, 50])
def test_wide_products_are_divided_as_python_divides_them(count: int) -> None:
    numbers = np.random.default_rng(7)
    left, right = (numbers.integers(-(2**62), 2**62, count) for _ in range(2))
    exact = [int(one) * int(other) for one, other in zip(left, right, strict=True)]
    product = Wide.product(left, right)
    high, low = product.words()
    assert [(int(one) << 64) + int(other) for one, other in zip(high, low, strict=True)] == exact
    for places in (0, 1, 9, 10, 27, 37):
        for half_up in (False, True):
            high, low = product.divided(places, half_up=half_up).words()
            step = 10**places
            whole = [(2 * abs(value) + step) // (2 * step) if half_up else abs(value) // step for value in exact]
            signed = [value if number >= 0 else -value for value, number in zip(whole, exact, strict=True)]
            assert [(int(one) << 64) + int(other) for one, other in zip(high, low, strict=True)] == signed


def test_texts_have_the_same_words_wherever_they_stand() -> None:
    from transforms.text_words import text_words

    texts = ["", "a", "a" * 36, "b" * 36, "x" * 300, "é" * 20, "a\x00", "12345678", "123456789"]
    first, second = text_words(pa.array(texts))
    assert len({*zip(first.tolist(), second.tolist(), strict=True)}) == len(texts)
    for place, text in enumerate(texts):
        alone = [words[0] for words in text_words(pa.array(["other", text]).slice(1))]
        assert alone == [first[place], second[place]]
