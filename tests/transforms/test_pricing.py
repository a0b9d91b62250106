"""Prices as Microsoft sets them: the plan, tier, segment and list that apply, mid-term changes, Azure plan lists."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.transforms.rows import OPEN_END, PRICE, codes, month, price_rows, recon_rows, table_of, usage_rows
from transforms.azure_prices import azure_lists_of
from transforms.policy import CustomerPolicy, Policy
from transforms.tables import PRICE_LIST

Row = dict[str, Any]


def at(year: int, month_: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month_, day, hour, minute, tzinfo=UTC)


def charged(unit_price: str, effective: str | None = None, **changes: Any) -> Row:
    """A line of ten seats at these prices; the effective one is the list's unless given."""
    total = (Decimal(effective or unit_price) * 10).quantize(Decimal("0.01"))
    return {"unit_price": unit_price, "effective_unit_price": effective or unit_price, "subtotal": total,
            "total": total, **changes}  # fmt: skip


def listed(*rows: Row, file: str = "prices.csv", sha: str = "a" * 64) -> pa.Table:
    return price_rows(*({"file_sha256": sha, **row} for row in rows), file=file)


# The plan.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(charged("17.60"), "P1Y/Monthly", id="a month's charge is the monthly plan's"),
        pytest.param(charged("201.60", "16.02", charge_start_date=date(2025, 11, 2),
                             subscription_start_date=date(2025, 11, 2), subscription_end_date=date(2025, 11, 30)),
                     "P1Y/Annual", id="a coterminous year of a month, paid at once, is told by its price"),
        pytest.param(charged("15", "15", promotion_id="P"), "P1Y/Monthly", id="no price fits: the likeliest plan"),
    ],
)  # fmt: skip
def test_an_unnamed_plan_is_the_one_whose_price_fits(line: Row, expected: str) -> None:
    lists = price_rows({}, {"billing_plan": "Annual", "unit_price": "201.60", "erp_price": "252"})
    result = month(recon_rows({**line, "billing_frequency": None}), prices=lists)
    row = int(result.lines.column("price_source_row")[0].as_py())
    assert expected == ("P1Y/Monthly" if row == 2 else "P1Y/Annual")
    assert codes(result) == (["UNIT_PRICE_MISMATCH"] if line["unit_price"] == "15" else [])


def test_a_named_plan_is_not_replaced_by_one_whose_price_fits() -> None:
    lists = price_rows({}, {"billing_plan": "Annual", "unit_price": "201.60", "erp_price": "252"})
    assert codes(month(recon_rows(charged("201.60", "17.60")), prices=lists)) == ["UNIT_PRICE_MISMATCH"]


# The day.


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param(date(2025, 9, 3), [], id="the row begins on that day, at eight"),
        pytest.param(date(2025, 9, 2), ["PRICE_NOT_EFFECTIVE"], id="the day before"),
    ],
)  # fmt: skip
def test_a_row_that_begins_in_the_day_covers_it(start: date, expected: list[str]) -> None:
    lists = price_rows({"effective_start_date": at(2025, 9, 3, 8)})
    assert codes(month(recon_rows({"subscription_start_date": start}), prices=lists)) == expected


def test_of_rows_that_differ_in_nothing_else_the_list_in_force_counts() -> None:
    """Each list is told apart by its newest row; the corrected price holds from the list on that has it."""
    newest: Row = {"product_id": "CFQ7TTC0OTHER"}
    old = listed({}, {**newest, "effective_start_date": at(2025, 5, 1)}, file="May.csv", sha="1" * 64)
    corrected = {"unit_price": "240"}
    new = listed(corrected, {**newest, "effective_start_date": at(2025, 10, 1)}, file="Oct.csv", sha="0" * 64)
    lists = pa.concat_tables([new, old])
    assert codes(month(recon_rows({"subscription_start_date": date(2025, 9, 30)}), prices=lists)) == []
    renewed = recon_rows(charged("20", subscription_start_date=date(2025, 10, 1)))
    assert codes(month(renewed, prices=lists)) == []
    before_both = recon_rows({"subscription_start_date": date(2025, 4, 2)})
    assert codes(month(before_both, prices=lists)) == []


