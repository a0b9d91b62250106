"""The view on an example month and on real exports: FOCUS 1.2's rules hold, and no money is lost or counted twice."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connectors.warehouse.sources import read_invoices
from connectors.warehouse.views import view_sql
from tests.focus.conftest import PERIOD, Month, read_view, reconcile
from tests.focus.rules import PRODUCTS, RULES, violations
from transforms.documents import amended_invoices
from transforms.tables.views import OUT_INVOICE_TIEOUT, OUT_LINES

SAMPLES = Path(os.environ.get("CSP_BILLING_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))
Sums = dict[str, Decimal]


def billed(focus: pa.Table) -> Sums:
    """What the charges of each invoice add up to."""
    return _sums(zip(focus["InvoiceId"].to_pylist(), focus["BilledCost"].to_pylist(), strict=True))


def invoiced(lines: pa.Table) -> Sums:
    """What each invoice's lines add up to: its reconciliation lines, and where it has none its usage."""
    rows = lines.select(["invoice_number", "source", "total_amount"]).to_pylist()
    by_source = {
        source: _sums((row["invoice_number"], row["total_amount"]) for row in rows if row["source"] == source)
        for source in ("daily_usage", "invoice_recon")
    }
    return by_source["daily_usage"] | by_source["invoice_recon"]


