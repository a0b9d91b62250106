"""The view sorts reconciliation lines into the same categories as the reconciliation itself."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from random import Random

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from tests.warehouse.rows import rows
from transforms.categories import categorise
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.usage_checks import billed_charges

TEXTS = {
    "publisher_name": (None, "Microsoft", " microsoft corporation ", "Skylark Data, Inc"),
    "product_id": (None, "CFQ7TTC0LH16", "cfq7ttc0lh16", "DZH318Z0BQ3Q", "dzh318z0bq3q", "XDZH318Z0"),
    "product_name": (None, "Reserved VM Instance", "Azure Reservation", "Compute Savings Plan", "Microsoft 365 E3"),
    "sku_name": (None, "VM reservation, 1 Year", "savings  plan", "E3"),
    "product_category": (None, "Azure plan", "azure reservation", "Online Services"),
    "term_and_billing_cycle": (
        None, "", "One-Year commitment for monthly/yearly billing", "Three-3 Years commitment for monthly billing",
        "1 Month commitment", "One-year term duration", "1 Cache Instance Hour", "ten-year commitment",
    ),
    "subscription_description": (None, "Azure plan", " AZURE PLAN", "Azure plan 2"),
    "meter_description": (None, "", "Storage - LRS Data Stored", "Compute\nsecond line"),
    "charge_type": (None, "new", "customerCredit", "CUSTOMERCREDIT "),
    "credit_reason_code": (None, "Azure Credit Offer", "Service Level Agreement Credit"),
}  # fmt: skip


def test_lines_have_the_category_of_the_reconciliation(warehouse: Warehouse) -> None:
    random = Random(12)
    combinations = [dict(zip(TEXTS, [random.choice(values) for values in TEXTS.values()], strict=True))
                    for _ in range(4000)]  # fmt: skip
    # Each pair of texts of the columns that decide most.
    for name, other in product(("product_id", "term_and_billing_cycle"), ("publisher_name", "meter_description")):
        combinations += [{name: one, other: two} for one, two in product(TEXTS[name], TEXTS[other])]
    same = {"period": "2026-03", "subtotal": Decimal(1), "currency": "EUR"}
    recon = rows(INVOICE_RECON, *({"line_id": str(number), "subscription_id": str(number), **same, **texts}
                                  for number, texts in enumerate(combinations)))  # fmt: skip
    with warehouse.begin() as connection:
        insert_arrow(connection, INVOICE_RECON, recon)
        fields = [("line_id", pa.string()), ("category", pa.string()), ("is_credit", pa.bool_()),
                  ("is_metered", pa.bool_())]  # fmt: skip
        columns: list[sa.ColumnClause[object]] = [sa.column(name) for name, _ in fields]
        told = read_arrow(connection, sa.select(*columns).select_from(sa.table("focus_recon")), pa.schema(fields))
    found = {row["line_id"]: row for row in told.to_pylist()}
    categories = categorise(recon)
    metered = set(billed_charges(recon, categories)["subscription_id"].to_pylist())
    for number, texts in enumerate(combinations):
        row = found[str(number)]
        assert (row["category"] == "licence") == categories.licence[number], texts
        assert (row["category"] == "azure_plan") == categories.azure_plan[number], texts
        assert row["is_credit"] == categories.credit[number], texts
        assert row["is_metered"] == (str(number) in metered), texts
    assert len({(row["category"], row["is_credit"], row["is_metered"]) for row in found.values()}) == 9
