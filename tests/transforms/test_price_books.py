"""The price books asked directly: which row of several answers, and what is told where none does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.transforms.rows import price_rows as price_table
from transforms.azure_prices import AzureLists, AzurePriceBook, AzureQuestion
from transforms.price_match import PriceBook, PriceQuestion, with_fee
from transforms.price_rows import (
    NO_END,
    NO_START,
    READ,
    PriceRow,
    PriceRows,
    full_cycle,
    per_cycle,
    same_unit_price,
)
from transforms.terms import Cycle

MONTHLY = Cycle("P1Y", "Monthly", 12, 30, 30)
ANNUAL = Cycle("P1Y", "Annual", 1, 365, 365)


def at(month: int, day: int = 1, year: int = 2025) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


ROW = PriceRow(
    "P", "0001", "P1Y", "Monthly", "US", "USD", Decimal(120), Decimal(150), "Commercial", (None, None), at(1), NO_END,
    NO_START, at(1), (), "sha", "list.csv", 2,
)  # fmt: skip
QUESTION = PriceQuestion(
    "p", "0001", "us", "usd", (MONTHLY,), date(2025, 6, 15), date(2025, 6, 15), Decimal(10), None, None
)  # fmt: skip


def rows(*changes: dict[str, Any], base: PriceRow = ROW) -> list[PriceRow]:
    """Rows that are numbered and priced 1, 2, 3 … unless they say otherwise."""
    return [
        base._replace(**{"source_row": place, "unit_price": Decimal(place), **change})
        for place, change in enumerate(changes, 1)
    ]


def chosen(*changes: dict[str, Any], default: str = "Commercial", **question: Any) -> int | str:
    """The number of the row that answers, else the outcome; the answer must not hang on the order of the rows."""
    listed = rows(*changes)
    asked = QUESTION._replace(**{"unit_price": Decimal(10), **question})
    answers = [PriceBook(order).answer(asked, default) for order in (listed, listed[::-1])]
    assert answers[0] == answers[1]
    row = answers[0].row
    return row.source_row if row else answers[0].outcome


@pytest.mark.parametrize("change", [
    {"product_id": "Q"}, {"sku_id": "0002"}, {"term": "P3Y"}, {"billing_plan": "Annual"}, {"market": "DE"},
    {"currency": "EUR"}, {"billing_plan": ""},
])  # fmt: skip
def test_every_part_of_the_key_counts(change: dict[str, Any]) -> None:
    assert chosen(change) == "not_found"
    assert chosen(change, {}) == 2


def test_without_a_country_every_market_is_asked() -> None:
    assert chosen({"market": "DE"}, {"market": "GB", "starts": at(3)}, market="") == 2
    assert chosen({"market": "DE", "currency": "EUR"}, market="") == "not_found"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([{"ends": at(7)}, {}], 1, id="the one that ends first"),
        pytest.param([{"ends": at(7)}, {"ends": at(8), "updated": at(5), "starts": at(5)}], 1, id="before all else"),
        pytest.param([{"updated": at(4)}, {"updated": at(5)}], 2, id="then the one updated last"),
        pytest.param([{"updated": at(4)}, {"starts": at(5)}], 1, id="before the one that starts last"),
        pytest.param([{"starts": at(4)}, {"starts": at(5)}], 2, id="then the one that starts last"),
        pytest.param([{"starts": at(4)}, {"published": at(5)}], 1, id="before the newer list"),
        pytest.param([{"published": at(4)}, {"published": at(5)}], 2, id="then the newest list in force"),
        pytest.param([{"published": at(4)}, {"published": at(7)}], 1, id="which a later list is not"),
        pytest.param([{"published": at(8)}, {"published": at(7)}], 2, id="of later lists the oldest"),
        pytest.param([{"published": at(6, 15)}, {"published": at(6, 16)}], 1, id="in force from its first day"),
        pytest.param([{"starts": at(6, 15)}, {"starts": at(6, 16)}], 1, id="it starts on the day"),
        pytest.param([{"ends": at(6, 15)}, {"ends": at(6, 14)}], 1, id="it ends in the day"),
        pytest.param([{"starts": at(6, 16)}, {"ends": at(6, 14)}], "not_effective", id="none covers the day"),
    ],
)  # fmt: skip
def test_which_of_several_rows_counts(changes: list[dict[str, Any]], expected: int | str) -> None:
    assert chosen(*changes) == expected


def test_where_no_row_covers_the_day_the_latest_is_told() -> None:
    listed = rows({"starts": at(7)}, {"starts": at(9)}, {"starts": at(8)})
    answer = PriceBook(listed).answer(QUESTION, "Commercial")
    assert (answer.outcome, answer.row) == ("not_effective", None)
    assert answer.nearest is not None
    assert (answer.nearest.source_row, answer.nearest.origin) == (2, "list.csv row 2, valid 2025-09-01 to open")


def test_without_a_day_any_row_counts() -> None:
    assert chosen({"starts": at(9)}, on=None) == 1


@pytest.mark.parametrize(
    ("segments", "question", "expected"),
    [
        pytest.param({"Education": 120, "Commercial": 240}, {}, ("Education", "price"), id="the one whose price fits"),
        pytest.param({"Education": 96, "Commercial": 240}, {}, ("Commercial", "default"), id="none fits: the default"),
        pytest.param({"Education": 96, "Charity": 240}, {}, ("Charity", "default"), id="nor is the default listed"),
        pytest.param({"Education": 120, "Charity": 120, "Commercial": 240}, {}, ("Charity", "default"),
                     id="two fit, and the default does not"),
        pytest.param({"Education": 120, "Charity": 120, "": 240}, {}, ("Charity", "default"), id="two fit, none is it"),
        pytest.param({"Education": 120, "Commercial": 240}, {"segment": "Commercial"}, ("Commercial", "policy"),
                     id="the policy knows it"),
        pytest.param({"Education": 120, "Commercial": 240}, {"segment": "Charity"}, ("Education", "price"),
                     id="the policy's is not listed"),
        pytest.param({"Education": 240}, {}, ("Education", "only"), id="there is no other"),
        pytest.param({"": 240, "Education": 120}, {"segment": "Charity"}, ("", "only"), id="a list without segments"),
        pytest.param({"Education": 121, "Commercial": 240}, {"tolerance": Decimal("0.01")}, ("Education", "price"),
                     id="within the tolerance"),
        pytest.param({"Education": 120, "Commercial": 240}, {"unit_price": None}, ("Commercial", "default"),
                     id="the line shows no price"),
    ],
)  # fmt: skip
def test_how_the_segment_is_known(
    segments: dict[str, int], question: dict[str, Any], expected: tuple[str, str]
) -> None:
    listed = rows(*({"segment": name, "unit_price": Decimal(price)} for name, price in segments.items()))
    answer = PriceBook(listed).answer(QUESTION._replace(**question), "Commercial")
    assert answer.row is not None
    assert (answer.row.segment, answer.segment_source) == expected


def test_the_default_segment_counts_where_it_fits_or_nothing_does() -> None:
    for prices in ((120, 120), (240, 240)):
        listed = rows(*({"segment": name, "unit_price": Decimal(price)} for name, price in
                        zip(("Charity", "Education"), prices, strict=True)))  # fmt: skip
        answer = PriceBook(listed).answer(QUESTION, "Education")
        assert answer.row is not None
        assert (answer.row.segment, answer.segment_source) == ("Education", "default")


def test_the_price_of_the_day_charged_for_is_of_the_same_segment_and_not_the_terms_own() -> None:
    listed = rows({}, {"starts": at(8)}, {"starts": at(9), "segment": "Charity"})
    book = PriceBook(listed)
    for charged_on, expected in ((date(2025, 8, 1), 2), (date(2025, 10, 1), 2), (date(2025, 7, 31), None)):
        answer = book.answer(QUESTION._replace(charged_on=charged_on, segment="Commercial"), "Commercial")
        assert answer.row is not None
        assert (answer.row.source_row, answer.current and answer.current.source_row) == (1, expected)
    for question in ({"on": None}, {"charged_on": None}, {"charged_on": date(2025, 6, 15)}):
        assert book.answer(QUESTION._replace(**question), "Commercial").current is None


def test_a_plan_whose_price_fits_counts_before_a_likelier_one() -> None:
    listed = rows({"unit_price": Decimal(120)}, {"billing_plan": "Annual", "unit_price": Decimal(100)})
    for cycles, price, expected in (
        ((MONTHLY, ANNUAL), "100", ANNUAL), ((MONTHLY, ANNUAL), "10", MONTHLY), ((ANNUAL, MONTHLY), "10", MONTHLY),
        ((MONTHLY, ANNUAL), "7", MONTHLY), ((ANNUAL, MONTHLY), "7", ANNUAL),
    ):  # fmt: skip
        question = QUESTION._replace(cycles=cycles, unit_price=Decimal(price))
        assert PriceBook(listed).answer(question, "Commercial").cycle == expected
    late = listed[0]._replace(starts=at(9))
    assert PriceBook([late, listed[1]]).answer(QUESTION._replace(cycles=(MONTHLY, ANNUAL)), "").cycle == ANNUAL
    assert PriceBook([late]).answer(QUESTION._replace(cycles=(ANNUAL, MONTHLY)), "").outcome == "not_effective"


def test_a_plan_is_told_by_its_price_in_coins_and_within_the_tolerance() -> None:
    yen = {"currency": "JPY", "billing_plan": "Annual", "unit_price": Decimal("100.2")}
    listed = rows({"currency": "JPY", "unit_price": Decimal(999)}, yen)
    asked = QUESTION._replace(currency="JPY", cycles=(MONTHLY, ANNUAL), unit_price=Decimal(100))
    assert PriceBook(listed).answer(asked, "Commercial").cycle == ANNUAL
    near = rows({"unit_price": Decimal(999)}, {"billing_plan": "Annual", "unit_price": Decimal(101)})
    asked = QUESTION._replace(cycles=(MONTHLY, ANNUAL), unit_price=Decimal(100))
    assert PriceBook(near).answer(asked, "Commercial").cycle == MONTHLY
    assert PriceBook(near).answer(asked._replace(tolerance=Decimal("0.01")), "Commercial").cycle == ANNUAL


def test_ids_are_compared_in_one_case() -> None:
    assert chosen({"sku_id": "00AB"}, sku_id="00ab") == 1
    assert metered({"sku_id": "00AB"}, sku_id="00ab") == 1
    assert chosen({}, product_id="P", currency="USD", market="US") == 1


def test_what_a_question_says_of_itself() -> None:
    asked = QUESTION._replace(cycles=(MONTHLY, ANNUAL, MONTHLY))
    assert asked.wanted == "p:0001 P1Y/Monthly or P1Y/Annual us usd"
    assert asked._replace(cycles=()).wanted == "p:0001 an unknown term us usd"
    assert asked.moment == "the term started on 2025-06-15"
    used = AzureQuestion("P", "0001", "US", "USD", "m", date(2025, 6, 1), date(2025, 6, 1), None)
    assert (used.wanted, used.moment) == ("P:0001 US USD (Azure plan)", "the use was on 2025-06-01")
    assert used._replace(last=date(2025, 6, 30)).moment == "the use was 2025-06-01 to 2025-06-30"
    assert used.tolerance == 0


def test_prices_are_compared_in_the_currencys_coins() -> None:
    """1,000 ÷ 12 is 83 yen; in a currency of cents it would be 83.33."""
    yen = rows({"currency": "JPY", "segment": "Education", "unit_price": Decimal(1000)},
               {"currency": "JPY", "unit_price": Decimal(2000)})  # fmt: skip
    asked = QUESTION._replace(currency="jpy", unit_price=Decimal(83))
    answer = PriceBook(yen).answer(asked, "Commercial")
    assert answer.row is not None
    assert answer.row.segment == "Education"
    assert answer.matches(Decimal(83), "JPY")
    assert not answer.matches(Decimal(83), "USD")
    changes: list[dict[str, Any]] = [
        {"currency": "JPY", "unit_price": Decimal("83.2"), "starts": at(2)}, {"currency": "JPY"}
    ]  # fmt: skip
    assert metered(*changes, currency="JPY", unit_price=Decimal(83)) == 1
    current = answer._replace(row=None, current=yen[0])
    assert current.matches_current(Decimal(83), "JPY")
    assert not current.matches_current(Decimal(83), "USD")
    assert current.matches_current(Decimal("83.5"), "USD", Decimal("0.01"))
    assert not current.matches(Decimal(83), "JPY")
    assert not current.matches_current(None, "JPY")


def test_which_quantities_a_tier_holds() -> None:
    def holds(first: int | None, last: int | None) -> list[bool]:
        tier = (None if first is None else Decimal(first), None if last is None else Decimal(last))
        row = ROW._replace(tier=tier)
        return [row.holds(None if one is None else Decimal(one)) for one in (4, 5, 6, 7, None)]

    assert holds(5, 6) == [False, True, True, False, True]
    assert holds(None, 6) == [True, True, True, False, True]
    assert holds(5, None) == [False, True, True, True, True]


def test_rows_as_they_are_listed() -> None:
    lists = price_table(
        {"product_id": "P", "sku_id": "00ab", "term_duration": "p1y", "market": "us", "currency": "usd",
         "meter_ids": "M1;m2, m3|M4  m5", "pricing_tier_range_min": "1", "last_updated_date": at(3)},
        {"product_id": "P", "billing_plan": None, "segment": None, "effective_start_date": None,
         "effective_end_date": None, "erp_price": None},
        {"product_id": "other", "effective_start_date": at(9)},
    )  # fmt: skip
    first, second, _ = PriceRows(lists.select(READ)).at(np.arange(3))
    assert (first.sku_id, first.term, first.market, first.currency) == ("00AB", "P1Y", "US", "USD")
    assert first.meters == ("m1", "m2", "m3", "m4", "m5")
    assert (first.tier, first.updated) == ((Decimal(1), None), at(3))
    assert (second.billing_plan, second.segment, second.meters, second.tier) == ("", "", (), (None, None))
    assert (second.starts, second.ends, second.updated, second.erp_price) == (NO_START, NO_END, NO_START, None)
    assert {first.published, second.published} == {at(9)}


def test_where_a_row_stands() -> None:
    assert ROW._replace(starts=NO_START, ends=at(6, 30)).origin == "list.csv row 2, valid the beginning to 2025-06-30"


@pytest.mark.parametrize(
    ("billed", "term_price", "per_term", "currency", "expected"),
    [
        ("10", "120", 12, "USD", True), ("10.00", "120", 12, "USD", True), ("10.01", "120", 12, "USD", False),
        ("8.33", "100", 12, "USD", True), ("8.34", "100.1", 12, "USD", True), ("8.34", "100", 12, "USD", False),
        ("8.333", "100", 12, "USD", True), ("8.3333333333", "100", 12, "USD", True),
        ("8.3334", "100", 12, "USD", False),
        ("8.35", "100.2", 12, "USD", True), ("8.3", "100", 12, "USD", False), ("833", "10000", 12, "JPY", True),
        ("834", "10000", 12, "JPY", False), ("834", "10002", 12, "JPY", True), ("833", "10002", 12, "JPY", True),
        ("8.333", "100", 12, "KWD", True), ("8.33", "100", 12, "KWD", False),
    ],
)  # fmt: skip
def test_when_a_printed_price_is_the_lists(
    billed: str, term_price: str, per_term: int, currency: str, expected: bool
) -> None:
    assert same_unit_price(Decimal(billed), Decimal(term_price), per_term, currency) == expected


def test_the_tolerance_of_a_price_is_a_fraction_of_the_lists() -> None:
    for billed, expected in (("10.10", True), ("10.11", False), ("9.90", True), ("9.89", False)):
        assert same_unit_price(Decimal(billed), Decimal(120), 12, "USD", Decimal("0.01")) == expected


def test_prices_per_cycle() -> None:
    assert str(per_cycle(Decimal("211.20"), 12)) == "17.6"
    assert per_cycle(Decimal(100), 12) == Decimal("8.3333333333")
    assert per_cycle(Decimal("0.0000000001"), 2) == Decimal("0.0000000001"), "half up"
    assert not same_unit_price(Decimal(0), None, 12, "USD")
    assert full_cycle(Decimal("8.10"), Cycle("P1Y", "Monthly", 12, 11, 30)) == Decimal("22.0909090909")
    assert full_cycle(Decimal("0.0000000001"), Cycle("", "", 1, 2, 1)) == Decimal("0.0000000001")
    assert full_cycle(Decimal("8.1000000000001"), Cycle("", "", 1, 1, 1)) == Decimal("8.1000000000001")
    assert per_cycle(Decimal("0.000000000012"), 12) == Decimal("0.000000000001")
    assert with_fee(Decimal("21.12"), MONTHLY._replace(fee=Decimal("0.03"))) == Decimal("21.7536")
    assert with_fee(Decimal("21.12"), MONTHLY) == Decimal("21.12")


# Azure plan lists.

METERED = ROW._replace(billing_plan="", term="", segment="", erp_price=None, meters=("m1",), unit_price=Decimal("0.2"))
LISTS = AzureLists(frozenset({("sha", "list.csv")}), frozenset({("US", "USD"), ("DE", "EUR")}))
USED = AzureQuestion("p", "0001", "us", "usd", "M1", date(2025, 6, 15), date(2025, 6, 15), Decimal(10))


def metered(*changes: dict[str, Any], **question: Any) -> int | str:
    """Like `chosen`, of an Azure plan list."""
    listed = rows(*changes, base=METERED)
    asked = USED._replace(**question)
    answers = [AzurePriceBook(order, LISTS).answer(asked) for order in (listed, listed[::-1])]
    assert answers[0] == answers[1]
    row = answers[0].row
    return row.source_row if row else answers[0].outcome


@pytest.mark.parametrize("change", [
    {"product_id": "Q"}, {"sku_id": "0002"}, {"market": "DE"}, {"currency": "EUR"}, {"billing_plan": "Monthly"},
    {"file_sha256": "other"}, {"source_file": "other.csv"}, {"sku_id": "0001x"},
])  # fmt: skip
def test_every_part_of_an_azure_key_counts(change: dict[str, Any]) -> None:
    assert metered(change) == "not_found"
    assert metered(change, {}) == 2


@pytest.mark.parametrize(
    ("changes", "question", "expected"),
    [
        pytest.param([{"market": "DE"}], {"market": ""}, 1, id="without a country any market's"),
        pytest.param([{"meters": ("m2",)}, {}], {}, 2, id="the meter's"),
        pytest.param([{"meters": ()}, {"meters": ("m2",)}], {}, 1, id="one for all meters"),
        pytest.param([{"meters": ("m2", "m3"), "starts": at(2)}, {"meters": ("m4",)}], {}, 1,
                     id="the SKU's, where no row names the meter"),
        pytest.param([{"unit_price": Decimal(10)}, {"ends": at(7)}], {}, 1, id="the one whose price it is"),
        pytest.param([{}, {"ends": at(7)}], {}, 2, id="else the one that ends first"),
        pytest.param([{"tier": (None, Decimal(5))}, {"tier": (Decimal(5), None)}], {}, 2, id="of the highest tier"),
        pytest.param([{"tier": (Decimal(0), Decimal(5))}, {"tier": (Decimal(5), None), "ends": at(9)}], {}, 2,
                     id="the tier before the end"),
        pytest.param([{"starts": at(6, 16)}], {}, "not_effective", id="it starts the day after"),
        pytest.param([{"starts": at(6, 15)}], {}, 1, id="it starts on the day"),
        pytest.param([{"starts": at(6, 30)}], {"last": date(2025, 6, 30)}, 1, id="it starts on the month's last day"),
        pytest.param([{"ends": at(6, 1)}], {"first": date(2025, 6, 1)}, 1, id="it ended on the month's first day"),
        pytest.param([{"ends": at(6, 14)}], {}, "not_effective", id="it ended the day before"),
        pytest.param([{"ends": at(2)}], {"first": None}, 1, id="nobody knows since when"),
        pytest.param([{"starts": at(9)}], {"last": None}, 1, id="nobody knows until when"),
    ],
)  # fmt: skip
def test_which_azure_row_counts(changes: list[dict[str, Any]], question: dict[str, Any], expected: int | str) -> None:
    assert metered(*changes, **question) == expected


def test_the_latest_azure_row_is_told() -> None:
    listed = rows({"starts": at(8)}, {"starts": at(9)}, {"starts": at(7)}, base=METERED)
    nearest = AzurePriceBook(listed, LISTS).answer(USED).nearest
    assert nearest is not None
    assert nearest.source_row == 2


def test_which_markets_a_list_speaks_of() -> None:
    expected = {("us", "usd"): True, ("DE", "EUR"): True, ("US", "EUR"): False, ("", "EUR"): True, ("", "GBP"): False}
    assert {asked: LISTS.speak_of(*asked) for asked in expected} == expected