# Mid-term.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(charged("20", "17.60"), [], id="shows the new price, charges the term's"),
        pytest.param(charged("17.60"), [], id="shows the term's"),
        pytest.param(charged("20", "20"), ["UNIT_PRICE_MISMATCH"], id="charges the new price"),
        pytest.param(charged("20", "17.61"), ["UNIT_PRICE_MISMATCH"], id="charges a cent more"),
        pytest.param(charged("20", "15.84"), [], id="charges the term's at a discount"),
        pytest.param(charged("19", "17.60"), ["UNIT_PRICE_MISMATCH"], id="shows a price of no list"),
        pytest.param(charged("20", "6.4533", charge_start_date=date(2025, 11, 20), charge_type="addQuantity"), [],
                     id="prorated at the term's price"),
        pytest.param(charged("20", "6.4567", charge_start_date=date(2025, 11, 20), charge_type="addQuantity"),
                     ["UNIT_PRICE_MISMATCH"], id="prorated at another"),
    ],
)  # fmt: skip
def test_a_mid_term_price_change_does_not_alarm_as_long_as_it_is_not_charged(line: Row, expected: list[str]) -> None:
    changed = {"unit_price": "240", "erp_price": "300", "effective_start_date": at(2025, 10, 1)}
    assert codes(month(recon_rows(line), prices=price_rows({}, changed))) == expected


def test_a_new_price_from_after_the_charge_explains_nothing() -> None:
    changed = {"unit_price": "240", "erp_price": "300", "effective_start_date": at(2025, 12, 1)}
    lists = price_rows({}, changed)
    assert codes(month(recon_rows(charged("20", "17.60")), prices=lists)) == ["UNIT_PRICE_MISMATCH"]


# Tiers.


@pytest.mark.parametrize(("seats", "price", "expected"), [
    (10, "17.60", []), (100, "17.60", []), (101, "15", []), (101, "17.60", ["UNIT_PRICE_MISMATCH"]),
    (100, "15", ["UNIT_PRICE_MISMATCH"]),
])  # fmt: skip
def test_the_tier_is_the_quantitys(seats: int, price: str, expected: list[str]) -> None:
    lists = price_rows(
        {"pricing_tier_range_min": "1", "pricing_tier_range_max": "100"},
        {"pricing_tier_range_min": "101", "pricing_tier_range_max": "9223372036854780000", "unit_price": "180"},
    )
    total = Decimal(price) * seats
    line = {"unit_price": price, "effective_unit_price": price, "quantity": seats, "billable_quantity": seats,
            "subtotal": total, "total": total}  # fmt: skip
    assert codes(month(recon_rows(line), prices=lists)) == expected


# The segment.


def test_two_segments_of_one_price_are_no_mismatch() -> None:
    lists = price_rows(
        {"unit_price": "240", "erp_price": "300"}, {"segment": "Charity"}, {"segment": "Education"},
    )  # fmt: skip
    result = month(recon_rows({}), prices=lists)
    assert codes(result) == []
    assert result.lines.column("segment").to_pylist() == ["Charity"]
    assert result.lines.column("segment_source").to_pylist() == ["default"]


def test_a_tolerance_of_the_price_is_the_customers_or_the_policys() -> None:
    line = recon_rows(charged("17.61"))
    assert codes(month(line)) == ["UNIT_PRICE_MISMATCH"]
    assert codes(month(line, policy=Policy(price_tolerance=Decimal("0.001")))) == []
    own = Policy(price_tolerance=Decimal("0.001"), customers={"c1": CustomerPolicy(price_tolerance=Decimal(0))})
    assert codes(month(line, policy=own)) == ["UNIT_PRICE_MISMATCH"]
    assert codes(month(recon_rows(charged("17.62")), policy=Policy(price_tolerance=Decimal("0.001")))) != []


