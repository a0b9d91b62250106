"""What sort of charge a line is, by the texts of the exports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.rows import recon_rows, usage_rows
from transforms.categories import categorise, metered_usage, unknown_charge_types
from transforms.texts import lowered

OTHER: dict[str, Any] = {"product_id": "DG7GMGF0", "term_and_billing_cycle": None}
AZURE: dict[str, Any] = {"product_id": "DZH318Z0", "term_and_billing_cycle": None}


def sorts(**line: Any) -> set[str]:
    found = categorise(recon_rows(line))
    return {name for name in vars(found) if getattr(found, name)[0]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param({}, {"first_party", "licence"}, id="licence"),
        pytest.param({"publisher_name": " microsoft "}, {"first_party", "licence"}, id="publisher in lower case"),
        pytest.param({"publisher_name": "Microsoft Press"}, set(), id="a publisher of another name"),
        pytest.param({"publisher_name": None}, set(), id="no publisher"),
        pytest.param(OTHER, {"first_party"}, id="software"),
        pytest.param({**OTHER, "term_and_billing_cycle": "One-Year commitment for yearly billing"},
                     {"first_party", "licence"}, id="licence by its commitment"),
        pytest.param({**OTHER, "term_and_billing_cycle": "Three-3 Years commitment for monthly billing"},
                     {"first_party", "licence"}, id="licence for three years"),
        pytest.param({**OTHER, "term_and_billing_cycle": "1 Year Subscription"}, {"first_party"}, id="subscription"),
        pytest.param({"product_category": "Azure Reservation"}, {"first_party"}, id="reservation by category"),
        pytest.param({"product_name": "Reserved: a Reservation"}, {"first_party"}, id="reservation by product"),
        pytest.param({"sku_name": "VM Reservation"}, {"first_party"}, id="reservation by SKU"),
        pytest.param({"product_name": "Azure Savings Plan"}, {"first_party"}, id="savings plan by product"),
        pytest.param({"product_category": "Savings plan"}, {"first_party"}, id="savings plan by category"),
        pytest.param({"sku_name": "Savings Plan 1 Year"}, {"first_party"}, id="savings plan by SKU"),
        pytest.param({**AZURE, "subscription_description": "Azure plan"}, {"first_party", "azure_plan"}, id="plan"),
        pytest.param({**AZURE, "meter_description": "Compute"}, {"first_party", "azure_plan"}, id="metered"),
        pytest.param({**AZURE, "meter_description": ""}, {"first_party"}, id="an empty meter"),
        pytest.param({**AZURE, "subscription_description": "Azure plan", "product_name": "Reservation"},
                     {"first_party"}, id="a reservation in an Azure plan"),
        pytest.param({**AZURE, "publisher_name": "Fabrikam", "meter_description": "GB"}, {"azure_plan"},
                     id="third party by the meter"),
        pytest.param({**AZURE, "product_category": "Azure"}, {"first_party", "azure_plan"}, id="by its category"),
        pytest.param({**OTHER, "product_category": "Azure"}, {"first_party"}, id="a category is not enough"),
        pytest.param({**AZURE, "product_category": "Azure", "term_and_billing_cycle": "1 Year"}, {"first_party"},
                     id="a term is no use"),
        pytest.param({"subscription_description": "Azure plan"}, {"first_party", "licence"}, id="so renamed"),
        pytest.param({"charge_type": "CustomerCredit"}, {"first_party", "licence", "credit", "unpriced"}, id="credit"),
        pytest.param({"product_qualifiers": '["Trial"]'}, {"first_party", "licence", "unpriced"}, id="trial"),
        pytest.param({"term_and_billing_cycle": "One-Month commitment for trial"},
                     {"first_party", "licence", "unpriced"}, id="trial by its term"),
        pytest.param({"unit_price": 0, "effective_unit_price": 0}, {"first_party", "licence", "unpriced"}, id="free"),
        pytest.param({"unit_price": 0, "effective_unit_price": None}, {"first_party", "licence", "unpriced"},
                     id="free without an effective price"),
        pytest.param({"unit_price": 0}, {"first_party", "licence"}, id="listed at nothing, but charged"),
        pytest.param({"effective_unit_price": 0}, {"first_party", "licence"}, id="listed, but not charged"),
        pytest.param({"unit_price": None, "effective_unit_price": 0}, {"first_party", "licence"}, id="no list price"),
    ],
)  # fmt: skip
def test_what_a_line_is(line: dict[str, Any], expected: set[str]) -> None:
    assert sorts(**line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param({}, True, id="Microsoft's own meter"),
        pytest.param({"publisher_name": "Fabrikam"}, False, id="third party"),
        pytest.param({"publisher_name": None}, False, id="no publisher"),
        pytest.param({"benefit_id": "b"}, False, id="covered by a reservation"),
        pytest.param({"benefit_order_id": "b"}, False, id="covered by a savings plan"),
        pytest.param({"credit_type": "Azure Credit Applied"}, False, id="paid by an Azure credit"),
        pytest.param({"credit_type": "Credit Not Applied"}, True, id="no credit"),
        pytest.param({"unit_price": 0, "effective_unit_price": 0}, False, id="free"),
        pytest.param({"unit_price": 0}, True, id="charged, though listed at nothing"),
        pytest.param({"effective_unit_price": 0}, True, id="in a free tier"),
        pytest.param({"unit_price": None, "effective_unit_price": None}, False, id="no price at all"),
    ],
)
def test_which_usage_is_charged_by_the_meter(line: dict[str, Any], expected: bool) -> None:
    assert metered_usage(usage_rows({"publisher_name": "Microsoft", **line}))[0] == expected


def test_charge_types_that_nobody_documents_are_told() -> None:
    types = ["new", "CycleCharge", "Prorate", "Prorate", None]
    assert unknown_charge_types(recon_rows(*({"charge_type": one} for one in types))) == {"Prorate": 2}


def test_texts_are_compared_in_lower_case_and_stripped() -> None:
    assert lowered(recon_rows({"sku_name": "  Plan A "}, {"sku_name": None}), "sku_name").to_pylist() == ["plan a", ""]
