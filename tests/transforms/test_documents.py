"""Notes on invoices and on other notes, what they leave void, and to which period they belong."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.transforms.rows import codes, invoice_rows, month, recon_rows
from transforms.documents import amended_invoices, voided_invoices
from transforms.periods import invoice_periods

Row = dict[str, Any]

CREDIT: Row = {"charge_type": "customerCredit", "effective_unit_price": "5", "subtotal": "-50", "total": "-50"}


def note(number: str, kind: str, amends: str, total: str = "50") -> Row:
    return {"invoice_number": number, "document_type": kind, "amends_of": amends, "total_charges": total}


@pytest.mark.parametrize(
    ("documents", "lines", "expected"),
    [
        pytest.param([{"total_charges": "176"}, note("C1", "credit_note", "G1"), note("V1", "void_note", "C1")],
                     [{}, {**CREDIT, "invoice_number": "C1"}], [], id="a voided credit"),
        pytest.param([{"total_charges": "276"}, note("C1", "credit_note", "G1"), note("C2", "credit_note", "C1")],
                     [{}, {"subscription_id": "s2", "unit_price": "17.6"}, {**CREDIT, "invoice_number": "C1"},
                      {**CREDIT, "invoice_number": "C2"}], ["INVOICE_TOTAL_MISMATCH"], id="a wrong note on a note"),
        pytest.param([{"total_charges": "352"}, note("C1", "credit_note", "G1"), note("C2", "credit_note", "C1")],
                     [{}, {"subscription_id": "s2"}, {**CREDIT, "invoice_number": "C1"},
                      {**CREDIT, "invoice_number": "C2"}], [], id="a note on a note"),
        pytest.param([note("V1", "void_note", "G0")], [{"invoice_number": "G0"}], [], id="void without its document"),
    ],
)  # fmt: skip
def test_notes_in_the_tie_out(documents: list[Row], lines: list[Row], expected: list[str]) -> None:
    assert codes(month(recon_rows(*lines), invoices=invoice_rows(*documents))) == expected


def test_every_document_has_its_row_and_every_line_its_document() -> None:
    documents = invoice_rows(
        {"total_charges": "176"}, note("C1", "credit_note", "G1"), note("V1", "void_note", "C1"),
        {"invoice_number": "G2", "document_type": "void_note", "total_charges": "176"}, note("C2", "credit_note", "G2"),
    )  # fmt: skip
    lines = recon_rows({}, {**CREDIT, "invoice_number": "C1"}, {"invoice_number": "G2"},
                       {**CREDIT, "invoice_number": "C2"})  # fmt: skip
    rows = month(lines, invoices=documents).tieout.to_pylist()
    assert {(row["invoice_number"], row["status"], int(row["lines_amount"])) for row in rows} == {
        ("G1", "matched", 176), ("C1", "voided", -50), ("V1", "voided", 0), ("G2", "voided", 176),
        ("C2", "voided", -50),
    }  # fmt: skip


def test_a_credit_of_a_voided_invoice_undoes_no_charge_of_its_rebill() -> None:
    """Microsoft's own example is a void note with an adjustment note."""
    refund = {"invoice_number": "C1", "charge_type": "cancelImmediate", "effective_unit_price": "-17.60",
              "subtotal": "-176", "total": "-176"}  # fmt: skip
    rebilled = {"invoice_number": "G2"}
    documents = invoice_rows(
        {"document_type": "void_note", "total_charges": "176"}, note("C1", "adjustment_note", "G1", "176"),
        {"invoice_number": "G2", "total_charges": "352"},
    )  # fmt: skip
    assert codes(month(recon_rows({}, refund, rebilled, rebilled), invoices=documents)) == ["OVERLAPPING_CHARGE"]


def test_notes_are_followed_to_their_invoice_and_circles_end() -> None:
    documents = invoice_rows(
        {"invoice_number": "A"}, note("B", "Credit Note", "A"), note("C", "credit_note", "B"),
        note("D", "credit_note", "E"), note("E", "credit_note", "D"), note("F", "credit_note", "missing"),
        {"invoice_number": "G", "amends_of": "A"},
    )  # fmt: skip
    amended = amended_invoices(documents)
    assert {number: amended[number] for number in ("B", "C")} == {"B": "A", "C": "A"}
    assert set(amended) == {"B", "C", "D", "E"}
    assert voided_invoices(documents) == frozenset()


def test_what_is_void_takes_its_notes_with_it() -> None:
    documents = invoice_rows(
        {"invoice_number": "A", "state": "VOIDED"}, note("B", "credit_note", "A"), note("C", "credit_note", "B"),
        {"invoice_number": "G", "amends_of": "A"}, note("V", "void_note", "X"),
    )  # fmt: skip
    assert voided_invoices(documents) == {"A", "B", "C", "V", "X"}


def test_only_notes_belong_to_the_period_of_what_they_amend() -> None:
    september, october, november = (date(2025, number, 1) for number in (9, 10, 11))
    rows: list[Row] = [
        {"invoice_number": "I", "billing_period_start_date": september},
        {**note("A", "credit_note", "I"), "billing_period_start_date": october},
        {**note("B", "credit_note", "A"), "billing_period_start_date": november},
        {"invoice_number": "R", "amends_of": "I", "billing_period_start_date": november},
    ]
    for order in (rows, rows[::-1]):
        assert invoice_periods(invoice_rows(*order)) == {
            "I": "2025-09", "A": "2025-09", "B": "2025-09", "R": "2025-11",
        }  # fmt: skip