def test_a_print_tolerance_is_the_customers_or_the_policys() -> None:
    line = recon_rows({"subtotal": "176.07", "total": "176.07"})
    assert codes(month(line)) == ["SUBTOTAL_MISMATCH"]
    assert codes(month(line, policy=Policy(customers={"C1": CustomerPolicy(print_tolerance=Decimal("0.02"))}))) == []
    per_unit = CustomerPolicy(print_tolerance_per_unit=Decimal("0.006"))
    assert codes(month(line, policy=Policy(customers={"c1": per_unit}))) == []
    assert codes(month(line, policy=Policy(customers={"c2": per_unit}))) == ["SUBTOTAL_MISMATCH"]


# Extended Service Terms.

EXTENDED: Row = {
    "price_adjustment_description": '["Extended Service Terms 3% Fee Applied"]',
    "term_and_billing_cycle": "One-Month commitment for monthly billing",
    "subscription_start_date": date(2025, 11, 1), "subscription_end_date": date(2025, 11, 30),
}  # fmt: skip
MONTHLY: Row = {"term_duration": "P1M", "unit_price": "21.12", "erp_price": "26.40"}


@pytest.mark.parametrize(
    ("line", "lists", "expected"),
    [
        pytest.param(charged("21.75"), [MONTHLY, {}], [], id="three percent on the monthly price, cut to cents"),
        pytest.param(charged("21.7536"), [MONTHLY, {}], [], id="three percent on the monthly price"),
        pytest.param(charged("21.12", "21.75"), [MONTHLY, {}], [], id="the fee is only in what is charged"),
        pytest.param(charged("21.76"), [{**MONTHLY, "unit_price": "21.76", "erp_price": "27.20"}], [],
                     id="an own SKU's price has the fee on it"),
        pytest.param(charged("22"), [MONTHLY, {}], ["UNIT_PRICE_MISMATCH"], id="another price"),
        pytest.param(charged("21.65", price_adjustment_description='["Extended Service Terms 23% Fee Applied"]'), [{}],
                     [], id="23 percent on the year's monthly share where no monthly plan is listed"),
        pytest.param(charged("18", price_adjustment_description='["Extended Service Terms 23% Fee Applied"]'), [{}],
                     ["UNIT_PRICE_MISMATCH"], id="not 23 percent"),
        pytest.param(charged("21.75", price_adjustment_description=None), [MONTHLY, {}], ["UNIT_PRICE_MISMATCH"],
                     id="nothing tells of a fee"),
    ],
)  # fmt: skip
def test_extended_service_terms(line: Row, lists: list[Row], expected: list[str]) -> None:
    assert codes(month(recon_rows({**EXTENDED, **line}), prices=price_rows(*lists))) == expected


# Azure plan lists.

METERED: Row = {
    "subscription_description": "Azure plan", "subscription_id": "azure", "product_id": "DZH318Z0BQJM",
    "sku_id": "0018", "term_and_billing_cycle": "", "charge_type": "new", "effective_unit_price": "0.17",
    "unit_price": "0.2", "billable_quantity": "7", "quantity": "1", "subtotal": "1.19", "total": "1.19",
    "publisher_name": "Microsoft", "meter_description": "Standard", "billing_frequency": None,
    "subscription_start_date": None, "subscription_end_date": None,
}  # fmt: skip
USED: Row = {
    "publisher_name": "Microsoft", "partner_earned_credit_percentage": "15", "customer_country": "US",
    "pricing_currency": "USD", "meter_id": "M1", "billing_pre_tax_total": "0.595",
}  # fmt: skip
AZURE: Row = {
    "product_id": "DZH318Z0BQJM", "sku_id": "0018", "term_duration": None, "billing_plan": None, "segment": None,
    "erp_price": None, "unit_price": "0.2", "meter_ids": "m1", "effective_start_date": at(2025, 11, 1),
}  # fmt: skip


