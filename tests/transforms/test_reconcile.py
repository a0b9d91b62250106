"""Every finding code with the case that must raise it and the near miss that must not."""

from __future__ import annotations

import csv
import os
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.transforms.rows import (
    codes,
    identified,
    invoice_rows,
    month,
    price_rows,
    recon_rows,
    rejected_rows,
    usage_rows,
)
from transforms.columns import Kind
from transforms.customer_rules import LineRules
from transforms.line_numbers import Coins
from transforms.money import Fixed, parse_decimals
from transforms.policy import CustomerPolicy, Policy
from transforms.rounding import explain_subtotals

SAMPLES = Path(os.environ.get("CSP_BILLING_SAMPLES", "../shared/samples"))

PRORATED = {"charge_start_date": date(2025, 11, 20), "charge_type": "addQuantity", "effective_unit_price": "6.4533",
            "subtotal": "64.53", "total": "64.53"}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param({}, [], id="sound"),
        # The subtotal: 17.60 × 10 within 0.01 + 10 × 0.005 of two printed decimals.
        pytest.param({"subtotal": "176.07", "total": "176.07"}, ["SUBTOTAL_MISMATCH"], id="beyond the print tolerance"),
        pytest.param({"subtotal": "176.06", "total": "176.06"}, [], id="at the print tolerance"),
        pytest.param({"effective_unit_price": "17.605", "subtotal": "176.07", "total": "176.07"},
                     ["SUBTOTAL_MISMATCH"], id="three decimals printed leave less room"),
        pytest.param({"effective_unit_price": "17.605", "subtotal": "176.05", "total": "176.05"}, [], id="rule A"),
        pytest.param({"effective_unit_price": "17.605", "subtotal": "176.00", "total": "176.00"}, [], id="rule B"),
        pytest.param({"effective_unit_price": "17.6055", "subtotal": "176.06", "total": "176.06"}, [], id="rule C"),
        pytest.param({"pricing_currency": "USD", "currency": "EUR", "pc_to_bc_exchange_rate": "0.846202666",
                      "subtotal": "148.90", "total": "148.90"}, [], id="exchanged, licence rule"),
        pytest.param({"currency": "EUR", "pc_to_bc_exchange_rate": "0.846202666", "subtotal": "150", "total": "150"},
                     ["SUBTOTAL_MISMATCH"], id="exchanged, wrong"),
        pytest.param({"currency": "JPY", "pc_to_bc_exchange_rate": "151.25", "subtotal": "26620", "total": "26620"},
                     [], id="a currency without cents"),
        # The total.
        pytest.param({"tax_total": "35.20", "total": "211.20"}, [], id="taxed"),
        pytest.param({"tax_total": "35.20", "total": "211.21"}, ["TOTAL_MISMATCH"], id="total a cent off"),
        # The list price.
        pytest.param({"product_id": "CFQ7TTC0XXXX"}, ["PRICE_NOT_FOUND"], id="product not listed"),
        pytest.param({"sku_id": "0002"}, ["PRICE_NOT_FOUND"], id="sku not listed"),
        pytest.param({"billing_frequency": "Annual"}, ["PRICE_NOT_FOUND"], id="plan not listed"),
        pytest.param({"customer_country": "DE"}, ["PRICE_NOT_FOUND"], id="market not listed"),
        pytest.param({"product_id": "XYZ", "publisher_name": "Fabrikam"}, [], id="third party is not in the list"),
        pytest.param({"product_id": "CFQ7TTC0XXXX", "unit_price": "0", "effective_unit_price": "0", "subtotal": "0",
                      "total": "0"}, [], id="free"),
        pytest.param({"product_id": "CFQ7TTC0XXXX", "product_qualifiers": '["Trial"]'}, [], id="trial"),
        pytest.param({"product_id": "CFQ7TTC0XXXX", "charge_type": "customerCredit", "subtotal": "-176",
                      "total": "-176"}, [], id="credit"),
        pytest.param({"subscription_start_date": date(2025, 3, 31)}, ["PRICE_NOT_EFFECTIVE"], id="the day before"),
        pytest.param({"subscription_start_date": date(2025, 4, 1)}, [], id="the first day"),
        pytest.param({"unit_price": "17.61"}, ["UNIT_PRICE_MISMATCH"], id="list price a cent off"),
        pytest.param({"unit_price": "17.6000"}, [], id="list price with zeros"),
        # The ERP price, 22.00 a month; the floor of 5 % is at 20.90.
        pytest.param({"effective_unit_price": "22.01", "subtotal": "220.10", "total": "220.10"}, ["ABOVE_ERP"],
                     id="a cent above ERP"),
        pytest.param({"effective_unit_price": "22", "subtotal": "220", "total": "220"}, ["MARGIN_BELOW_FLOOR"],
                     id="at ERP"),
        pytest.param({"effective_unit_price": "20.91", "subtotal": "209.10", "total": "209.10"},
                     ["MARGIN_BELOW_FLOOR"], id="a cent below the floor"),
        pytest.param({"effective_unit_price": "20.90", "subtotal": "209", "total": "209"}, [], id="at the floor"),
        pytest.param({"effective_unit_price": "-23", "subtotal": "-230", "total": "-230",
                      "charge_type": "removeQuantity"}, [], id="a refund is no loss"),
        pytest.param(PRORATED, [], id="11 of 30 days"),
        pytest.param({**PRORATED, "effective_unit_price": "8.07", "subtotal": "80.70", "total": "80.70"},
                     ["MARGIN_BELOW_FLOOR"], id="11 of 30 days near ERP"),
        pytest.param({**PRORATED, "effective_unit_price": "8.10", "subtotal": "81", "total": "81"}, ["ABOVE_ERP"],
                     id="11 of 30 days above ERP"),
    ],
)  # fmt: skip
def test_a_line_raises_exactly_its_findings(line: dict[str, Any], expected: list[str]) -> None:
    assert codes(month(recon_rows(line))) == expected


