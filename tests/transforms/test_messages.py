"""What a finding says: its figures, the price row with its list, dates and rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa

from tests.transforms.rows import month, price_rows, recon_rows
from tests.transforms.test_pricing import EXTENDED, METERED, MONTHLY, Row, at, azure, charged
from transforms.line_checks import billed_line_changes


def message(line: Row, code: str, lists: pa.Table | None = None) -> str:
    findings = month(recon_rows(line), prices=lists).findings.to_pylist()
    (found,) = [one["message"] for one in findings if one["code"] == code]
    return str(found)


def test_a_wrong_list_price_is_told_with_how_the_right_one_comes_about() -> None:
    assert message(charged("17.61"), "UNIT_PRICE_MISMATCH") == (
        "UnitPrice 17.61 is not the list price 17.60 per charge cycle (211.20 ÷ 12 of P1Y/Monthly, Commercial, "
        "prices.csv row 2, valid 2025-04-01 to open; the term started on 2025-09-01)."
    )
    assert message(charged("15", promotion_id="39NF"), "UNIT_PRICE_MISMATCH").endswith(" Promotion 39NF is applied.")
    extended = message({**EXTENDED, **charged("22")}, "UNIT_PRICE_MISMATCH", price_rows({**MONTHLY, "segment": None}))
    assert extended == (
        "UnitPrice 22.00 is not the list price 21.7536 per charge cycle (21.12 × 1.03 (Extended Service Term) ÷ 1 of "
        "P1M/Monthly, prices.csv row 2, valid 2025-04-01 to open; the term started on 2025-11-01)."
    )
    metered = message({**METERED, "unit_price": "0.3"}, "UNIT_PRICE_MISMATCH", azure({}))
    assert metered == (
        "UnitPrice 0.30 is not the list price 0.20 (azure.csv row 3, valid 2025-11-01 to open; the use was 2025-11-01 "
        "to 2025-11-30)."
    )


def test_a_price_near_or_above_the_erp_price_is_told_with_its_full_cycle() -> None:
    prorated = {"charge_start_date": date(2025, 11, 20), "charge_type": "addQuantity"}
    above = {**prorated, **charged("17.60", "8.10")}
    assert message(above, "ABOVE_ERP") == (
        "A full charge cycle costs 22.0909090909 a unit (11 of 30 days are charged), more than the ERP price 22.00 "
        "(prices.csv row 2, valid 2025-04-01 to open)."
    )
    assert message(charged("17.60", "21.50"), "MARGIN_BELOW_FLOOR") == (
        "A full charge cycle costs 21.50 a unit; at the ERP price 22.00 (prices.csv row 2, valid 2025-04-01 to open) "
        "less than 5 % remains."
    )
    (finding,) = month(recon_rows(above)).findings.to_pylist()
    assert (finding["expected_amount"], finding["actual_amount"]) == (Decimal(22), Decimal("22.0909090909"))


def test_what_no_list_has_is_told() -> None:
    late = price_rows({"effective_start_date": at(2025, 10, 1)})
    assert message({}, "PRICE_NOT_EFFECTIVE", late) == (
        "No price list row for CFQ7TTC0LH16:0001 P1Y/Monthly US USD covers it: the term started on 2025-09-01; the "
        "latest is prices.csv row 2, valid 2025-10-01 to open."
    )
    assert message({"subtotal": "177", "total": "177"}, "SUBTOTAL_MISMATCH") == (
        "Subtotal 177.00 is not EffectiveUnitPrice 17.6 × BillableQuantity 10 × PCToBCExchangeRate 1: the nearest of "
        "the three documented roundings gives 176.00."
    )
    assert message({"tax_total": "1", "total": "178"}, "TOTAL_MISMATCH") == (
        "Total 178.00 is not Subtotal 176.00 + TaxTotal 1.00 = 177.00."
    )


def test_a_billed_line_that_changed_is_told() -> None:
    lines = recon_rows({}, {"subscription_id": "s2", "total": "180"})
    second = lines.column("line_id")[1].as_py()
    (finding,) = billed_line_changes(lines, "total", "currency", [second])
    assert (finding.code, finding.line_id, finding.subscription_id) == ("BILLED_LINE_CHANGED", second, "s2")
    assert (finding.actual_amount, finding.currency, finding.source_row) == (Decimal(180), "USD", 3)
    assert "now 180.00" in finding.message
    assert billed_line_changes(lines, "total", "currency", []) == []