def azure(*rows: Row, file: str = "azure.csv") -> pa.Table:
    return price_rows({}, *({**AZURE, **row} for row in rows), file=file)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param([{}], [], id="listed"),
        pytest.param([{"sku_id": "0019"}], ["PRICE_NOT_FOUND", "PRICE_NOT_FOUND"], id="not listed"),
        pytest.param([{"currency": "EUR"}], [], id="no list of that currency"),
        pytest.param([{"market": "DE"}], [], id="no list of that market"),
        pytest.param([{"unit_price": "0.21"}], ["UNIT_PRICE_MISMATCH", "UNIT_PRICE_MISMATCH"], id="another price"),
        pytest.param([{"unit_price": "0", "pricing_tier_range_max": "5"}, {"pricing_tier_range_min": "5"}], [],
                     id="one of its tiers"),
        pytest.param([{"effective_end_date": at(2025, 11, 4, 23, 59)}, {"product_id": "X"}],
                     ["PRICE_NOT_EFFECTIVE"], id="ended before the day of use, not before the month"),
        pytest.param([{"effective_end_date": at(2025, 11, 4, 23, 59)},
                      {"effective_start_date": at(2025, 11, 5), "unit_price": "0.25"}],
                     ["UNIT_PRICE_MISMATCH"], id="the price of the day, on the line any price of the month"),
        pytest.param([{"meter_ids": "m2", "unit_price": "0.3"}, {"meter_ids": "m3;M1"}], [], id="of several meters"),
        pytest.param([{"meter_ids": "m2", "unit_price": "0.3"}, {}], [], id="another meter of the SKU"),
        pytest.param([{"effective_start_date": at(2025, 10, 1), "effective_end_date": at(2025, 10, 31, 23, 59)}], [],
                     id="no list of that month"),
    ],
)  # fmt: skip
def test_metered_charges_against_the_azure_plan_list_of_their_month(lists: list[Row], expected: list[str]) -> None:
    usage = usage_rows(USED, USED)
    result = month(recon_rows({}, METERED), usage=usage, prices=azure(*lists))
    found = [code for code in codes(result) if code.startswith(("PRICE", "UNIT"))]
    assert sorted(set(found)) == sorted(set(expected))
    assert len(set(result.findings.column("line_id").to_pylist())) == (
        3 if len(expected) == 2 else 2 if expected else 0
    )


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"publisher_name": "Fabrikam"}, id="third party"),
        pytest.param({"unit_price": "0", "effective_unit_price": "0", "billing_pre_tax_total": "0"}, id="free"),
        pytest.param({"credit_type": "Azure Credit Applied"}, id="paid by an Azure credit"),
        pytest.param({"benefit_order_id": "r"}, id="covered by a benefit"),
    ],
)
def test_metered_charges_that_no_list_prices(line: Row) -> None:
    result = month(recon_rows({}, METERED), usage=usage_rows({**USED, "sku_id": "00XX", **line}), prices=azure({}))
    assert not [code for code in codes(result) if code.startswith("PRICE")]


def test_the_list_of_a_usage_line_is_recorded_with_it() -> None:
    result = month(recon_rows({}, METERED), usage=usage_rows(USED), prices=azure({}))
    line = result.lines.to_pylist()[-1]
    assert (line["source"], line["list_unit_price"], line["price_source_file"], line["price_source_row"]) == (
        "daily_usage", Decimal("0.2"), "azure.csv", 3,
    )  # fmt: skip
    assert line["erp_amount"] is None


OLD: Row = {"effective_start_date": at(2025, 6, 1)}