def test_nothing_may_cost_more_than_an_erp_price_of_nothing() -> None:
    free = price_rows({"unit_price": "0", "erp_price": "0"})
    assert codes(month(recon_rows({}), prices=free)) == ["ABOVE_ERP", "UNIT_PRICE_MISMATCH"]


def test_a_promotion_explains_a_different_list_price() -> None:
    found = month(recon_rows({"unit_price": "15", "promotion_id": "39NFJQT1PJPJ:1:39NFJQT1Q5MD"})).findings.to_pylist()
    assert [(one["code"], one["severity"]) for one in found] == [("UNIT_PRICE_MISMATCH", "info")]


def test_the_row_that_ends_first_prices_an_overlap() -> None:
    ends = datetime(2025, 9, 3, 6, 57, 30, tzinfo=UTC)
    lists = price_rows(
        {"unit_price": "211.20", "effective_end_date": ends},
        {"unit_price": "240.00", "effective_start_date": datetime(2025, 9, 1, tzinfo=UTC)},
    )
    assert codes(month(recon_rows({"subscription_start_date": date(2025, 9, 2)}), prices=lists)) == []
    late = recon_rows({"subscription_start_date": date(2025, 9, 4), "unit_price": "20"})
    assert codes(month(late, prices=lists)) == []


def test_the_segment_comes_from_the_policy_then_from_the_price_then_from_the_default() -> None:
    lists = price_rows({}, {"segment": "Education", "unit_price": "60.00", "erp_price": "75.00"})
    cheap = {"unit_price": "5", "effective_unit_price": "5", "subtotal": "50", "total": "50"}
    inferred = month(recon_rows(cheap), prices=lists)
    assert codes(inferred) == []
    assert inferred.lines.column("segment_source").to_pylist() == ["price"]
    neither = month(recon_rows({**cheap, "unit_price": "6"}), prices=lists)
    assert codes(neither) == ["UNIT_PRICE_MISMATCH"]
    assert neither.lines.column("segment").to_pylist() == ["Commercial"]
    told = Policy(customers={"C1": CustomerPolicy(segment="Commercial")})
    assert codes(month(recon_rows(cheap), prices=lists, policy=told)) == ["UNIT_PRICE_MISMATCH"]


