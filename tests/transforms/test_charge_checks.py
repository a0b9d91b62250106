"""Lines against each other, their invoice, their term and the previous period; with near misses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.transforms.rows import codes, invoice_rows, month, recon_rows, rejected_rows, usage_rows

Line = dict[str, Any]

GBP: Line = {"currency": "GBP", "pricing_currency": "USD", "subtotal": "140.80", "total": "140.80",
             "pc_to_bc_exchange_rate": "0.8", "pc_to_bc_exchange_rate_date": date(2025, 10, 30)}  # fmt: skip
LAST_MONTH: Line = {"charge_start_date": date(2025, 10, 1), "charge_end_date": date(2025, 10, 31)}
OTHER: Line = {"subscription_id": "s2"}
REFUND: Line = {"effective_unit_price": "-17.60", "subtotal": "-176", "total": "-176"}


def found(*lines: Line, previous: list[Line] | None = None) -> list[str]:
    return codes(month(recon_rows(*lines), previous=recon_rows(*(previous or []), file="october.csv")))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param({}, [], id="one rate"),
        pytest.param({"pc_to_bc_exchange_rate": "0.81", "subtotal": "142.50", "total": "142.50"},
                     ["EXCHANGE_RATE_MISMATCH"], id="two rates"),
        pytest.param({"pc_to_bc_exchange_rate": "0.81", "subtotal": "142.50", "total": "142.50",
                      "pc_to_bc_exchange_rate_date": date(2025, 11, 3)}, [], id="of two days"),
        pytest.param({"pc_to_bc_exchange_rate": "0.80000"}, [], id="the same rate printed longer"),
        pytest.param({"pricing_currency": "GBP", "pc_to_bc_exchange_rate": "1", "effective_unit_price": "14.08",
                      "unit_price": "14.08", "customer_country": "GB", "product_id": "third", "publisher_name": "X"},
                     [], id="of two pricing currencies"),
    ],
)  # fmt: skip
def test_exchange_rates(other: Line, expected: list[str]) -> None:
    lines = [{**GBP, "subscription_id": f"s{number}"} for number in range(3)]
    assert found(*lines, {**GBP, "subscription_id": "odd", **other}) == expected


def test_the_line_with_the_unusual_rate_is_named() -> None:
    odd = {**GBP, "subscription_id": "odd", "pc_to_bc_exchange_rate": "0.81", "subtotal": "142.50", "total": "142.50"}
    finding = month(recon_rows(odd, GBP, {**GBP, **OTHER})).findings.to_pylist()[0]
    assert (finding["subscription_id"], finding["source_row"]) == ("odd", 2)


def test_of_two_rates_on_as_many_lines_the_one_of_the_other_invoices_is_usual() -> None:
    odd = {"pc_to_bc_exchange_rate": "0.79", "subtotal": "139.00", "total": "139.00"}
    lines = [{**GBP, **odd, "subscription_id": "odd"}, GBP, {**GBP, **OTHER, "invoice_number": "G2"}]
    documents = invoice_rows({"currency_code": "GBP", "total_charges": "279.80"},
                             {"invoice_number": "G2", "currency_code": "GBP", "total_charges": "140.80"})  # fmt: skip
    for order in (lines, lines[::-1]):
        findings = month(recon_rows(*order), invoices=documents).findings.to_pylist()
        assert [(one["code"], one["subscription_id"]) for one in findings] == [("EXCHANGE_RATE_MISMATCH", "odd")]


def test_daily_usage_has_the_rates_of_its_invoice() -> None:
    used = {"effective_unit_price": "0", "billing_pre_tax_total": "0", "billing_currency": "GBP",
            "pricing_currency": "USD", "pc_to_bc_exchange_rate_date": date(2025, 10, 30)}  # fmt: skip
    same, other = ({**used, "pc_to_bc_exchange_rate": rate} for rate in ("0.8", "0.81"))
    documents = invoice_rows({"currency_code": "GBP", "total_charges": "140.80"})
    assert codes(month(recon_rows(GBP), usage=usage_rows(same), invoices=documents)) == []
    found = month(recon_rows(GBP), usage=usage_rows(same, other), invoices=documents).findings.to_pylist()
    assert [(one["code"], one["source_row"]) for one in found] == [("EXCHANGE_RATE_MISMATCH", 3)]


def test_a_line_in_another_currency_than_its_invoice() -> None:
    euros = invoice_rows({"currency_code": "EUR", "total_charges": "176"})
    assert codes(month(invoices=euros)) == ["CURRENCY_MISMATCH"]
    lower_case = invoice_rows({"currency_code": "usd", "total_charges": "176"})
    assert codes(month(invoices=lower_case)) == []
    free = {"effective_unit_price": "0", "billing_pre_tax_total": "0", "billing_currency": "EUR"}
    assert codes(month(usage=usage_rows(free))) == ["CURRENCY_MISMATCH"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param({"subscription_start_date": date(2025, 11, 1)}, [], id="from the first day"),
        pytest.param({"subscription_start_date": date(2025, 11, 2)}, ["CHARGE_OUTSIDE_TERM"], id="a day early"),
        pytest.param({"subscription_end_date": date(2025, 11, 30)}, [], id="to the last day"),
        pytest.param({"subscription_end_date": date(2025, 11, 29)}, ["CHARGE_OUTSIDE_TERM"], id="a day late"),
        pytest.param({"subscription_end_date": None}, [], id="an open term"),
        pytest.param({"subscription_end_date": date(2025, 10, 31), "charge_type": "customerCredit", **REFUND}, [],
                     id="a credit comes after the fact"),
    ],
)  # fmt: skip
def test_charges_inside_their_term(line: Line, expected: list[str]) -> None:
    assert found(line) == expected


@pytest.mark.parametrize(
    ("lines", "previous", "expected"),
    [
        pytest.param([{}, {}], [], ["OVERLAPPING_CHARGE"], id="charged twice"),
        pytest.param([{}, {"charge_type": "Renew"}], [], ["OVERLAPPING_CHARGE"], id="charged and renewed"),
        pytest.param([{}, {"product_id": "cfq7ttc0lh16"}], [], ["OVERLAPPING_CHARGE"], id="a product spelt otherwise"),
        pytest.param([{}, {"sku_id": "0002", "product_id": "x", "publisher_name": "X"}], [], [], id="of two SKUs"),
        pytest.param([{}, OTHER], [], [], id="of two subscriptions"),
        pytest.param([{}], [LAST_MONTH], [], id="adjacent to last month's"),
        pytest.param([{}], [{**LAST_MONTH, "charge_end_date": date(2025, 11, 1)}], ["OVERLAPPING_CHARGE"],
                     id="a day of last month's"),
        pytest.param([{}, {**REFUND, "charge_type": "cancelImmediate"}, {}], [], [], id="refunded in between"),
        pytest.param([{}, {}, {**REFUND, "charge_type": "customerCredit"}], [], ["OVERLAPPING_CHARGE"],
                     id="a credit is no refund of a charge"),
        pytest.param([{}, {}, {}, {**REFUND, "charge_type": "removeQuantity"}], [], ["OVERLAPPING_CHARGE"],
                     id="one refund undoes one charge"),
        pytest.param([{}, {"charge_type": "addQuantity"}], [], [], id="an added seat is no cycle charge"),
        pytest.param([{"charge_end_date": None, "product_id": "DG7", "term_and_billing_cycle": None}] * 2, [], [],
                     id="a perpetual licence has no cycle"),
        pytest.param([{}, {"subtotal": "0", "total": "0", "unit_price": "0", "effective_unit_price": "0"}], [], [],
                     id="a free line takes no money twice"),
    ],
)  # fmt: skip
def test_overlapping_cycle_charges(lines: list[Line], previous: list[Line], expected: list[str]) -> None:
    assert found(*lines, previous=previous) == expected


SEATS_CHANGED: Line = {"charge_type": "removeQuantity", "reference_id": "event"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([{}, {}, {**REFUND, **SEATS_CHANGED}, SEATS_CHANGED], ["OVERLAPPING_CHARGE"],
                     id="a change of seats undoes no charge, its event charges the days anew"),
        pytest.param([{}, {}, {**REFUND, **SEATS_CHANGED}, {**SEATS_CHANGED, "reference_id": "another"}], [],
                     id="the charge of another event does not make a refund good"),
        pytest.param([{}, {}, {**REFUND, **SEATS_CHANGED, "reference_id": '{"osId":"o","id":"event"}'}, SEATS_CHANGED],
                     ["OVERLAPPING_CHARGE"], id="a reference may be JSON"),
        pytest.param([{"reference_id": "r"}, {"reference_id": "r", "availability_id": "telco"}], [],
                     id="two parts of a product are one charge"),
        pytest.param([{"reference_id": "r"}, {"reference_id": "q", "availability_id": "telco"}],
                     ["OVERLAPPING_CHARGE"], id="of two events they are two charges"),
    ],
)  # fmt: skip
def test_what_lines_of_one_event_mean_for_overlaps(lines: list[Line], expected: list[str]) -> None:
    assert found(*lines) == expected


FOUR: Line = {"billable_quantity": "4", "quantity": "4", "subtotal": "70.40", "total": "70.40"}
BACK: Line = {**REFUND, "charge_type": "cancelImmediate"}
FOUR_BACK: Line = {**BACK, **FOUR, "subtotal": "-70.40", "total": "-70.40"}
SIX_BACK: Line = {**BACK, "billable_quantity": "6", "quantity": "6", "subtotal": "-105.60", "total": "-105.60"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([{}, {}, FOUR_BACK], ["OVERLAPPING_CHARGE"], id="four of ten seats"),
        pytest.param([{}, {}, FOUR_BACK, SIX_BACK], [], id="all ten in two lines"),
        pytest.param([{}, {}, {}, FOUR_BACK, SIX_BACK], ["OVERLAPPING_CHARGE"], id="all ten, of one of two"),
        pytest.param([{}, FOUR, FOUR_BACK], [], id="all of the smaller charge"),
        pytest.param([{}, {}, {**BACK, "billable_quantity": "-10", "quantity": "-10", "effective_unit_price": "17.60"}],
                     [], id="seats may be negative instead"),
        pytest.param([{}, {**REFUND, **SEATS_CHANGED}, {**SEATS_CHANGED, **FOUR}, FOUR_BACK, {}], [],
                     id="all that a change of seats has left"),
        pytest.param([{}, {}, {**BACK, "billable_quantity": None}], [], id="seats are not known"),
    ],
)  # fmt: skip
def test_a_refund_undoes_a_charge_of_as_many_seats(lines: list[Line], expected: list[str]) -> None:
    assert found(*lines) == expected


def test_lines_of_a_voided_invoice_are_charged_again_by_its_rebill() -> None:
    lines = recon_rows({}, {"invoice_number": "G2"})
    rebill = {"invoice_number": "G2", "total_charges": "176"}
    first: Line = {"total_charges": "176"}
    assert codes(month(lines, invoices=invoice_rows(first, rebill))) == ["OVERLAPPING_CHARGE"]
    for voided in (
        [{**first, "document_type": "void_note"}],
        [{**first, "state": "Voided"}],
        [first, {"invoice_number": "G3", "document_type": "Void Note", "amends_of": "G1", "total_charges": "176"}],
    ):
        result = month(lines, invoices=invoice_rows(*voided, rebill))
        assert codes(result) == []
        statuses = {row["invoice_number"]: row["status"] for row in result.tieout.to_pylist()}
        assert statuses.pop("G2") == "matched"
        assert statuses.pop("G1") == "voided"
        assert set(statuses.values()) <= {"voided"}


def test_a_refund_of_the_previous_period_is_used_up_by_its_charges() -> None:
    long = {**LAST_MONTH, "charge_end_date": date(2025, 11, 30), "charge_type": "new"}
    before = [{**LAST_MONTH, "charge_type": "new"}, {**LAST_MONTH, **REFUND, "charge_type": "cancelImmediate",
                                                     "charge_end_date": date(2025, 11, 30)}, long]  # fmt: skip
    assert [code for code in found({}, previous=before) if code != "QUANTITY_CHANGED"] == ["OVERLAPPING_CHARGE"]


def test_of_two_charges_the_later_one_is_named() -> None:
    later = {"charge_start_date": date(2025, 11, 15), "charge_type": "new"}
    findings = month(recon_rows(later, {})).findings.to_pylist()
    assert [one["source_row"] for one in findings if one["code"] == "OVERLAPPING_CHARGE"] == [2]
    twins = month(recon_rows({}, {})).findings.to_pylist()
    assert [finding["source_row"] for finding in twins] == [3]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(LAST_MONTH, ["SUBSCRIPTION_DROPPED"], id="due and absent"),
        pytest.param({**LAST_MONTH, "subscription_end_date": date(2025, 10, 31)}, [], id="its term is over"),
        pytest.param({"charge_start_date": date(2025, 10, 1), "charge_end_date": date(2026, 9, 30)}, [],
                     id="paid for the year"),
        pytest.param({**LAST_MONTH, "charge_end_date": date(2025, 11, 30)}, [], id="next due after this period"),
        pytest.param({**LAST_MONTH, "charge_end_date": date(2025, 11, 29)}, ["SUBSCRIPTION_DROPPED"],
                     id="due on the last day"),
        pytest.param({**LAST_MONTH, "subscription_description": "Azure plan", "product_id": "DZH318Z0",
                      "term_and_billing_cycle": ""}, [], id="Azure plans have no cycle"),
    ],
)  # fmt: skip
def test_subscriptions_that_are_gone(before: Line, expected: list[str]) -> None:
    assert found(OTHER, previous=[before, {**OTHER, **LAST_MONTH}]) == expected


def test_a_cancelled_subscription_is_not_dropped() -> None:
    cancel = {**LAST_MONTH, **REFUND, "charge_type": "cancelImmediate", "charge_start_date": date(2025, 10, 5)}
    assert found(OTHER, previous=[LAST_MONTH, cancel, {**OTHER, **LAST_MONTH}]) == []


def test_a_subscription_whose_last_event_only_refunds_is_over() -> None:
    moved = {**LAST_MONTH, **REFUND, "charge_type": "moveQuantity", "charge_start_date": date(2025, 10, 9)}
    others = {**OTHER, **LAST_MONTH}
    assert found(OTHER, previous=[LAST_MONTH, moved, others]) == []
    removed = {**moved, "charge_type": "removeQuantity"}
    remaining = {**LAST_MONTH, "charge_type": "removeQuantity", "charge_start_date": date(2025, 10, 9)}
    assert found(OTHER, previous=[LAST_MONTH, removed, remaining, others]) == ["SUBSCRIPTION_DROPPED"]


def test_a_conversion_ends_a_subscription_only_where_it_is_refunded() -> None:
    others = {**OTHER, **LAST_MONTH}
    bought = {**LAST_MONTH, "charge_type": "convert"}
    assert found(OTHER, previous=[bought, others]) == ["SUBSCRIPTION_DROPPED"]
    left = {**bought, **REFUND, "charge_start_date": date(2025, 10, 9)}
    assert found(OTHER, previous=[LAST_MONTH, left, others]) == []


def test_a_subscription_that_a_row_in_quarantine_names_may_not_be_gone() -> None:
    before = [{**LAST_MONTH, "subscription_id": "Sub-1"}, {**OTHER, **LAST_MONTH}]
    for raw, expected in (("a,SUB-1,b", ["ROW_REJECTED"]), ("a,sub-2,b", ["ROW_REJECTED", "SUBSCRIPTION_DROPPED"])):
        result = month(recon_rows(OTHER), previous=recon_rows(*before), rejected=rejected_rows({"raw_text": raw}))
        assert codes(result) == expected
    more = [seats(12, subscription_id="Sub-1"), OTHER]
    for raw, expected in (('a,"SUB-1",b', ["ROW_REJECTED"]), ("a,sub-11,b", ["QUANTITY_CHANGED", "ROW_REJECTED"])):
        result = month(recon_rows(*more), previous=recon_rows(*before), rejected=rejected_rows({"raw_text": raw}))
        assert codes(result) == expected


def test_without_the_previous_period_nothing_is_compared() -> None:
    assert found(OTHER) == []


def seats(count: int, **changes: Any) -> Line:
    amount = f"{count * 1760 // 100}.{count * 1760 % 100:02}"
    return {"billable_quantity": count, "quantity": count, "subtotal": amount, "total": amount, **changes}


ADDED = {"charge_type": "addQuantity", "charge_start_date": date(2025, 10, 20), "effective_unit_price": "6.81",
         "order_date": datetime(2025, 10, 20, 9, tzinfo=UTC)}  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "previous", "expected"),
    [
        pytest.param([seats(10)], [seats(10, **LAST_MONTH)], [], id="the same"),
        pytest.param([seats(12)], [seats(10, **LAST_MONTH)], ["QUANTITY_CHANGED"], id="more"),
        pytest.param([seats(12, charge_type="renew")], [seats(10, **LAST_MONTH)], [], id="more at the renewal"),
        pytest.param([seats(12), seats(14, **{**ADDED, "subtotal": "95.34", "total": "95.34",
                                              "charge_start_date": date(2025, 11, 20)})],
                     [seats(10, **LAST_MONTH)], [], id="more with an event line"),
        pytest.param([seats(12)], [seats(12, **{**LAST_MONTH, **ADDED}), seats(10, **LAST_MONTH),
                                   {**LAST_MONTH, **ADDED, **REFUND}], [], id="added last month"),
        pytest.param([seats(10)], [seats(12, **{**LAST_MONTH, **ADDED}), seats(10, **LAST_MONTH),
                                   {**LAST_MONTH, **ADDED, **REFUND}], ["QUANTITY_CHANGED"], id="added, then lost"),
    ],
)  # fmt: skip
def test_seats_against_the_previous_period(lines: list[Line], previous: list[Line], expected: list[str]) -> None:
    assert [code for code in found(*lines, previous=previous) if code != "SUBTOTAL_MISMATCH"] == expected


def test_customers_that_halopsa_does_not_know() -> None:
    lines = recon_rows({}, {"customer_id": "C2", "customer_name": "Fabrikam", "subscription_id": "s2"})
    assert codes(month(lines)) == [], "no mapping is kept"
    found = month(lines, mapped_customers=frozenset({"c1"})).findings.to_pylist()
    assert [(one["code"], one["customer_id"], one["customer_name"], one["line_id"]) for one in found] == [
        ("CUSTOMER_UNMAPPED", "C2", "Fabrikam", None)
    ]
    twice = recon_rows({"customer_id": "c2"}, {"customer_id": "C2", "subscription_id": "s2"})
    assert codes(month(twice, mapped_customers=frozenset({"c1"}))) == ["CUSTOMER_UNMAPPED"]
    assert codes(month(lines, mapped_customers=frozenset({"c1", "c2"}))) == []


def test_rates_of_unknown_days_may_differ() -> None:
    lines = [{**GBP, "subscription_id": f"s{n}", "pc_to_bc_exchange_rate_date": None} for n in range(3)]
    assert found(*lines, {**lines[0], "pc_to_bc_exchange_rate": "0.81", "subtotal": "142.50", "total": "142.50",
                          "subscription_id": "odd"}) == []  # fmt: skip


def test_the_year_9999_is_no_end() -> None:
    endless = {"charge_end_date": date(9999, 12, 31), "subscription_end_date": date(9999, 12, 31)}
    assert found(endless) == []
    assert found(OTHER, previous=[{**LAST_MONTH, **endless}]) == []


def test_a_line_without_a_product_is_not_listed() -> None:
    assert found({"product_id": None}) == ["PRICE_NOT_FOUND"]
