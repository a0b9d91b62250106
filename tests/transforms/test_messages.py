"""What a finding says: its figures, the price row with its list, dates and rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa

from tests.transforms.rows import month, price_rows, recon_rows
from tests.transforms.test_pricing import EXTENDED, METERED, MONTHLY, Row, at, azure, charged
from transforms.billed_lines import BilledLine, Change, billed_line_changes
from transforms.findings import Finding
from transforms.policy import Policy


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


def test_what_became_of_a_billed_line_is_told() -> None:
    lines = month(recon_rows({}, {"subscription_id": "s2", "total": "180"})).lines
    second = lines.column("line_id")[1].as_py()

    def told(change: Change, line_id: str | None = second) -> Finding:
        billed = [BilledLine(change, "G1", 7, line_id, Decimal(total)) for total in (176, 0)]
        # What was billed with nothing and is gone, nobody has to be credited for.
        finding, *free = billed_line_changes(billed, lines)
        assert len(free) == (change is Change.AMOUNTS)
        return finding

    changed = told(Change.AMOUNTS)
    assert (changed.code, changed.line_id, changed.subscription_id) == ("BILLED_LINE_CHANGED", second, "s2")
    figures = (changed.expected_amount, changed.actual_amount, changed.difference_amount)
    assert figures == (Decimal(176), Decimal(180), Decimal(4))
    assert (changed.currency, changed.source_row) == ("USD", 3)
    assert changed.message == (
        "The line is billed in HaloPSA with 176.00 USD (id 7) and came again with other content, now 180.00 USD: it is "
        "left as it was billed. Credit or rebill the difference in HaloPSA."
    )
    gone = told(Change.GONE)
    assert (gone.expected_amount, gone.actual_amount, gone.subscription_id) == (Decimal(176), Decimal(0), "s2")
    assert "the exports no longer have it: it is left as it was billed. Credit who was charged" in gone.message
    void = told(Change.VOID)
    assert (void.actual_amount, "and invoice G1 is void now" in void.message) == (Decimal(0), True)
    unknown = told(Change.VOID, line_id=None)
    assert (unknown.invoice_number, unknown.line_id, unknown.currency) == ("G1", None, None)


EURO: Row = {"currency": "EUR", "pc_to_bc_exchange_rate": "0.5", "subtotal": "88", "total": "88"}


def test_figures_have_the_currency_that_they_are_in() -> None:
    """Prices are in the pricing currency, sums in the billing currency, and both sides are told."""
    cases = [
        ({**EURO, "subtotal": "89", "total": "89"}, "SUBTOTAL_MISMATCH", ("88", "89", "EUR")),
        ({**EURO, "total": "90"}, "TOTAL_MISMATCH", ("88", "90", "EUR")),
        ({**EURO, "unit_price": "17.61"}, "UNIT_PRICE_MISMATCH", ("17.6", "17.61", "USD")),
        ({**EURO, "effective_unit_price": "23", "subtotal": "115", "total": "115"}, "ABOVE_ERP", ("22", "23", "USD")),
        ({**EURO, "sku_id": "0002"}, "PRICE_NOT_FOUND", (None, None, "USD")),
        ({**EURO, "subscription_start_date": date(2025, 3, 1)}, "PRICE_NOT_EFFECTIVE", (None, None, "USD")),
    ]
    for line, code, figures in cases:
        (found,) = [one for one in month(recon_rows(line)).findings.to_pylist() if one["code"] == code]
        expected = tuple(None if one is None else Decimal(one) for one in figures[:2])
        assert (found["expected_amount"], found["actual_amount"], found["currency"]) == (*expected, figures[2]), code
        assert found["severity"] == ("warn" if code.startswith("PRICE") else "block")


def test_every_line_is_looked_at_whatever_the_one_before_it_is() -> None:
    """A line that shows its price as printed, or the list's of the day, is passed over; the next one is not."""
    lists = price_rows({"unit_price": "100"}, {"unit_price": "240", "effective_start_date": at(2025, 10, 1)})
    printed, shown = charged("8.33"), charged("20", "8.33")
    for first in (printed, shown):
        lines = recon_rows(first, {**charged("9", "8.33"), "subscription_id": "s2"})
        findings = month(lines, prices=lists).findings.to_pylist()
        assert [(one["code"], one["subscription_id"]) for one in findings] == [("UNIT_PRICE_MISMATCH", "s2")]


def test_a_full_cycles_price_is_compared_as_it_is() -> None:
    """95 % of 22.88 is 21.736; a price of 21.74 leaves less than the floor, if by less than half a cent."""
    lists = price_rows({"erp_price": "274.56"})
    assert [one["code"] for one in month(recon_rows(charged("17.60", "21.74")), prices=lists).findings.to_pylist()] == [
        "MARGIN_BELOW_FLOOR"
    ]
    nothing = {**charged("17.60", "23"), "quantity": "0", "billable_quantity": "0", "subtotal": "0", "total": "0"}
    (found,) = month(recon_rows(nothing)).findings.to_pylist()
    assert found["code"] == "ABOVE_ERP", "also of no seats"


def test_a_price_is_compared_in_its_own_coins() -> None:
    yen = {"pricing_currency": "JPY", "currency": "JPY", "unit_price": "83", "effective_unit_price": "83",
           "subtotal": "830", "total": "830"}  # fmt: skip
    lists = price_rows({"currency": "JPY", "unit_price": "1000", "erp_price": "2000"})
    assert month(recon_rows(yen), prices=lists).findings.num_rows == 0
    dollars = price_rows({"unit_price": "1000", "erp_price": "2000"})
    (found,) = month(recon_rows(charged("83")), prices=dollars).findings.to_pylist()
    assert found["code"] == "UNIT_PRICE_MISMATCH"


def test_a_tolerance_holds_for_the_price_of_the_day_too() -> None:
    lists = price_rows({}, {"unit_price": "240", "erp_price": "300", "effective_start_date": at(2025, 10, 1)})
    line = recon_rows(charged("20.01", "17.60"))
    assert month(line, prices=lists).findings.num_rows == 1
    assert month(line, prices=lists, policy=Policy(price_tolerance=Decimal("0.001"))).findings.num_rows == 0


def test_the_list_of_a_price_is_kept_with_the_line() -> None:
    (line,) = month(recon_rows({})).lines.to_pylist()
    assert (line["price_file_sha256"], line["price_source_file"], line["price_source_row"]) == (
        "f" * 64, "prices.csv", 2,
    )  # fmt: skip
    (none,) = month(recon_rows({"sku_id": "0002"})).lines.to_pylist()
    assert (none["price_file_sha256"], none["segment"], none["erp_amount"]) == (None, None, None)