def test_floor_and_severity_are_the_policys() -> None:
    line = recon_rows({"effective_unit_price": "21", "subtotal": "210", "total": "210"})
    lenient = Policy(customers={"c1": CustomerPolicy(margin_floor=Decimal("0.01"))})
    assert codes(month(line, policy=lenient)) == []
    strict = month(line, policy=Policy(severities={"MARGIN_BELOW_FLOOR": "block"}))
    assert strict.blocking == 1


@pytest.mark.parametrize(
    ("documents", "expected", "status"),
    [
        pytest.param([{"total_charges": "176"}], [], "matched", id="equal"),
        pytest.param([{"total_charges": "176.01"}], ["INVOICE_TOTAL_MISMATCH"], "mismatch", id="a cent off"),
        pytest.param([{"total_charges": "200"}, {"invoice_number": "G2", "document_type": "adjustment_note",
                       "amends_of": "G1", "total_charges": "24"}], [], "matched", id="credit note subtracted"),
        pytest.param([{"total_charges": "500", "document_type": "void_note"}], [], "voided", id="voided"),
        *(pytest.param([{"total_charges": "200"}, {"invoice_number": "G2", "document_type": kind, "amends_of": "G1",
                        "total_charges": "24"}], [], "matched", id=kind)
          for kind in ("Credit Note", "CreditNote", "credit_note", "Adjustment_Note", "adjustment-note")),
        *(pytest.param([{"total_charges": "500", "document_type": kind}], [], "voided", id=kind)
          for kind in ("VoidNote", "Void Note", "Void")),
        pytest.param([], ["INVOICE_NOT_FOUND"], "invoice_not_found", id="no document"),
        pytest.param([{"total_charges": "176"}, {"invoice_number": "G9", "total_charges": "5"}],
                     ["INVOICE_WITHOUT_LINES"], "matched", id="a document without lines"),
    ],
)  # fmt: skip
def test_invoices_tie_out(documents: list[dict[str, Any]], expected: list[str], status: str) -> None:
    result = month(invoices=invoice_rows(*documents))
    assert codes(result) == expected
    assert result.tieout.to_pylist()[0]["status"] == status


def test_lines_of_a_credit_note_count_under_either_number() -> None:
    note = {"invoice_number": "G2", "document_type": "adjustment_note", "amends_of": "G1", "total_charges": "24"}
    credit = {"charge_type": "customerCredit", "effective_unit_price": "2.4", "subtotal": "-24", "total": "-24"}
    for number in ("G1", "G2"):
        lines = recon_rows({}, {**credit, "invoice_number": number})
        assert codes(month(lines, invoices=invoice_rows({"total_charges": "176"}, note))) == []


def test_a_credit_note_for_another_periods_invoice_stands_for_itself() -> None:
    note = {"invoice_number": "G2", "document_type": "adjustment_note", "amends_of": "G0", "total_charges": "24"}
    credit = {"invoice_number": "G2", "charge_type": "customerCredit", "effective_unit_price": "2.4",
              "subtotal": "-24", "total": "-24"}  # fmt: skip
    result = month(recon_rows({}, credit), invoices=invoice_rows({"total_charges": "176"}, note))
    assert codes(result) == []
    off = month(recon_rows({}, {**credit, "total": "-24.01"}), invoices=invoice_rows({"total_charges": "176"}, note))
    assert codes(off) == ["INVOICE_TOTAL_MISMATCH", "TOTAL_MISMATCH"]


