"""Small tables for the tests of the reconciliation: a sound licence line, its price row and its invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from transforms.columns import Table
from transforms.conservation import added, sums_of_quarantine, sums_of_source
from transforms.line_identity import line_ids
from transforms.policy import Policy
from transforms.reconcile import PeriodRows, Reconciliation, reconcile
from transforms.tables import DAILY_USAGE, INVOICE_RECON, INVOICES, PRICE_LIST, QUARANTINE

OPEN_END = datetime(9999, 11, 30, 23, 59, 59, tzinfo=UTC)

LINE: dict[str, Any] = {
    "partner_id": "partner",
    "customer_id": "c1",
    "customer_name": "Contoso",
    "customer_country": "US",
    "invoice_number": "G1",
    "product_id": "CFQ7TTC0LH16",
    "sku_id": "0001",
    "sku_name": "Business Premium",
    "product_name": "Microsoft 365 Business Premium",
    "publisher_name": "Microsoft Corporation",
    "subscription_id": "s1",
    "charge_type": "cycleCharge",
    "unit_price": "17.60",
    "quantity": "10",
    "subtotal": "176.00",
    "tax_total": "0",
    "total": "176.00",
    "currency": "USD",
    "charge_start_date": date(2025, 11, 1),
    "charge_end_date": date(2025, 11, 30),
    "term_and_billing_cycle": "One-Year commitment for monthly/yearly billing",
    "effective_unit_price": "17.60",
    "billable_quantity": "10",
    "billing_frequency": "Monthly",
    "pricing_currency": "USD",
    "pc_to_bc_exchange_rate": "1",
    "subscription_start_date": date(2025, 9, 1),
    "subscription_end_date": date(2026, 8, 31),
}

PRICE: dict[str, Any] = {
    "product_id": "CFQ7TTC0LH16",
    "sku_id": "0001",
    "term_duration": "P1Y",
    "billing_plan": "Monthly",
    "market": "US",
    "currency": "USD",
    "unit_price": "211.20",
    "erp_price": "264.00",
    "segment": "Commercial",
    "effective_start_date": datetime(2025, 4, 1, tzinfo=UTC),
    "effective_end_date": OPEN_END,
}

INVOICE: dict[str, Any] = {
    "invoice_number": "G1",
    "invoice_date": datetime(2025, 12, 8, tzinfo=UTC),
    "billing_period_start_date": date(2025, 11, 1),
    "total_charges": "176.00",
    "currency_code": "USD",
    "document_type": "invoice",
    "invoice_type": "OneTime",
}

USAGE: dict[str, Any] = {
    "customer_id": "c1",
    "customer_name": "Contoso",
    "invoice_number": "G1",
    "product_id": "DZH318Z0BQJM",
    "sku_id": "0018",
    "subscription_id": "azure",
    "charge_start_date": date(2025, 11, 1),
    "charge_end_date": date(2025, 11, 30),
    "usage_date": date(2025, 11, 5),
    "meter_id": "m1",
    "charge_type": "Usage",
    "unit_price": "0.2",
    "quantity": "3.5",
    "billing_pre_tax_total": "0.595",
    "billing_currency": "USD",
    "effective_unit_price": "0.17",
}


def table_of(table: Table, base: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], file: str) -> pa.Table:
    """A table of `rows`, each over `base`; numbers may be texts; provenance is filled in."""
    records = []
    for place, row in enumerate(rows):
        provenance = {"period": "2025-11", "file_sha256": "f" * 64, "source_file": file, "source_row": place + 2}
        merged = {**provenance, **base, **row}
        records.append({name: _typed(table, name, merged.get(name)) for name in table.names})
    return pa.Table.from_pylist(records, pa.schema([pa.field(f.name, f.type) for f in table.schema]))


def _typed(table: Table, name: str, value: Any) -> Any:
    return Decimal(str(value)) if table[name].kind.is_decimal and value is not None else value


def recon_rows(*rows: Mapping[str, Any], file: str = "recon.csv") -> pa.Table:
    """Reconciliation lines with their identity."""
    table = table_of(INVOICE_RECON, LINE, rows, file)
    return INVOICE_RECON.conform(_identified(table, "invoice_recon"))


def usage_rows(*rows: Mapping[str, Any], file: str = "usage.csv.gz") -> pa.Table:
    """Usage lines with their identity."""
    return DAILY_USAGE.conform(_identified(table_of(DAILY_USAGE, USAGE, rows, file), "daily_usage"))


def price_rows(*rows: Mapping[str, Any], file: str = "prices.csv") -> pa.Table:
    """Price list rows."""
    return PRICE_LIST.conform(table_of(PRICE_LIST, PRICE, rows, file))


def invoice_rows(*rows: Mapping[str, Any], file: str = "invoices.json") -> pa.Table:
    """Invoice documents."""
    return INVOICES.conform(table_of(INVOICES, INVOICE, rows, file))


def rejected_rows(*rows: Mapping[str, Any], file: str = "recon.csv") -> pa.Table:
    """Rows in quarantine."""
    base = {"kind": "invoice_recon", "reason": "Subtotal `x` is not a number", "raw_text": "x"}
    return table_of(QUARANTINE, base, rows, file)


def month(
    recon: pa.Table | None = None,
    *,
    usage: pa.Table | None = None,
    invoices: pa.Table | None = None,
    prices: pa.Table | None = None,
    rejected: pa.Table | None = None,
    previous: pa.Table | None = None,
    policy: Policy | None = None,
    **more: Any,
) -> Reconciliation:
    """Reconcile a month that is sound unless told otherwise; `more` are other attributes of PeriodRows."""
    lines = recon_rows({}) if recon is None else recon
    total = sum((value for value in lines.column("total").to_pylist() if value is not None), Decimal(0))
    currency = lines.column("currency")[0].as_py()
    usage = usage_rows() if usage is None else usage
    rejected = rejected_rows() if rejected is None else rejected
    parts = [sums_of_source(lines, "invoice_recon"), sums_of_source(usage, "daily_usage"), sums_of_quarantine(rejected)]
    rows = PeriodRows(
        period="2025-11",
        recon=lines,
        usage=usage,
        invoices=invoice_rows({"total_charges": total, "currency_code": currency}) if invoices is None else invoices,
        price_lists=price_rows({}) if prices is None else prices,
        rejected=rejected,
        previous=recon_rows() if previous is None else previous,
        delivered=added(*parts),
        left_out={},
        **more,
    )
    return reconcile(rows, policy or Policy())


def codes(result: Reconciliation) -> list[str]:
    """The codes of the findings."""
    found: list[str] = result.findings.column("code").to_pylist()
    return found


def _identified(table: pa.Table, kind: str) -> pa.Table:
    place = table.column_names.index("line_id")
    return table.set_column(place, "line_id", line_ids(table, kind))


