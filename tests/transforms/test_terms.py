"""Terms, plans and charge cycles on Microsoft's documented dates."""

from __future__ import annotations

from datetime import date

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
