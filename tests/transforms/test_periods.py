"""The contract's rule for a line's period."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.transforms.rows import invoice_rows, recon_rows, usage_rows
from transforms.errors import InputError
from transforms.periods import (
    charge_months,
    invoice_keys,
    invoice_periods,
    month_before,
    parse_period,
    periods_of,
    unbilled_key,
)


def test_the_document_decides_then_the_lines() -> None:
    documents = invoice_rows(
        {"invoice_number": "G1", "billing_period_start_date": date(2025, 11, 1)},
        {"invoice_number": "G2", "billing_period_start_date": None, "invoice_date": datetime(2026, 1, 8, tzinfo=UTC)},
        {"invoice_number": "G3", "billing_period_start_date": date(2025, 12, 1), "amends_of": "G1",
         "document_type": "adjustment_note"},
    )  # fmt: skip
    march, april = {"charge_start_date": date(2026, 3, 9)}, {"charge_start_date": date(2026, 4, 1)}
    lines = recon_rows(
        {"invoice_number": "G1", **march},
        *[{"invoice_number": "G7", **march}] * 2,
        {"invoice_number": "G7", **april},
        {"invoice_number": None, **april},
    )
    usage = usage_rows({"invoice_number": "G7", **april}, {"invoice_number": "G8", **april})
    periods = invoice_periods(documents, charge_months(lines), charge_months(usage))
    assert periods == {
        "G1": "2025-11", "G2": "2025-12", "G3": "2025-11", "G7": "2026-03", "G8": "2026-04",
        unbilled_key("recon.csv"): "2026-04",
    }  # fmt: skip
    own = periods_of(invoice_keys(lines), periods).to_pylist()
    assert own == ["2025-11", "2026-03", "2026-03", "2026-03", "2026-04"]


@pytest.mark.parametrize("text", ["2025-13", "2025-1", "202511", "25-11", "2025-00", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="YYYY-MM"):
        parse_period(text)


def test_the_month_before_january_is_december() -> None:
    assert (month_before("2026-01"), month_before("2025-12")) == ("2025-12", "2025-11")
