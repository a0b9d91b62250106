"""Daily usage against the Azure-plan lines that it is the detail of, and the credit that it should earn."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.transforms.rows import codes, month, recon_rows, usage_rows

Line = dict[str, Any]

AZURE: Line = {
    "subscription_description": "Azure plan", "subscription_id": "azure", "product_id": "DZH318Z0BQJM",
    "sku_id": "0018", "term_and_billing_cycle": "", "charge_type": "new", "effective_unit_price": "0.17",
    "unit_price": "0.2", "billable_quantity": "7", "quantity": "1", "subtotal": "1.19", "total": "1.19",
    "publisher_name": "Microsoft", "meter_description": "Standard",
}  # fmt: skip
EARNED: Line = {"publisher_name": "Microsoft", "partner_earned_credit_percentage": "15",
                "credit_type": "Partner Earned Credit Applied"}  # fmt: skip


@pytest.mark.parametrize(
    ("subtotal", "expected"),
    [("1.19", []), ("1.17", []), ("1.21", []), ("1.16", ["USAGE_MISMATCH"]), ("1.22", ["USAGE_MISMATCH"])],
)
def test_usage_and_its_lines_may_differ_by_a_cent_for_each_day_and_meter(subtotal: str, expected: list[str]) -> None:
    usage = usage_rows({**EARNED, "usage_date": date(2025, 11, 5)}, {**EARNED, "usage_date": date(2025, 11, 6)})
    line = {**AZURE, "subtotal": subtotal, "total": subtotal}
    result = month(recon_rows({}, line), usage=usage)
    assert [code for code in codes(result) if code != "SUBTOTAL_MISMATCH"] == expected


@pytest.mark.parametrize("spelt", [{"subscription_id": "AZURE"}, {"product_id": "dzh318z0bqjm"}])
def test_the_ids_of_subscriptions_and_products_vary_in_case(spelt: Line) -> None:
    usage = usage_rows(EARNED, {**EARNED, **spelt, "usage_date": date(2025, 11, 6)})
    assert codes(month(recon_rows({}, AZURE), usage=usage)) == []


def test_usage_of_an_invoice_without_lines_of_it_and_lines_without_delivered_usage() -> None:
    assert codes(month(usage=usage_rows(EARNED))) == ["USAGE_MISMATCH"]
    assert codes(month(recon_rows({}, AZURE))) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("rows_a_part", [1, 10])
def test_usage_without_a_line_names_the_first_customer_and_spelling(order: tuple[int, ...], rows_a_part: int) -> None:
    lines: list[Line] = [
        {**EARNED, "customer_id": "c2", "customer_name": "Fabrikam"},
        {**EARNED, "customer_id": "c1", "customer_name": None, "usage_date": date(2025, 11, 6)},
        {**EARNED, "customer_id": "c0", "subscription_id": "azure", "usage_date": date(2025, 11, 7)},
    ]
    usage = usage_rows(*({"subscription_id": "AZURE", **lines[at]} for at in order))
    found = month(usage=usage, rows_a_part=rows_a_part).findings.to_pylist()
    assert [row["code"] for row in found] == ["USAGE_MISMATCH"]
    named = ("subscription_id", "customer_id", "customer_name", "line_id", "currency")
    assert [found[0][name] for name in named] == ["AZURE", "c1", None, None, "USD"]
    assert found[0]["expected_amount"] == sum(usage["billing_pre_tax_total"].to_pylist())


def test_a_credit_for_another_reason_than_an_azure_credit_is_not_in_the_usage() -> None:
    credit = {**AZURE, "charge_type": "customerCredit", "subtotal": "-1.19", "total": "-1.19"}
    usage = usage_rows(EARNED, {**EARNED, "usage_date": date(2025, 11, 6)})
    for reason, expected in (("Service Level Agreement Credit", []), ("Azure Credit Offer", ["USAGE_MISMATCH"])):
        lines = recon_rows({}, AZURE, {**credit, "credit_reason_code": reason})
        assert codes(month(lines, usage=usage)) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"partner_earned_credit_percentage": None}, ["PEC_MISSING"], id="eligible"),
        pytest.param({"partner_earned_credit_percentage": "0"}, ["PEC_MISSING"], id="a credit of nothing"),
        pytest.param({}, [], id="earned"),
        pytest.param({"partner_earned_credit_percentage": None, "publisher_name": "Fabrikam"}, [], id="third party"),
        pytest.param({"partner_earned_credit_percentage": None, "meter_name": "D4s v5 Spot"}, [], id="spot"),
        pytest.param({"partner_earned_credit_percentage": None, "benefit_id": "b"}, [], id="covered by a benefit"),
        pytest.param({"partner_earned_credit_percentage": None, "credit_type": "Azure Credit Applied"}, [],
                     id="paid by an Azure credit"),
        pytest.param({"partner_earned_credit_percentage": None, "effective_unit_price": "0",
                      "billing_pre_tax_total": "0"}, [], id="free"),
        pytest.param({"partner_earned_credit_percentage": None, "additional_info": '{"CPU":4,"Priority": "Spot"}'}, [],
                     id="spot by its additional info"),
        pytest.param({"partner_earned_credit_percentage": None, "additional_info": '{"ReservationId":"r"}'}, [],
                     id="covered by a reservation"),
        pytest.param({"partner_earned_credit_percentage": None,
                      "additional_info": '{"Priority":"Regular","ReservationId":"","VMName":"spot"}'}, ["PEC_MISSING"],
                     id="neither by its additional info"),
    ],
)  # fmt: skip
def test_partner_earned_credit(usage: Line, expected: list[str]) -> None:
    result = month(recon_rows({}, AZURE), usage=usage_rows({**EARNED, **usage}, {**EARNED, "meter_id": "m2"}))
    assert [code for code in codes(result) if code != "USAGE_MISMATCH"] == expected


@pytest.mark.parametrize(("meter", "expected"), [
    ("D4s v5 Spot", []), ("Hotspot Gateway", ["PEC_MISSING"]), ("HubSpot connector", ["PEC_MISSING"]),
])  # fmt: skip
def test_spot_is_a_word(meter: str, expected: list[str]) -> None:
    usage = usage_rows({**EARNED, "partner_earned_credit_percentage": None, "meter_name": meter}, EARNED)
    assert [code for code in codes(month(recon_rows({}, AZURE), usage=usage)) if code == "PEC_MISSING"] == expected


def test_without_percentages_the_type_of_credit_tells() -> None:
    earned, unearned = ({**EARNED, "partner_earned_credit_percentage": None, "credit_type": text} for text in (
        "Partner Earned Credit Applied", "Credit Not Applied"))  # fmt: skip
    assert "PEC_MISSING" not in codes(month(recon_rows({}, AZURE), usage=usage_rows(earned, earned)))
    found = month(recon_rows({}, AZURE), usage=usage_rows(earned, {**unearned, "meter_id": "m2"})).findings.to_pylist()
    missing = [one for one in found if one["code"] == "PEC_MISSING"]
    assert [(one["source_row"], one["expected_amount"], one["actual_amount"]) for one in missing] == [
        (3, Decimal("0.50575"), Decimal("0.595"))
    ]


def test_a_file_of_the_basic_set_beside_a_full_one() -> None:
    """A blank percentage says that none was earned where the file has percentages, and nothing where it has none."""
    blank = {**EARNED, "partner_earned_credit_percentage": None}
    parts = [usage_rows(EARNED, file="full.csv"), usage_rows({**blank, "meter_id": "m2"}, file="basic.csv")]
    assert codes(month(recon_rows({}, {**AZURE}), usage=pa.concat_tables(parts))) == []
    mixed = usage_rows(EARNED, {**blank, "meter_id": "m2"})
    assert codes(month(recon_rows({}, {**AZURE}), usage=mixed)) == ["PEC_MISSING"]


@pytest.mark.parametrize(
    ("currency", "rate", "billed", "expected"),
    [
        ("USD", "1", "1.01", []), ("USD", "1", "1.02", ["USAGE_MISMATCH"]),
        ("JPY", "1", "2", []), ("JPY", "1", "3", ["USAGE_MISMATCH"]),
        ("SEK", "10", "1.1", []), ("SEK", "10", "1.11", ["USAGE_MISMATCH"]),
        ("SEK", "0.1", "1.01", []), ("SEK", "0.1", "1.02", ["USAGE_MISMATCH"]),
        ("KWD", "1", "1.01", []), ("KWD", "1", "1.011", ["USAGE_MISMATCH"]),
    ],
)  # fmt: skip
def test_usage_may_differ_by_what_cutting_to_coins_takes(
    currency: str, rate: str, billed: str, expected: list[str]
) -> None:
    used = {**EARNED, "billing_currency": currency, "pricing_currency": "USD", "pc_to_bc_exchange_rate": rate,
            "billing_pre_tax_total": "1"}  # fmt: skip
    line = {**AZURE, "currency": currency, "subtotal": billed, "total": billed, "pc_to_bc_exchange_rate": rate}
    result = month(recon_rows(line), usage=usage_rows(used))
    assert [code for code in codes(result) if code == "USAGE_MISMATCH"] == expected


@pytest.mark.parametrize("currencies", [("JPY", "USD"), ("USD", "JPY")])
def test_usage_in_two_currencies_is_compared_alike_in_any_order(currencies: tuple[str, str]) -> None:
    usage = usage_rows(*({**EARNED, "billing_currency": currency} for currency in currencies))
    assert "USAGE_MISMATCH" not in codes(month(recon_rows({}, {**AZURE, "subtotal": "2"}), usage=usage))
