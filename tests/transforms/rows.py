"""Small tables for the tests of the reconciliation: a sound licence line, its price row and its invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import categorise
from transforms.columns import Table
from transforms.digests import TableDigest, combined_digest, identities
from transforms.documents import voided_invoices, without_voided
from transforms.judging import PROVENANCE, Judge
from transforms.line_identity import charge_keys, number_occurrences
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.pricing import Pricer
from transforms.reconcile import conclude, renumbered
from transforms.standing import PREVIOUS, seat_records
from transforms.tables import DAILY_USAGE, INVOICE_RECON, INVOICES, LINES, PRICE_LIST, QUARANTINE
from transforms.tally import Total

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
    return INVOICE_RECON.conform(identified(table, "invoice_recon"))


def usage_rows(*rows: Mapping[str, Any], file: str = "usage.csv.gz") -> pa.Table:
    """Usage lines with their identity."""
    return DAILY_USAGE.conform(identified(table_of(DAILY_USAGE, USAGE, rows, file), "daily_usage"))


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
    """Reconcile a month that is sound unless told otherwise; `more` goes to `reconcile`."""
    lines = recon_rows({}) if recon is None else recon
    total = sum((value for value in lines.column("total").to_pylist() if value is not None), Decimal(0))
    currency = lines.column("currency")[0].as_py()
    usage = usage_rows() if usage is None else usage
    documents = invoice_rows({"total_charges": total, "currency_code": currency}) if invoices is None else invoices
    return reconcile(
        lines,
        usage,
        documents,
        price_rows({}) if prices is None else prices,
        rejected_rows() if rejected is None else rejected,
        recon_rows() if previous is None else previous,
        policy or Policy(),
        **more,
    )


@dataclass(frozen=True)
class Reconciliation:
    """What was concluded of a month."""

    lines: pa.Table
    findings: pa.Table
    tieout: pa.Table

    @property
    def blocking(self) -> int:
        """Findings of severity block."""
        severities: list[str] = self.findings.column("severity").to_pylist()
        return severities.count("block")

    @property
    def content_digest(self) -> str:
        """Digest of what was concluded, wherever it was delivered."""
        lines, findings = TableDigest(), TableDigest()
        lines.add(self.lines.drop_columns(list(PROVENANCE)))
        findings.add(self.findings.drop_columns(["source_file", "source_row", "message"]))
        return combined_digest(lines.hexdigest(), findings.hexdigest())


def reconcile(
    recon: pa.Table,
    usage: pa.Table,
    invoices: pa.Table,
    prices: pa.Table,
    rejected: pa.Table,
    previous: pa.Table,
    policy: Policy,
    *,
    delivered_lists: frozenset[str] = frozenset(),
    mapped_customers: frozenset[str] = frozenset(),
    rows_a_part: int = 1_000_000,
) -> Reconciliation:
    """Judge the lines of November 2025 part by part and conclude, in memory."""
    period = "2025-11"
    stored = {"invoice_recon": recon, "daily_usage": usage, "previous": previous}
    places = _places(recon, usage)
    judge = Judge(period, policy, invoices, Pricer(PriceLists(prices, period, delivered_lists), policy))
    total, judged = Total(), []
    for kind in ("invoice_recon", "daily_usage"):
        for place, (sha, name) in enumerate(places):
            rows = stored[kind].filter(pc.and_(pc.equal(stored[kind].column("file_sha256"), sha),
                                               pc.equal(stored[kind].column("source_file"), name)))  # fmt: skip
            for first in range(0, rows.num_rows, rows_a_part):
                part = rows.slice(first, rows_a_part).combine_chunks().drop_columns(["line_id", "period"])
                done = judge.judge(part, kind, place)
                total.add(done.tally)
                judged.append(done)
    voided = voided_invoices(invoices)
    before = without_voided(previous, voided)
    earlier = _places(before)
    files = [earlier.index(pair) for pair in _pairs(before)]
    total.seats.add(seat_records(before, categorise(before), np.array(files, dtype=np.uint32) + np.uint32(PREVIOUS)))

    def fetch(kind: str, wanted: pa.Table) -> pa.Table:
        names = wanted.column_names
        asked = {tuple(value or "" for value in row.values()) for row in wanted.to_pylist()}
        own = [tuple(value or "" for value in row.values()) in asked for row in stored[kind].select(names).to_pylist()]
        return stored[kind].filter(pa.array(own, pa.bool_()))

    conclusion = conclude(
        total, period=period, policy=policy, invoices=invoices, rejected=rejected, files=places,
        previous_files=earlier, mapped_customers=mapped_customers, fetch=fetch,
    )  # fmt: skip
    lines = [LINES.conform(done.lines.append_column("run_id", pa.repeat("r", done.lines.num_rows)).append_column(
        "period", pa.repeat(period, done.lines.num_rows))) for done in judged]  # fmt: skip
    findings = pa.concat_tables([conclusion.findings, *(done.findings for done in judged)])
    kinds = ["invoice_recon" if place in _places(recon) else "daily_usage" for place in places]
    changed = {
        (row["source_file"], row["source_row"]): row["line_id"]
        for numbered in renumbered(total, kinds, places, fetch) for row in numbered.lines.to_pylist()
    }  # fmt: skip
    order = [(name, "ascending") for name in ("code", "invoice_number", "line_id", "message")]
    return Reconciliation(
        _renumbered(pa.concat_tables([LINES.schema.empty_table(), *lines]), changed).drop_columns(["run_id", "period"]),
        _renumbered(findings, changed).sort_by(order),
        conclusion.tieout,
    )


def _renumbered(rows: pa.Table, changed: Mapping[tuple[str, int], str]) -> pa.Table:
    """Lines or findings with the identities that lines got after they were judged."""
    ids = [
        changed.get((row["source_file"], row["source_row"]), row["line_id"]) if row["line_id"] else None
        for row in rows.select(["source_file", "source_row", "line_id"]).to_pylist()
    ]
    place = rows.column_names.index("line_id")
    return rows.set_column(place, rows.schema.field("line_id"), pa.array(ids, pa.string()))


def _pairs(*tables: pa.Table) -> list[tuple[str, str]]:
    return [
        (row["file_sha256"], row["source_file"])
        for table in tables
        for row in table.select(["file_sha256", "source_file"]).to_pylist()
    ]


def _places(*tables: pa.Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_pairs(*tables)))


def codes(result: Reconciliation) -> list[str]:
    """The codes of the findings."""
    found: list[str] = result.findings.column("code").to_pylist()
    return found


def identified(table: pa.Table, kind: str) -> pa.Table:
    """Rows with their identity, each its own."""
    numbered = number_occurrences(table, kind)
    ids = identities(*charge_keys(table, kind)).to_pylist()
    rows = {(row["source_file"], row["source_row"]): place for place, row in enumerate(
        table.select(["source_file", "source_row"]).to_pylist())}  # fmt: skip
    for row in numbered.to_pylist():
        ids[rows[row["source_file"], row["source_row"]]] = row["line_id"]
    place = table.column_names.index("line_id")
    return table.set_column(place, "line_id", pa.array(ids, pa.string()))


