"""Which untouched copies may be removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.retention import StoredCopy, Use, kept_because, months_back

_LONG_AGO = datetime(2025, 12, 3, tzinfo=UTC)
_USE = Use("r1", "2025-11", _LONG_AGO)
_COPY = StoredCopy("ab/abc/x.csv", "abc", ("x.csv",), ("invoice_recon",), 7, _LONG_AGO, None, (_USE,), False)


def test_a_copy_of_a_billed_month_long_ago_may_go() -> None:
    assert kept_because(_COPY, "2026-06", {"2025-11"}) is None


@pytest.mark.parametrize(
    ("copy", "billed", "words"),
    [
        (_COPY, set(), "2025-11 is not billed"),
        (replace(_COPY, uses=(_USE, Use("r2", "2026-01", _LONG_AGO))), {"2025-11"}, "2026-01 is not billed"),
        (replace(_COPY, uses=(_USE, replace(_USE, started_at=datetime(2026, 6, 1, tzinfo=UTC)))), {"2025-11"},
         "used since 2026-06"),
        (replace(_COPY, uses=(_USE, Use("r2", "2026-06", _LONG_AGO))), {"2025-11", "2026-06"}, "used since"),
        (replace(_COPY, is_quarantined=True), {"2025-11"}, "quarantine"),
        (replace(_COPY, uses=()), {"2025-11"}, "no run"),
    ],
)  # fmt: skip
def test_a_copy_is_kept(copy: StoredCopy, billed: set[str], words: str) -> None:
    assert words in (kept_because(copy, "2026-06", billed) or "")


@pytest.mark.parametrize(("months", "first"), [(1, "2026-01"), (2, "2025-12"), (14, "2024-12")])
def test_months_are_counted_back(months: int, first: str) -> None:
    assert months_back(datetime(2026, 2, 28, 23, 59, tzinfo=UTC), months) == first


_MONTHS = st.sampled_from(["2025-10", "2025-11", "2025-12", "2026-01", "2026-02"])
_USES = st.builds(lambda period, month: Use("r", period, datetime.fromisoformat(f"{month}-15T12:00:00+00:00")),
                  _MONTHS, _MONTHS)  # fmt: skip


@given(st.lists(_USES, max_size=4), st.booleans(), st.sets(_MONTHS), _MONTHS, _USES)
def test_another_use_never_lets_a_copy_go(
    uses: list[Use], is_quarantined: bool, billed: set[str], keep_from: str, other: Use
) -> None:
    copy = replace(_COPY, uses=tuple(uses), is_quarantined=is_quarantined)
    used_more = replace(copy, uses=(*uses, other))
    if uses and kept_because(copy, keep_from, billed):
        assert kept_because(used_more, keep_from, billed)
    if kept_because(used_more, keep_from, billed) is None:
        assert not is_quarantined
        assert {use.period for use in used_more.uses} <= billed