def _sums(pairs: Iterable[tuple[str | None, Decimal]]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for invoice, amount in pairs:
        sums[invoice or ""] += amount
    return dict(sums)


def test_the_month_follows_the_rules(month: Month) -> None:
    focus = month.focus()
    assert violations(focus) == {}
    by_category = Counter(focus["ChargeCategory"].to_pylist())
    assert set(by_category) == {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
    assert set(focus["PricingCategory"].to_pylist()) == {"Standard", "Dynamic", "Committed", None}


def test_every_invoice_adds_up(month: Month) -> None:
    lines, found = read_view(month.warehouse, OUT_LINES), billed(month.focus())
    assert found == invoiced(lines)
    # An invoice is tied out with its credit notes.
    with month.warehouse.read() as connection:
        amended = amended_invoices(read_invoices(connection, PERIOD))
    families = _sums((amended.get(number, number), amount) for number, amount in found.items())
    tied = {row["invoice_number"]: row for row in read_view(month.warehouse, OUT_INVOICE_TIEOUT).to_pylist()}
    assert families == {number: row["lines_amount"] for number, row in tied.items() if row["status"] != "without_lines"}
    matched = [number for number, row in tied.items() if row["status"] == "matched"]
    assert {number: families[number] for number in matched} == {
        number: tied[number]["invoice_amount"] for number in matched
    }
    assert len(matched) == 2


def test_a_line_is_charged_once_and_taxed_once(month: Month) -> None:
    focus = month.focus()
    keys = Counter(zip(focus["x_LineId"].to_pylist(), focus["ChargeCategory"].to_pylist(), strict=True))
    assert set(keys.values()) == {1}
    rounded = [row for row in focus.to_pylist() if row["ChargeCategory"] == "Adjustment"]
    assert max(abs(row["BilledCost"]) for row in rounded) < Decimal("0.02"), "usage is nearly what the lines charge"


def test_both_engines_give_the_same_rows(duckdb_month: Month, postgresql_month: Month) -> None:
    def rows(month: Month) -> pa.Table:
        ordered = month.focus().sort_by([("x_LineId", "ascending"), ("ChargeCategory", "ascending")])
        return ordered.drop_columns(["x_RunId"])

    one, other = rows(duckdb_month), rows(postgresql_month)
    for name in one.column_names:
        assert one[name].to_pylist() == other[name].to_pylist(), name


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here (CSP_BILLING_SAMPLES)")
@pytest.mark.parametrize(
    ("name", "period", "rows"),
    [
        ("daily_rated_usage_2025-11.csv.gz", "2025-11", {"Usage": 4770}),
        (
            "partner_center_api/get-invoice-unbilled-recon-lineitems.response2.json", "2021-05",
            {"Purchase": 3, "Usage": 1, "Tax": 1},
        ),
        ("partner_center_api/get-invoiceline-items.response5.json", "2021-05", {"Purchase": 2, "Tax": 1}),
    ],
)  # fmt: skip
def test_real_exports_follow_the_rules(name: str, period: str, rows: dict[str, int], tmp_path: Path) -> None:
    month = reconcile(tmp_path, SAMPLES / name, f"duckdb:///{tmp_path / 'warehouse.duckdb'}", period)
    focus = month.focus()
    assert violations(focus) == {}
    assert Counter(focus["ChargeCategory"].to_pylist()) == rows
    assert billed(focus) == invoiced(read_view(month.warehouse, OUT_LINES))


#: What is changed in the view, so that it is wrong, and what has to notice it.
BREAKS = [
    ("case entry when 'tax' then tax <> 0", "case entry when 'tax' then false", "sums"),
    ("else not has_detail end", "else true end", "sums"),
    ("when 'rounding' then rounding <> 0", "when 'rounding' then false", "sums"),
    ("and voided.status = 'voided'", "and voided.status = 'matched'", "sums"),
    ("when 'tax' then tax when 'rounding'", "when 'tax' then tax * 2 when 'rounding'", "sums"),
    ("when entry = 'tax' then 'Tax'", "when entry = 'tax' then 'Taxes'", "ChargeCategory allowed"),
    ("when is_credit then 'Credit'", "when is_credit then 'Usage'", "PricingCategory of usage and purchases"),
    ("+ interval '1 day'\n", "+ interval '0 day'\n", "ChargePeriodEnd exclusive"),
    ("period_start + interval '1 month') at", "period_start + interval '30 day' + interval '1 day') at",
     "BillingPeriod a month"),
    ("case when has_price then list_price end", "list_price", "ListUnitPrice null for tax"),
    ("when signed_quantity < 0 then -abs(erp_amount)", "when false then erp_amount", "ListCost-C-009"),
    ("when charges.cost < 0 then -abs(quantity)", "when false then quantity", "a refund is negative"),
    ("quotient(abs(erp_amount), abs(signed_quantity)) as", "abs(erp_unit_price) as", "ListCost-C-009"),
    ("case when has_price then own_unit end", "case when has_price then unit end", "PricingUnit unit format"),
    ("'Microsoft' as \"InvoiceIssuerName\"", "'Contoso' as \"InvoiceIssuerName\"", "BilledCost-C-005"),
    ("case when has_sku then sku_meter end", "sku_meter", "SkuMeter with SkuId"),
    ("coalesce(service_category, 'Other')", "'Other'", "ServiceSubcategory-C-004"),
    ("case when has_commitment then commitment_id end", "commitment_type",
     "CommitmentDiscountCategory with CommitmentDiscountId"),
    ("case when charge_category = 'Usage' then signed_quantity end", "signed_quantity", "ConsumedQuantity-C-004"),
    ("case when has_price then tags end", "'{\"a\": {}}'", "Tags flat object"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "noticed_by"), BREAKS, ids=[wrong for _, wrong, _ in BREAKS])
def test_a_wrong_view_is_noticed(right: str, wrong: str, noticed_by: str, duckdb_month: Month) -> None:
    assert noticed_by in {*RULES, *PRODUCTS, "sums"}
    sql = view_sql("out_focus")
    assert right in sql
    with duckdb.connect(str(duckdb_month.warehouse.path), read_only=True) as engine:
        engine.execute("set timezone = 'UTC'")
        focus = engine.sql(sql.replace(right, wrong)).to_arrow_table()
    found = set(violations(focus))
    if billed(focus) != invoiced(read_view(duckdb_month.warehouse, OUT_LINES)):
        found.add("sums")
    assert noticed_by in found