@pytest.mark.parametrize(
    ("file", "row", "delivered", "expected"),
    [
        ("list.csv", {}, False, True),
        ("list.csv", OLD, False, False),
        ("list.csv", OLD, True, True),
        ("list.csv", {"effective_start_date": at(2025, 12, 1)}, True, False),
        ("list_2025-11.csv", OLD, False, True),
        ("list_202511.csv", OLD, False, True),
        ("list_2025-10.csv", {}, True, False),
        ("Nov_list.csv", OLD, False, True),
        ("November list.csv", OLD, False, True),
        ("list_20251108.csv", OLD, False, True),
        ("list_2025-10-31.csv", {}, True, False),
        ("Nov_list.csv", {"effective_start_date": at(2024, 11, 1)}, False, False),
        ("Nov_list.csv", {"effective_start_date": at(2024, 11, 1)}, True, True),
        ("Market_Decoded_Janssen.csv", {}, False, True),
        ("Oct_list.csv", OLD, True, False),
        ("list.csv", {**OLD, "effective_end_date": at(2025, 10, 31)}, True, False),
        ("list.csv", {**OLD, "effective_end_date": at(2025, 11, 1)}, True, True),
    ],
)
def test_which_azure_list_is_of_the_month(file: str, row: Row, delivered: bool, expected: bool) -> None:
    lists = table_of(PRICE_LIST, {**PRICE, **AZURE}, [row], file)
    found = azure_lists_of("2025-11", lists, ["f" * 64] if delivered else [])
    assert bool(found.files) == expected
    assert found.markets == ({("US", "USD")} if expected else set())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({"term_duration": "P1Y"}, False, id="a reservation"),
        pytest.param({"term_duration": "p3y"}, False, id="a reservation in lower case"),
        pytest.param({"term_duration": "P1M"}, True, id="a month"),
        pytest.param({"meter_ids": None, "product_id": "DG7GMGF0D5RK"}, False, id="software"),
        pytest.param({"meter_ids": None, "meter_type": "1 Hour", "product_id": "X"}, True, id="a type of meter"),
        pytest.param({"meter_ids": None}, True, id="an Azure product"),
        pytest.param({"billing_plan": "None"}, False, id="a trial"),
    ],
)
def test_what_an_azure_plan_list_is(row: Row, expected: bool) -> None:
    lists = table_of(PRICE_LIST, {**PRICE, **AZURE}, [row], "list.csv")
    assert bool(azure_lists_of("2025-11", lists, []).files) == expected


def test_a_licence_list_is_no_azure_list() -> None:
    assert not azure_lists_of("2025-11", price_rows({"effective_end_date": OPEN_END}), ["f" * 64]).files


# From a line to its question.


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"pricing_currency": None}, id="priced in the billing currency"),
        pytest.param({"customer_country": None}, id="of an unknown country"),
        pytest.param({"customer_country": "us", "pricing_currency": "usd"}, id="in lower case"),
        pytest.param({"customer_id": "C1", "term_and_billing_cycle": " ONE-YEAR commitment FOR monthly billing "},
                     id="in upper case"),
    ],
)  # fmt: skip
def test_what_a_line_asks(line: Row) -> None:
    assert codes(month(recon_rows(line))) == []


def test_a_line_without_a_sku_asks_for_none() -> None:
    (finding,) = month(recon_rows({"sku_id": None})).findings.to_pylist()
    assert (finding["code"], finding["message"]) == (
        "PRICE_NOT_FOUND", "No price list has a row for CFQ7TTC0LH16: P1Y/Monthly US USD."
    )  # fmt: skip


def test_a_change_of_plan_is_judged_by_months() -> None:
    """February of a year: a twelfth of the annual price, not 28 of 365 days of it."""
    lists = price_rows({"billing_plan": "Annual", "unit_price": "216", "erp_price": "240"})
    dates = {"charge_start_date": date(2025, 2, 1), "charge_end_date": date(2025, 2, 28), "billing_frequency": "Annual",
             "subscription_start_date": date(2025, 4, 1)}  # fmt: skip
    line = charged("216", "18", **dates)
    by_months = month(recon_rows({**line, "charge_type": "changeBillingPlan"}), prices=lists)
    assert "MARGIN_BELOW_FLOOR" not in codes(by_months)
    assert by_months.lines.column("erp_amount").to_pylist() == [Decimal(200)]
    by_days = month(recon_rows({**line, "charge_type": "addQuantity"}), prices=lists)
    assert "MARGIN_BELOW_FLOOR" in codes(by_days)


def test_the_end_of_a_coterminous_term_tells_its_cycles() -> None:
    line = charged("17.60", "14.6667", charge_start_date=date(2025, 4, 5), charge_end_date=date(2025, 4, 29),
                   subscription_start_date=date(2025, 4, 5), subscription_end_date=date(2026, 1, 30))  # fmt: skip
    assert month(recon_rows(line)).lines.column("erp_amount").to_pylist() == [Decimal("183.33")]


def test_an_undated_azure_list_is_taken_where_it_was_delivered() -> None:
    lists = table_of(PRICE_LIST, {**PRICE, **AZURE}, [{"effective_start_date": None}], "list.csv")
    assert azure_lists_of("2025-11", lists, ["f" * 64]).files
    assert not azure_lists_of("2025-11", lists, []).files
