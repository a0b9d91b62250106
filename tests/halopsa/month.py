"""A small month as Arrow tables: two invoices, a voided one, lines with a true duplicate, usage, and prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.halopsa.plan import LoadPlan
from transforms.columns import Table
from transforms.tables import DAILY_USAGE, INVOICE_RECON, INVOICES, PRICE_LIST

PERIOD = "2025-11"
Row = dict[str, Any]

_SOURCE = {"file_sha256": "f" * 64, "source_file": "export.csv", "period": PERIOD}


def recon_line(number: int, invoice: str = "G1", **changes: Any) -> Row:
    """One reconciliation line; its amounts follow from its number."""
    amount = Decimal(number) + Decimal("0.25")
    return {
        **_SOURCE,
        "source_row": number + 1,
        "line_id": f"line-{number}",
        "customer_id": f"customer-{number % 3}",
        "customer_name": "Contoso, Ltd.",
        "invoice_number": invoice,
        "product_id": "CFQ7TTC0LF8Q",
        "sku_id": "0001",
        "subscription_id": f"subscription-{number}",
        "order_date": datetime(2025, 10, 3, 9, 30, tzinfo=UTC),
        "charge_type": "cycleCharge",
        "charge_start_date": date(2025, 11, 1),
        "charge_end_date": date(2025, 11, 30),
        "unit_price": amount,
        "effective_unit_price": amount,
        "billable_quantity": Decimal(1),
        "subtotal": amount,
        "tax_total": Decimal(0),
        "total": amount,
        "currency": "USD",
        "term_and_billing_cycle": "1-Year commitment for monthly billing",
        **changes,
    }


def usage_line(number: int, invoice: str = "G1", **changes: Any) -> Row:
    """One usage line, with amounts finer than HaloPSA keeps."""
    return {
        **_SOURCE,
        "source_row": number + 1,
        "line_id": f"usage-{number}",
        "customer_id": "customer-1",
        "invoice_number": invoice,
        "product_id": "DZH318Z0BPS6",
        "sku_id": "0001",
        "subscription_id": "azure",
        "charge_start_date": date(2025, 11, 1),
        "charge_end_date": date(2025, 11, 30),
        "usage_date": date(2025, 11, number),
        "unit_price": Decimal("0.0123"),
        "quantity": Decimal("7.000000000000001"),
        "billing_pre_tax_total": Decimal("0.086100000000000123"),
        "billing_currency": "USD",
        "effective_unit_price": Decimal("0.0123000000000000000001"),
        "tags": '{"note": "' + "x" * 600 + '"}',
        **changes,
    }


def invoice(number: str, total: str, **changes: Any) -> Row:
    """One invoice document."""
    return {
        **_SOURCE,
        "source_row": 1,
        "invoice_number": number,
        "invoice_date": datetime(2025, 12, 5, tzinfo=UTC),
        "total_charges": Decimal(total),
        "currency_code": "USD",
        "currency_symbol": "$",
        "document_type": "invoice",
        "tax_receipts": '[{"id": "r1", "taxReceiptPdfDownloadLink": "/r1.pdf"}]',
        **changes,
    }


def price(product: str, unit_price: str, **changes: Any) -> Row:
    """One row of the price list."""
    return {
        **_SOURCE,
        "source_row": 2,
        "product_id": product,
        "sku_id": "0001",
        "term_duration": "P1Y",
        "billing_plan": "Monthly",
        "market": "US",
        "currency": "USD",
        "segment": "Commercial",
        "unit_price": Decimal(unit_price),
        "erp_price": Decimal("144.00"),
        "effective_start_date": datetime(2025, 4, 1, tzinfo=UTC),
        "effective_end_date": datetime(9999, 11, 30, 23, 59, 59, tzinfo=UTC),
        **changes,
    }


def table(declared: Table, rows: list[Row]) -> pa.Table:
    """Rows as an Arrow table of the declared columns."""
    full = [{name: row.get(name) for name in declared.names} for row in rows]
    return pa.Table.from_pylist(full, schema=declared.schema)


RECON = [
    *(recon_line(number) for number in range(1, 6)),
    # The same charge twice: true duplicates exist, and both are owed.
    recon_line(6),
    {**recon_line(6), "line_id": "line-7", "source_row": 8},
    recon_line(8, "G2", billable_quantity=None, quantity=Decimal(2), total=Decimal("-3.5"), subtotal=Decimal("-3.5")),
    recon_line(9, "GVOID"),
]
USAGE = [usage_line(1), usage_line(2)]
DOCUMENTS = [
    invoice("G1", "29.92"),
    invoice("G2", "-3.50", document_type="adjustment_note"),
    invoice("GVOID", "9.25", document_type="void_note"),
]
PRICES = [price("CFQ7TTC0LF8Q", "120.00"), price("CFQ7TTC0OTHER", "1.00")]


def plan(
    recon: list[Row] = RECON,
    usage: list[Row] = USAGE,
    documents: list[Row] = DOCUMENTS,
    prices: list[Row] = PRICES,
    run_id: str = "run-1",
) -> LoadPlan:
    """The month as a plan."""
    return LoadPlan(
        run_id,
        PERIOD,
        table(PRICE_LIST, prices),
        table(INVOICES, documents),
        table(INVOICE_RECON, recon),
        table(DAILY_USAGE, usage),
    )


def with_line(changed: LoadPlan, line_id: str, **changes: Any) -> LoadPlan:
    """The plan with other values in one reconciliation line."""
    rows = [{**row, **changes} if row["line_id"] == line_id else row for row in changed.recon_lines.to_pylist()]
    return replace(changed, recon_lines=table(INVOICE_RECON, rows))
