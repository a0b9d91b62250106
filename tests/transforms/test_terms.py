"""Terms, plans and charge cycles on Microsoft's documented dates."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from transforms.terms import ChargeDates, Cycle, add_months, cycles_of

YEAR = "one-year commitment for monthly/yearly billing"


@pytest.mark.parametrize(
    ("text", "frequency", "start", "end", "expected"),
    [
        (YEAR, "monthly", (2025, 1, 31), (2025, 2, 27), ("P1Y", "Monthly", 12, 28, 28)),
        (YEAR, "monthly", (2025, 2, 28), (2025, 3, 30), ("P1Y", "Monthly", 12, 31, 31)),
        (YEAR, "monthly", (2025, 3, 31), (2025, 4, 29), ("P1Y", "Monthly", 12, 30, 30)),
        (YEAR, "monthly", (2025, 4, 10), (2025, 4, 29), ("P1Y", "Monthly", 12, 20, 30)),
        (YEAR, "annual", (2025, 1, 31), (2026, 1, 30), ("P1Y", "Annual", 1, 365, 365)),
        (YEAR, "", (2025, 1, 31), (2026, 1, 30), ("P1Y", "Annual", 1, 365, 365)),
        ("three-3 years commitment for monthly/3 years/yearly billing", "triennial", (2025, 1, 31), (2028, 1, 30),
         ("P3Y", "Triennial", 1, 1095, 1095)),
        ("three-3 years commitment for monthly/3 years/yearly billing", "monthly", (2025, 1, 31), (2025, 2, 27),
         ("P3Y", "Monthly", 36, 28, 28)),
        ("", "monthly", (2025, 1, 31), (2025, 2, 27), ("P1Y", "Monthly", 12, 28, 28)),
    ],
)  # fmt: skip
def test_cycles_of_a_term_bought_on_the_last_of_january(
    text: str,
    frequency: str,
    start: tuple[int, int, int],
    end: tuple[int, int, int],
    expected: tuple[str, str, int, int, int],
) -> None:
    dates = ChargeDates(date(*start), date(*end), date(2025, 1, 31), date(2026, 1, 30))
    assert cycles_of(text, frequency, dates)[0] == Cycle(*expected)


def test_a_monthly_term_ends_before_the_anniversary_day_of_a_short_month() -> None:
    start, end = date(2025, 1, 31), date(2025, 2, 27)
    cycles = cycles_of("one-month commitment for monthly billing", "monthly", ChargeDates(start, end, start, end))
    assert cycles == (Cycle("P1M", "Monthly", 1, 28, 28),)


def test_a_coterminous_first_cycle_is_prorated_to_the_common_end() -> None:
    start, term_end = date(2025, 11, 12), date(2026, 10, 31)
    first = cycles_of(YEAR, "monthly", ChargeDates(start, date(2025, 11, 30), start, term_end))
    second = cycles_of(YEAR, "monthly", ChargeDates(date(2025, 12, 1), date(2025, 12, 31), start, term_end))
    assert first + second == (Cycle("P1Y", "Monthly", 12, 19, 30), Cycle("P1Y", "Monthly", 12, 31, 31))


def test_no_term_is_guessed_from_nothing() -> None:
    assert cycles_of("1 cache instance hour", "", ChargeDates(date(2025, 1, 1), None, None, None)) == ()


def test_months_are_clipped_to_their_end_and_leap_years_hold() -> None:
    assert add_months(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert add_months(date(2024, 2, 29), -12) == date(2023, 2, 28)
    assert add_months(date(2024, 12, 15), 1) == date(2025, 1, 15)


@pytest.mark.parametrize(
    ("text", "frequency", "start", "end", "expected"),
    [
        ("one-year commitment for yearly billing", "", (2025, 2, 1), (2025, 2, 28), [("P1Y", "Annual", 1)]),
        ("one-year commitment for monthly billing", "", (2025, 2, 1), (2026, 1, 31), [("P1Y", "Monthly", 12)]),
        (YEAR, "yearly", (2025, 2, 1), (2025, 2, 28), [("P1Y", "Annual", 1)]),
        (YEAR, "triennial", (2025, 2, 1), (2025, 2, 28), [("P1Y", "Annual", 1)]),
        (YEAR, "", (2025, 2, 1), (2025, 2, 28), [("P1Y", "Monthly", 12), ("P1Y", "Annual", 1)]),
        (YEAR, "", (2025, 2, 1), (2025, 3, 4), [("P1Y", "Annual", 1), ("P1Y", "Monthly", 12)]),
        ("p3y", "", (2025, 2, 1), (2025, 3, 3),
         [("P3Y", "Monthly", 36), ("P3Y", "Annual", 3), ("P3Y", "Triennial", 1)]),
        ("p3y", "", (2025, 2, 1), (2026, 2, 1),
         [("P3Y", "Annual", 3), ("P3Y", "Monthly", 36), ("P3Y", "Triennial", 1)]),
        ("p3y", "", (2025, 2, 1), (2026, 2, 2),
         [("P3Y", "Triennial", 1), ("P3Y", "Monthly", 36), ("P3Y", "Annual", 3)]),
        ("p3y", "annually", (2025, 2, 1), (2026, 1, 31), [("P3Y", "Annual", 3)]),
        ("five-5 years commitment for monthly billing", "", (2025, 2, 1), (2025, 2, 28), [("P5Y", "Monthly", 60)]),
        ("p1m", "annual", (2025, 2, 1), (2025, 2, 28), [("P1M", "Monthly", 1)]),
        ("1 month subscription", "", (2025, 2, 1), (2025, 2, 28), [("P1M", "Monthly", 1)]),
        ("3 years", "three years", (2025, 2, 1), (2028, 1, 31), [("P3Y", "Triennial", 1)]),
    ],
)  # fmt: skip
def test_the_plans_a_line_may_have(
    text: str,
    frequency: str,
    start: tuple[int, int, int],
    end: tuple[int, int, int],
    expected: list[tuple[str, str, int]],
) -> None:
    cycles = cycles_of(text, frequency, ChargeDates(date(*start), date(*end), None, None))
    assert [cycle[:3] for cycle in cycles] == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (date(2025, 1, 31), "P1M"), (date(2025, 2, 1), "P1Y"), (date(2026, 1, 1), "P1Y"), (date(2026, 1, 2), "P3Y"),
        (date(2028, 1, 3), "P3Y"), (date(2028, 1, 4), "P5Y"), (date(2025, 1, 1), "P1M"), (date(2024, 12, 31), None),
        (None, None),
    ],
)  # fmt: skip
def test_without_a_text_the_term_is_told_by_its_length(end: date | None, expected: str | None) -> None:
    dates = ChargeDates(date(2025, 1, 1), date(2025, 1, 31), date(2025, 1, 1), end)
    assert [cycle.term for cycle in cycles_of("", "monthly", dates)] == ([expected] if expected else [])
    assert cycles_of("", "monthly", ChargeDates(None, None, None, end)) == ()


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        pytest.param(ChargeDates(None, None, None, None), (1, 1), id="no dates"),
        pytest.param(ChargeDates(date(2025, 3, 5), None, None, None), (1, 1), id="no end"),
        pytest.param(ChargeDates(date(2025, 3, 5), date(2025, 3, 4), None, None), (1, 1), id="an end before the start"),
        pytest.param(ChargeDates(date(2025, 3, 5), date(2025, 3, 5), None, None), (1, 28), id="one day"),
        pytest.param(ChargeDates(date(2025, 3, 5), date(2025, 3, 31), None, None), (27, 31), id="to the month's end"),
        pytest.param(ChargeDates(date(2025, 3, 1), date(2025, 4, 14), None, None), (45, 45), id="longer than a cycle"),
        pytest.param(ChargeDates(date(2025, 3, 20), date(2025, 4, 9), date(2024, 12, 10), date(2025, 12, 9)), (21, 31),
                     id="counted from the term's start"),
        pytest.param(ChargeDates(date(2025, 3, 20), date(2025, 3, 31), date(2025, 3, 20), date(2026, 2, 28)), (12, 31),
                     id="counted back from the term's end"),
        pytest.param(ChargeDates(date(2025, 2, 20), date(2025, 2, 27), date(2025, 1, 31), date(2026, 1, 30)), (8, 28),
                     id="to the last of a short month"),
        pytest.param(ChargeDates(date(2025, 4, 5), date(2025, 4, 29), date(2025, 4, 5), date(2026, 1, 30)), (25, 30),
                     id="to the last of a short month, back from the term's end"),
        pytest.param(ChargeDates(date(2025, 3, 5), date(2025, 3, 30), date(2025, 1, 31), None), (26, 31),
                     id="between two last days of months"),
        pytest.param(ChargeDates(date(2025, 4, 5), date(2025, 4, 29), date(2024, 1, 31), None), (25, 30),
                     id="in the second year"),
        pytest.param(ChargeDates(date(2025, 3, 1), date(2025, 3, 12), date(2025, 4, 1), date(2025, 3, 11)), (12, 28),
                     id="outside its term"),
    ],
)
def test_days_of_a_monthly_cycle(dates: ChargeDates, expected: tuple[int, int]) -> None:
    (cycle,) = cycles_of("p1y", "monthly", dates)
    assert (cycle.billed, cycle.full) == expected


def test_an_annual_cycle_of_a_coterminous_term_ends_with_it() -> None:
    dates = ChargeDates(date(2025, 9, 13), date(2026, 6, 30), date(2025, 9, 13), date(2026, 6, 30))
    assert cycles_of("p1y", "annual", dates) == (Cycle("P1Y", "Annual", 1, 291, 365),)


def test_an_extended_service_term_goes_on_month_by_month() -> None:
    dates = ChargeDates(date(2025, 11, 11), date(2025, 11, 30), date(2025, 11, 1), date(2025, 11, 30))
    fee = Decimal("0.03")
    offers = [("P1M", "Monthly", 1), ("P1Y", "Monthly", 12), ("P1Y", "Annual", 12)]
    expected = [Cycle(*offer, 20, 30, share) for share in (fee, Decimal(0)) for offer in offers]
    assert list(cycles_of("one-month commitment", "monthly", dates, fee)) == expected
    yearly = cycles_of("one-year commitment for yearly billing", "", dates, fee)
    assert [cycle[:2] for cycle in yearly[:3]] == [("P1M", "Monthly"), ("P1Y", "Annual"), ("P1Y", "Monthly")]
    longer = dates._replace(charge_start=date(2024, 12, 1))
    unnamed = cycles_of("one-year commitment for monthly/yearly billing", "", longer, fee)
    assert [cycle[:2] for cycle in unnamed[:3]] == [("P1M", "Monthly"), ("P1Y", "Annual"), ("P1Y", "Monthly")]
    three = cycles_of("p3y", "annual", dates, fee)
    assert [cycle[:3] for cycle in three[:2]] == [("P1M", "Monthly", 1), ("P3Y", "Annual", 36)]
    assert [cycle[:2] for cycle in cycles_of("", "", ChargeDates(None, None, None, None), fee)[:3]] == [
        ("P1M", "Monthly"), ("P1Y", "Monthly"), ("P1Y", "Annual"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((2025, 3, 12), (2026, 2, 11), (11, 12)), ((2025, 4, 12), (2026, 2, 11), (10, 12)),
        ((2025, 2, 12), (2025, 3, 11), (1, 12)), ((2025, 1, 31), (2025, 2, 27), (1, 12)),
        ((2025, 2, 28), (2025, 8, 30), (6, 12)),
    ],
)  # fmt: skip
def test_a_change_of_plan_is_charged_by_whole_months(
    start: tuple[int, int, int], end: tuple[int, int, int], expected: tuple[int, int]
) -> None:
    dates = ChargeDates(date(*start), date(*end), None, None, by_months=True)
    (cycle,) = cycles_of("p1y", "annual", dates)
    assert (cycle.billed, cycle.full, cycle.unit) == (*expected, "months")
    days = ChargeDates(date(*start), date(*end) + timedelta(days=-10), None, None, by_months=True)
    assert cycles_of("p1y", "annual", days)[0].unit == "days"


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        pytest.param(ChargeDates(date(2024, 3, 10), date(2025, 2, 27), date(2024, 2, 29), None), (355, 365),
                     id="from a leap day"),
        pytest.param(ChargeDates(date(2023, 5, 1), date(2024, 2, 28), date(2023, 5, 1), date(2027, 2, 27)), (304, 366),
                     id="back from a term's end, after a leap day is none of its cycles"),
        pytest.param(ChargeDates(date(2025, 5, 1), date(2025, 9, 30), date(2025, 1, 1), date(2025, 12, 31)), (153, 365),
                     id="neither from the start nor to the end"),
    ],
)  # fmt: skip
def test_days_of_an_annual_cycle(dates: ChargeDates, expected: tuple[int, int]) -> None:
    (cycle,) = cycles_of("p1y", "annual", dates)
    assert (cycle.billed, cycle.full) == expected
    assert all(type(one) is int for one in cycle[2:5])


def test_whole_months_and_missing_dates_keep_term_plan_and_fee() -> None:
    fee = Decimal("0.03")
    quarter = ChargeDates(date(2025, 1, 1), date(2025, 3, 31), None, None, by_months=True)
    for dates in (quarter, ChargeDates(None, None, None, None)):
        for cycle, share in zip(cycles_of("p1y", "annual", dates, fee), [fee] * 3 + [0] * 3, strict=True):
            assert (cycle.term, cycle.plan, cycle.per_term, cycle.fee) in {
                ("P1M", "Monthly", 1, share), ("P1Y", "Annual", 12, share), ("P1Y", "Monthly", 12, share)
            }  # fmt: skip