def test_tax_that_only_the_invoice_has_is_told_but_blocks_nothing() -> None:
    documents = invoice_rows({"total_charges": "211.20"})
    assert month(invoices=documents).blocking == 1
    known = month(invoices=documents, policy=Policy(tax_rates=(Decimal("0.2"),)))
    assert codes(known) == ["INVOICE_TOTAL_MISMATCH"]
    assert known.blocking == 0


@pytest.mark.parametrize("line", [
    {"billable_quantity": "9999999999999999999"}, {"effective_unit_price": "9999999999999999.99"},
    {"pc_to_bc_exchange_rate": "99999999999999999999"},
    {"charge_start_date": date(2, 1, 1), "charge_end_date": date(2, 1, 1), "billing_frequency": None},
])  # fmt: skip
def test_absurd_figures_are_findings_and_no_failure(line: dict[str, Any]) -> None:
    result = month(recon_rows({**line, "pricing_currency": "USD"}))
    assert result.blocking
    assert result.lines.column("subtotal_amount").to_pylist() == [Decimal(176)]


def test_usage_is_detail_of_an_invoice_and_not_added_to_it() -> None:
    free = {"effective_unit_price": "0", "billing_pre_tax_total": "0"}
    result = month(usage=usage_rows(free, free))
    assert codes(result) == []
    assert result.lines.column("source").to_pylist() == ["invoice_recon", "daily_usage", "daily_usage"]
    assert len(set(result.lines.column("line_id").to_pylist())) == 3


def test_a_rejected_row_is_a_finding_with_its_place() -> None:
    finding = month(rejected=rejected_rows({"source_row": 17})).findings.to_pylist()[0]
    assert (finding["code"], finding["source_file"], finding["source_row"]) == ("ROW_REJECTED", "recon.csv", 17)


def test_order_and_split_into_files_change_nothing() -> None:
    lines = [
        {"subscription_id": f"s{n}", "charge_type": ("new", "cycleCharge")[n % 2], "quantity": n,
         "billable_quantity": n, "subtotal": n * 18, "total": n * 18} for n in range(1, 40)
    ]  # fmt: skip
    whole = month(recon_rows(*lines))
    shuffled = list(lines)
    random.Random(7).shuffle(shuffled)
    parts = [recon_rows(*shuffled[start::10], file=f"part{start}.csv") for start in range(10)]
    joined = pa.concat_tables(parts)
    split = month(identified(joined, "invoice_recon"))
    assert whole.content_digest == split.content_digest
    assert sorted(codes(whole)) == sorted(codes(split)) != []
    changed = month(recon_rows(*lines[:-1], {**lines[-1], "total": 1}))
    assert changed.content_digest != whole.content_digest


def test_the_billed_amounts_are_conserved() -> None:
    lines = recon_rows({}, {"subscription_id": "s2", "subtotal": "99.99", "total": "99.99"})
    result = month(lines)
    assert sum(result.lines.column("total_amount").to_pylist()) == Decimal("275.99")


def test_microsofts_worked_examples_are_all_explained() -> None:
    path = SAMPLES / "golden" / "subtotal_worked_examples.csv"
    if not path.exists():
        pytest.skip("the samples are not here")
    rows = list(csv.DictReader(path.open()))

    def column(name: str, kind: Kind) -> Fixed:
        return Fixed.from_arrow(parse_decimals(pa.array([row[name] for row in rows]), kind)[0])

    for printed in ("EUP_printed", "EUP_computed"):
        rules = explain_subtotals(
            column(printed, Kind.PRICE), column("BillableQuantity", Kind.QUANTITY), Fixed.constant(1, len(rows)),
            column("Total_printed", Kind.AMOUNT), Coins(*[np.full(len(rows), 2)] * 2),
            LineRules(Policy(), pa.nulls(len(rows), pa.string())),
        ).rules().to_pylist()  # fmt: skip
        assert all(rules)
    assert all(rule in row["reproduced_by"] for rule, row in zip(rules, rows, strict=True))
