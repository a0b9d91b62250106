"""Dates as they are remembered from part to part."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa

from transforms.columns import Kind
from transforms.dates import parse_dates


def test_a_date_is_read_the_same_again_and_a_text_as_long_as_a_row_is_not_remembered() -> None:
    dates = pa.array(["10/31/2026", "31/10/2026", None, "2026-10-31", "0001-01-01T00:00:00"])
    first, again = (parse_dates(dates, Kind.DATE) for _ in range(2))
    assert first[0].to_pylist() == again[0].to_pylist()
    assert first[1].tolist() == again[1].tolist() == [False, True, False, False, False]
    assert first[2] == again[2]
    assert (first[2].day_first, first[2].month_first, first[2].example) == (1, 1, "31/10/2026")

    tracemalloc.start()
    try:
        for number in range(50):
            _, unreadable, _ = parse_dates(pa.array([f"{number}" * 100_000]), Kind.TIMESTAMP)
            assert unreadable.all()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
