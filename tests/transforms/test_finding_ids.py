"""A finding keeps its identity in every run that comes to it again, and only with the same figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.findings import with_ids
from transforms.tables import FINDINGS

_FINDING: dict[str, Any] = {
    "run_id": "r1", "period": "2026-03", "code": "TOTAL_MISMATCH", "severity": "block", "invoice_number": "G1",
    "customer_id": "c", "customer_name": "Contoso", "subscription_id": "s", "product_id": "p", "sku_id": "k",
    "line_id": "l", "expected_amount": Decimal("10.00"), "actual_amount": Decimal("10.01"),
    "difference_amount": Decimal("0.01"), "currency": "EUR", "message": "Total is 10.01, not 10.00.",
    "source_file": "recon.csv", "source_row": 7,
}  # fmt: skip
_OTHERS = {"expected_amount": Decimal("10.0000000001"), "actual_amount": None, "severity": "warn"}
_ABOUT = ("period", "code", "severity", "invoice_number", "customer_id", "subscription_id", "product_id", "sku_id",
          "line_id", "currency", "expected_amount", "actual_amount")  # fmt: skip
_UNFIGURED = {**_FINDING, "expected_amount": None, "actual_amount": None}


def identities(*findings: dict[str, Any]) -> list[str]:
    schema = pa.schema([field for field in FINDINGS.schema if field.name != "finding_id"])
    found: list[str] = with_ids(pa.Table.from_pylist(list(findings), schema)).column("finding_id").to_pylist()
    return found


def test_an_identity_is_the_same_in_every_version() -> None:
    """Were it another one, every waiver would lapse with an upgrade."""
    assert identities(_FINDING, _UNFIGURED) == ["bd6da994c5ebe8cd0d4ab1bd", "bc72cca83f355daa355188ff"]
    assert identities() == []


@pytest.mark.parametrize("name", _ABOUT)
def test_another_subject_severity_or_figure_is_another_finding(name: str) -> None:
    other = {**_FINDING, name: _OTHERS.get(name, "other")}
    assert len(set(identities(_FINDING, other))) == 2


def test_where_and_in_which_run_it_was_found_does_not_count() -> None:
    again = {**_FINDING, "run_id": "r2", "customer_name": "Kontoso", "message": "Said otherwise.",
             "source_file": "again.csv", "source_row": 9, "expected_amount": Decimal(10),
             "customer_id": "C"}  # fmt: skip
    assert len(set(identities(_FINDING, again))) == 1


def test_without_amounts_the_sentence_has_the_figures() -> None:
    assert len(set(identities(_UNFIGURED, {**_UNFIGURED, "message": "recon.csv row 8: no amount"}))) == 2


_text = st.none() | st.text(max_size=3)


@given(st.lists(st.fixed_dictionaries({
    "line_id": _text, "invoice_number": _text, "code": st.sampled_from(["ABOVE_ERP", "ROW_REJECTED"]),
    "actual_amount": st.none() | st.decimals(-9, 9, places=2), "message": st.text(max_size=3),
}), max_size=8), st.randoms())  # fmt: skip
def test_the_order_of_findings_changes_no_identity(some: list[dict[str, Any]], random: Any) -> None:
    rows = [{**_FINDING, "expected_amount": None, **one} for one in some]
    known = dict(zip(map(str, rows), identities(*rows), strict=True))
    random.shuffle(rows)
    assert identities(*rows) == [known[str(row)] for row in rows]
