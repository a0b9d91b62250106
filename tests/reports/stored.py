"""Runs in a warehouse, made up line by line, for tests of reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from typing import Any

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from tests.warehouse.rows import NOON, rows
from transforms.columns import Table
from transforms.policy import SEVERITIES
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUNS
from transforms.tables.sources import INVOICES

Row = dict[str, Any]

#: Currencies of no, two and three decimals, and none at all.
CURRENCIES = ("JPY", "USD", "EUR", "KWD", None)
STATES = ("matched", "tax_only", "mismatch", "invoice_not_found", "without_lines", "voided")


def insert(warehouse: Warehouse, table: Table, given: Iterable[Row]) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, table, rows(table, *given))


def amount(random: Random, decimals: int = 18) -> Decimal:
    """Any amount a line can have, mostly of a few decimals."""
    places = random.choice((0, 2, 2, 2, 3, decimals))
    return Decimal(random.randint(-(10 ** (5 + places)), 10 ** (6 + places))).scaleb(-places)


def make_run(run_id: str, period: str, hour: int, **more: Any) -> Row:
    return {"run_id": run_id, "period": period, "status": "reconciled", "started_at": NOON + dt.timedelta(hours=hour),
            "policy": "{}", "content_digest": "d", "loaded_digest": None, **more}  # fmt: skip


def make_lines(random: Random, run: Row, count: int) -> list[Row]:
    """Lines of a few customers and invoices; each currency of a customer has its own."""
    made = []
    for number in range(count):
        customer = random.randint(1, 5)
        currency = random.choice(CURRENCIES)
        cost, erp = amount(random), random.choice((None, amount(random)))
        made.append({
            "run_id": run["run_id"], "period": run["period"], "line_id": f"line-{number}",
            "source": random.choice(("invoice_recon", "invoice_recon", "daily_usage")),
            "invoice_number": random.choice((f"G{currency}1", f"G{currency}2", f"G{currency}N", None)),
            "customer_id": f"customer-{customer}", "customer_name": f"Customer {customer}{random.choice('ab')}",
            "subtotal_amount": cost, "tax_amount": (tax := amount(random, 2)), "total_amount": cost + tax,
            "currency": currency, "erp_amount": erp, "margin_amount": None if erp is None else erp - cost,
            "charge_start_on": dt.date(2026, 3, random.randint(1, 28)), "charge_end_on": None,
            "quantity": Decimal(random.randint(1, 50)), "source_file": "lines.csv", "source_row": number + 2,
        })  # fmt: skip
    return made


def make_findings(random: Random, run: Row, lines: list[Row], count: int) -> list[Row]:
    """Findings of all codes, about lines and, where the code says so, about invoices."""
    made = []
    for number in range(count):
        line = random.choice(lines)
        code = sorted(SEVERITIES)[number % len(SEVERITIES)]
        own = {name: line[name] for name in ("line_id", "customer_id", "customer_name", "source_file", "source_row")}
        expected, actual = amount(random, 2), amount(random, 2)
        made.append({
            "run_id": run["run_id"], "period": run["period"], "code": code,
            "severity": random.choice(("block", "warn", "info")), "invoice_number": line["invoice_number"],
            **({} if code.startswith("INVOICE_") else own), "currency": line["currency"],
            "expected_amount": expected, "actual_amount": actual, "difference_amount": actual - expected,
            "message": f"Finding {number} of {code}.",
        })  # fmt: skip
    return made


def make_documents(period: str) -> tuple[list[Row], list[Row]]:
    """Invoice documents and tie-out rows: for each currency one with a credit note (GxN) and one that is void."""
    documents: list[Row] = []
    for currency in CURRENCIES:
        for number, more in (("1", {}), ("N", {"document_type": "adjustment_note", "amends_of": f"G{currency}1"}),
                             ("2", {"document_type": "void_note"})):  # fmt: skip
            documents.append({"period": period, "invoice_number": f"G{currency}{number}", "invoice_date": NOON,
                              "currency_code": currency or "", **more})  # fmt: skip
    return documents, [{"period": period, "invoice_number": f"G{currency}{number}", "currency": currency,
                        "status": "voided" if number == "2" else "mismatch"}
                       for currency in CURRENCIES for number in "12"]  # fmt: skip


def store(warehouse: Warehouse, run: Row, lines: list[Row], findings: list[Row], tieout: list[Row]) -> None:
    """Write a run; the tie-out's amounts are what its lines add up to, and an invoice of ten more."""
    counted = {"line_count": len(lines), "blocking_count": sum(one["severity"] == "block" for one in findings)}
    insert(warehouse, RUNS, [{**counted, **run}])
    insert(warehouse, LINES, lines)
    insert(warehouse, FINDINGS, findings)
    rows_of_tieout = []
    for row in tieout:
        numbers = {row["invoice_number"]}
        if row["status"] != "voided":
            numbers.add(f"{row['invoice_number'][:-1]}N")
        own = [line for line in lines if line["invoice_number"] in numbers and line["source"] == "invoice_recon"]
        total = sum((line["total_amount"] for line in own), Decimal(0))
        rows_of_tieout.append({"run_id": run["run_id"], **row, "lines_amount": total, "invoice_amount": total + 10,
                               "difference_amount": Decimal(-10)})  # fmt: skip
    insert(warehouse, INVOICE_TIEOUT, rows_of_tieout)


def store_documents(warehouse: Warehouse, documents: list[Row]) -> None:
    insert(warehouse, INVOICES, documents)
