"""Small exports written to disk, in any of the shapes that partners have them in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.exports.delivery import SourceFile, open_delivery
from connectors.exports.identify import Identity
from connectors.exports.reader import export_schema, read_whole, rejected_schema
from transforms.tables import EXPORT_TABLES

RECON_HEADER = [
    "PartnerId", "CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "InvoiceNumber",
    "MpnId", "Tier2MpnId", "OrderId", "OrderDate", "ProductId", "SkuId", "AvailabilityId", "SkuName",
    "ProductName", "ChargeType", "UnitPrice", "Quantity", "Subtotal", "TaxTotal", "Total", "Currency",
    "PriceAdjustmentDescription", "PublisherName", "PublisherId", "SubscriptionDescription", "SubscriptionId",
    "ChargeStartDate", "ChargeEndDate", "TermAndBillingCycle", "EffectiveUnitPrice", "UnitType", "AlternateId",
    "BillableQuantity", "BillingFrequency", "PricingCurrency", "PCToBCExchangeRate", "PCToBCExchangeRateDate",
    "MeterDescription", "ReservationOrderId", "CreditReasonCode", "SubscriptionStartDate",
    "SubscriptionEndDate", "ReferenceId", "ProductQualifiers", "PromotionId", "ProductCategory",
]  # fmt: skip

RECON_LINE = {
    "PartnerId": "p1",
    "CustomerId": "c1",
    "CustomerName": "Contoso",
    "InvoiceNumber": "G000000001",
    "OrderId": "old1, new1",
    "OrderDate": "2025-10-01T18:30:06.6045692Z",
    "ProductId": "CFQ7TTC0LH16",
    "SkuId": "0001",
    "ChargeType": "cycleCharge",
    "UnitPrice": "17.60",
    "Quantity": "10",
    "Subtotal": "176.00",
    "TaxTotal": "0",
    "Total": "176.00",
    "Currency": "USD",
    "PriceAdjustmentDescription": '["15.0% Partner earned credit for services managed"]',
    "SubscriptionId": "s1",
    "ChargeStartDate": "11/1/2025",
    "ChargeEndDate": "11/30/2025",
    "TermAndBillingCycle": "One-Year commitment for monthly/yearly billing",
    "EffectiveUnitPrice": "17.60",
    "BillableQuantity": "10",
    "PricingCurrency": "USD",
    "PCToBCExchangeRate": "1",
}

USAGE_LINE = {
    "CustomerId": "c1",
    "InvoiceNumber": "G000000001",
    "ProductId": "DZH318Z0BQJM",
    "SkuId": "18",
    "SubscriptionId": "s1",
    "ChargeStartDate": "11/01/2025",
    "UsageDate": "11/02/2025",
    "UnitPrice": "0.2",
    "Quantity": "0.000006",
    "BillingPreTaxTotal": "0.00E+00",
    "BillingCurrency": "USD",
}

PRICE_ROW = {
    "ProductTitle": "Microsoft 365 Business Premium",
    "ProductId": "CFQ7TTC0LH16",
    "SkuId": "1",
    "Market": "US",
    "Currency": "USD",
    "UnitPrice": "211.20",
    "EffectiveStartDate": "2025-04-01T00:00:00.0000000Z",
    "EffectiveEndDate": "9999-11-30T23:59:59.0000000Z",
    "ERP Price": "264",
}

INVOICE = {
    "id": "G000000001",
    "invoiceDate": "2025-12-05T01:22:47.603895Z",
    "totalCharges": 176,
    "currencyCode": "USD",
    "documentType": "invoice",
}

Row = dict[str, str]


def line(**values: str) -> Row:
    """A sound reconciliation line with other values in it."""
    return {**RECON_LINE, **values}


def csv_text(
    rows: Sequence[Row], header: Sequence[str] = RECON_HEADER, *, delimiter: str = ",", newline: str = "\r\n",
    quoting: Any = csv.QUOTE_MINIMAL,
) -> str:  # fmt: skip
    """Rows as delimited text below their header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow(header)
    writer.writerows([row.get(name, "") for name in header] for row in rows)
    return out.getvalue()


def json_lines(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP archive of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@dataclass(frozen=True)
class Delivery:
    """A folder of exports with all its rows: by kind as `export_schema`, and those that could not be read."""

    files: list[SourceFile]
    tables: dict[str, pa.Table]
    rejected: pa.Table
    skipped: list[Identity]


def read_delivery(location: Path) -> Delivery:
    """Read every export in a folder, or a single file, as a whole."""
    delivery = open_delivery(location)
    tables = {kind: [export_schema(kind).empty_table()] for kind in EXPORT_TABLES}
    files, rejected = [], [rejected_schema().empty_table()]
    for export in delivery.exports:
        reader = export.reader()
        rows, refused = read_whole(reader)
        files.append(export.file(reader))
        tables[export.kind].append(rows)
        rejected.append(refused)
    joined = {kind: pa.concat_tables(parts) for kind, parts in tables.items()}
    return Delivery(files, joined, pa.concat_tables(rejected), delivery.skipped)


def read(folder: Path, data: bytes | str, name: str = "export") -> Delivery:
    """Write one file, whose name says nothing, and read it."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_delivery(path)


def recon_rows(delivery: Delivery) -> list[dict[str, Any]]:
    """The reconciliation lines that were read."""
    rows: list[dict[str, Any]] = delivery.tables["invoice_recon"].to_pylist()
    return rows


def gzipped(*members: str | bytes) -> bytes:
    """A gzip file with one member after the other."""
    return b"".join(gzip.compress(m.encode() if isinstance(m, str) else m) for m in members)
