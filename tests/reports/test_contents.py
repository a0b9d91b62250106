"""What reports show of a run is what the warehouse has of it, on both engines, also when it is no longer the latest."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.reports import contents as module
from connectors.reports.contents import ReportContents, open_lines, read_contents
from connectors.reports.headline import headline
from connectors.warehouse.approvals import record_decision
from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.engine import Warehouse
from tests.reports.stored import (
    Row,
    insert,
    make_documents,
    make_findings,
    make_lines,
    make_run,
    store,
    store_documents,
)
from tests.warehouse.rows import NOON
from transforms.columns import Table
from transforms.errors import InputError
from transforms.tables.approvals import WAIVERS
from transforms.tables.loading import HALO_POSTINGS
from transforms.tables.results import LINES
from transforms.tables.sources import PRICE_LIST
from transforms.tables.views import OUT_CUSTOMER_MARGIN, OUT_LINES, OUT_PERIOD_CHANGES


def view(warehouse: Warehouse, table: Table, *without: str, where: str = "") -> list[Row]:
    """Rows of a view in any order, some columns left out."""
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in table.names]
    statement = sa.select(*columns).select_from(sa.table(table.name))
    with warehouse.read() as connection:
        found: pa.Table = read_arrow(connection, statement.where(sa.text(where or "1 = 1")), table.schema)
    return in_order(found.drop_columns(list(without)).to_pylist())


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def summed(rows: list[Row], keys: tuple[str, ...], *names: str) -> dict[tuple[Any, ...], list[Decimal]]:
    sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(names))
    for row in rows:
        key = tuple(row[name] for name in keys)
        sums[key] = [total + (row[name] or 0) for total, name in zip(sums[key], names, strict=True)]
    return dict(sums)


def lines_of(warehouse: Warehouse, run_id: str, source: str, *, found: bool = False) -> list[Row]:
    with open_lines(warehouse, run_id, source, found=found) as lines:
        rows = [row for batch in lines.batches for row in batch.to_pylist()]
    assert len(rows) == lines.count
    return rows


def test_every_run_is_shown_as_the_views_showed_it_when_it_was_the_latest(warehouse: Warehouse) -> None:
    random = Random(6)
    documents, tieout = make_documents("2026-03")
    store_documents(warehouse, documents)
    shown = []
    for hour, run_id in enumerate(("first", "second", "third")):
        run = make_run(run_id, "2026-03", hour)
        lines = make_lines(random, run, 80)
        findings = make_findings(random, run, lines, 40)
        store(warehouse, run, lines, findings, tieout)
        margins = view(warehouse, OUT_CUSTOMER_MARGIN, "period")
        changes = view(warehouse, OUT_PERIOD_CHANGES, "period", "run_id", "previous_run_id")
        shown.append((run_id, lines, findings, margins, changes, view(warehouse, OUT_LINES, "period", "run_id")))
    insert(warehouse, LINES, make_lines(random, make_run("scoped", "2026-03", 9), 3))
    store(warehouse, make_run("failed", "2026-03", 8, status="failed"), [], [], [])
    previous = None
    for run_id, lines, findings, margins, changes, out_lines in shown:
        contents = read_contents(warehouse, run_id)
        assert (contents.is_latest, contents.previous_run_id) == (run_id == "third", previous)
        assert in_order(contents.margins.to_pylist()) == margins
        assert in_order(contents.changes.to_pylist()) == changes
        assert sum(contents.change_counts.values()) == len(changes)
        read = [lines_of(warehouse, run_id, source) for source in ("invoice_recon", "daily_usage")]
        assert in_order([*read[0], *read[1]]) == out_lines
        check_sums(contents, lines, findings)
        previous = run_id
    named = {finding.get("line_id") for finding in shown[0][2]}
    with_findings = [one for one in lines_of(warehouse, "first", "invoice_recon") if one["line_id"] in named]
    assert lines_of(warehouse, "first", "invoice_recon", found=True) == with_findings != []
    with pytest.raises(InputError):
        read_contents(warehouse, "nothing")


def check_sums(contents: ReportContents, lines: list[Row], findings: list[Row]) -> None:
    """The sums are those that Python makes of the lines."""
    amounts = ("subtotal_amount", "tax_amount", "total_amount")
    assert summed(contents.totals.to_pylist(), ("source", "currency"), *amounts, "line_count") == summed(
        [{**line, "line_count": 1} for line in lines], ("source", "currency"), *amounts, "line_count"
    )
    void = {row["invoice_number"] for row in contents.tieout.to_pylist() if row["status"] == "voided"}
    assert sum(row["line_count"] for row in contents.totals.to_pylist() if row["is_voided"]) == sum(
        line["invoice_number"] in void for line in lines
    )
    for row in contents.tieout.to_pylist():
        own = {row["invoice_number"], *({f"{row['invoice_number'][:-1]}N"} if row["status"] != "voided" else ())}
        of_invoice = [line for line in lines if line["invoice_number"] in own and line["source"] == "invoice_recon"]
        assert row["line_count"] == len(of_invoice)
        assert row["charge_amount"] + row["credit_amount"] == row["subtotal_amount"]
        assert row["subtotal_amount"] + row["tax_amount"] == row["lines_amount"]
        assert row["credit_amount"] == sum(min(line["subtotal_amount"], Decimal(0)) for line in of_invoice)
        assert row["invoice_date"] == NOON.date()
    assert contents.finding_count == len(findings) == contents.findings.num_rows
    assert contents.findings["severity"].to_pylist() == sorted(contents.findings["severity"].to_pylist(),
                                                               key=["block", "warn", "info"].index)  # fmt: skip
    leaks = summed(contents.findings.to_pylist(), ("code", "severity", "customer_id", "leak_currency"), "leak_amount")
    assert {key: value for key, value in leaks.items() if value[0]} == summed(
        contents.leaks.to_pylist(), ("code", "severity", "customer_id", "leak_currency"), "leak_amount"
    )
    standing = [line for line in lines if line["source"] == "invoice_recon" and line["invoice_number"] not in void]
    trend = [row for row in contents.trend.to_pylist() if row["period"] == contents.period]
    assert summed(trend, ("currency",), "subtotal_amount", "total_amount") == summed(
        standing, ("currency",), "subtotal_amount", "total_amount"
    )
    with_erp = [row for row in trend if row["erp_amount"] is not None]
    assert summed(with_erp, ("currency",), "cost_amount", "erp_amount", "margin_amount") == summed(
        contents.margins.to_pylist(), ("currency",), "cost_amount", "erp_amount", "margin_amount"
    )
    assert sum(row["line_count"] for row in contents.loading.to_pylist()) == len(lines)


def test_a_leak_is_what_somebody_loses(warehouse: Warehouse) -> None:
    run = make_run("r", "2026-03", 0)
    line = {"run_id": "r", "period": "2026-03", "source": "invoice_recon", "currency": "JPY"}
    lines: list[Row] = [
        {**line, "line_id": "dear", "margin_amount": Decimal(-7), "total_amount": Decimal(1)},
        {**line, "line_id": "cheap", "margin_amount": Decimal(7), "total_amount": Decimal(1)},
    ]

    def finding(code: str, difference: int | None, severity: str = "block", **more: Any) -> Row:
        return {"run_id": "r", "period": "2026-03", "code": code, "severity": severity, "currency": "USD",
                "difference_amount": None if difference is None else Decimal(difference), **more}  # fmt: skip

    store(warehouse, run, lines, [
        finding("ABOVE_ERP", 3, line_id="dear"), finding("ABOVE_ERP", 3, line_id="cheap"),
        finding("UNIT_PRICE_MISMATCH", 3, line_id="dear"), finding("QUANTITY_CHANGED", 3), finding("TOTAL_MISMATCH", 3),
        finding("TOTAL_MISMATCH", -3), finding("INVOICE_TOTAL_MISMATCH", -4), finding("INVOICE_TOTAL_MISMATCH", 5),
        finding("INVOICE_TOTAL_MISMATCH", -6, "info"), finding("PEC_MISSING", 2, "warn"), finding("ROW_REJECTED", None),
    ], [])  # fmt: skip
    contents = read_contents(warehouse, "r")
    assert [(leak.code, leak.currency, int(leak.amount), leak.findings) for leak in headline(contents).leaks] == [
        ("ABOVE_ERP", "JPY", 7, 1), ("INVOICE_TOTAL_MISMATCH", "USD", 4, 1), ("TOTAL_MISMATCH", "USD", 3, 1),
        ("PEC_MISSING", "USD", 2, 1),
    ]  # fmt: skip


def test_a_month_is_right_when_nothing_blocks_that_nobody_accepted(warehouse: Warehouse) -> None:
    run = make_run("r", "2026-03", 0)
    blocks = [{"run_id": "r", "period": "2026-03", "code": code, "severity": "block", "message": code,
               "finding_id": f"id of {code}"} for code in ("ABOVE_ERP", "TOTAL_MISMATCH")]  # fmt: skip
    store(warehouse, run, [], blocks, [{"period": "2026-03", "invoice_number": "G1", "status": "mismatch"}])

    def said() -> tuple[bool, str]:
        told = headline(read_contents(warehouse, "r"))
        return told.is_right, told.title

    def decide(decision: str, hour: int) -> None:
        with warehouse.begin() as connection:
            record_decision(connection, run, decision, by="Ada", note=None, blocking=2, recorded_by="test",
                            at=NOON + dt.timedelta(hours=hour))  # fmt: skip

    def waive(number: int) -> None:
        insert(warehouse, WAIVERS, [
            {"waiver_id": f"{number} {days}", "action": "granted", "decided_by": f"{days} days", "period": "2026-03",
             "finding_id": blocks[number]["finding_id"], "valid_until": dt.date.today() + dt.timedelta(days=days)}
            for days in (-2, 3, 30)
        ])  # fmt: skip

    assert said() == (False, "2026-03 is not right yet: 2 findings block and 1 invoice does not tie out.")
    waive(0)
    contents = read_contents(warehouse, "r")
    assert (contents.blocking, contents.open_blocking) == ((1, 1), 1)
    waived = {row["code"]: row["waived_by"] for row in contents.findings.to_pylist()}
    assert waived == {"ABOVE_ERP": "30 days", "TOTAL_MISMATCH": None}
    decide("approved", 1)
    assert said() == (True, "2026-03 is accepted: Ada approved it on 2026-04-02.")
    decide("rejected", 2)
    assert said() == (False, "2026-03 is rejected: Ada did so on 2026-04-02.")
    decide("approved", 3)
    waive(1)
    assert said() == (True, "Nothing blocks 2026-03: 2 findings are waived.")


def test_the_trend_has_each_period_once_and_the_run_for_its_own(warehouse: Warehouse) -> None:
    def charged(run_id: str, period: str, cost: int, hour: int, **more: Any) -> None:
        run = make_run(run_id, period, hour, **more)
        line: Row = {"run_id": run_id, "period": period, "line_id": "x", "source": "invoice_recon", "currency": "EUR"}
        line |= {"subtotal_amount": Decimal(cost), "total_amount": Decimal(cost), "erp_amount": Decimal(2 * cost)}
        store(warehouse, run, [line], [], [])

    charged("old", "2024-02", 1, 0)
    charged("edge", "2024-04", 2, 1)
    charged("february", "2026-02", 3, 2)
    charged("early", "2026-03", 4, 3)
    charged("late", "2026-03", 5, 4)
    charged("part", "2026-03", 6, 5, scope="{}")
    charged("april", "2026-04", 7, 6)
    shown = {run: read_contents(warehouse, run) for run in ("early", "late", "part")}
    for run, own in (("early", 4), ("late", 5), ("part", 5)):
        found = [(row["period"], row["subtotal_amount"], row["margin_pct"]) for row in shown[run].trend.to_pylist()]
        assert found == [("2024-04", 2, 50), ("2026-02", 3, 50), ("2026-03", own, 50)], run
    assert shown["early"].trend_runs["run_id"].to_pylist() == ["edge", "february", "early"]
    assert [headline(shown[run]).notes != () for run in shown] == [True, False, True]
    assert (shown["part"].previous_run_id, shown["late"].previous_run_id) == (None, "early")


def test_prices_that_changed_are_those_that_lines_are_priced_by(warehouse: Warehouse) -> None:
    before, now = dt.datetime(2026, 2, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)

    def price(row: int, product: str, start: dt.datetime, unit: int, **more: Any) -> Row:
        return {"file_sha256": "f", "source_file": "f.csv", "source_row": row, "product_id": product, "sku_id": "0001",
                "market": "DE", "currency": "EUR", "segment": "Commercial", "term_duration": "P1Y", **more,
                "billing_plan": "Monthly", "effective_start_date": start, "unit_price": Decimal(unit)}  # fmt: skip

    insert(warehouse, PRICE_LIST, [
        price(2, "used", before, 10), price(3, "used", now, 12), price(4, "unused", before, 1),
        price(5, "unused", now, 2), price(6, "used", before, 10, segment="Education"),
        price(7, "used", now, 13, segment="Education"), price(8, "long ago", dt.datetime(2025, 1, 1, tzinfo=dt.UTC), 1),
        price(9, "long ago", before, 2),
    ])  # fmt: skip
    line = {"run_id": "r", "period": "2026-03", "source": "invoice_recon", "price_file_sha256": "f",
            "price_source_file": "f.csv"}  # fmt: skip
    lines: list[Row] = [{**line, "line_id": str(n), "price_source_row": row} for n, row in enumerate((2, 2, 3, 9))]
    store(warehouse, make_run("r", "2026-03", 0), lines, [], [])
    (found,) = read_contents(warehouse, "r").price_changes.to_pylist()
    assert (found["segment"], found["unit_price_change"], found["line_count"]) == ("Commercial", 2, 3)


def test_what_awaits_follows_the_ledger(warehouse: Warehouse) -> None:
    line = {"run_id": "r", "period": "2026-03", "source": "invoice_recon", "currency": "EUR", "invoice_number": "G1",
            "total_amount": Decimal("1.10")}  # fmt: skip
    lines: list[Row] = [{**line, "line_id": name} for name in ("posted", "again", "billed", "rejected", "left")]
    lines += [{**line, "line_id": "void", "invoice_number": "G2"}, {**line, "line_id": "none", "invoice_number": None}]
    tieout = [{"period": "2026-03", "invoice_number": "G1", "currency": "EUR", "status": "matched"},
              {"period": "2026-03", "invoice_number": "G2", "currency": "EUR", "status": "voided"}]  # fmt: skip
    store(warehouse, make_run("r", "2026-03", 0, status="loaded"), lines, [], tieout)
    posting = {"entity": "line", "run_id": "r", "period": "2026-03", "halo_url": "https://a"}
    insert(warehouse, HALO_POSTINGS, [
        {**posting, "natural_key": "posted", "state": "posted"}, {**posting, "natural_key": "again", "state": "billed"},
        {**posting, "natural_key": "again", "state": "posted", "halo_url": "https://b",
         "intended_at": NOON + dt.timedelta(hours=1)},
        {**posting, "natural_key": "billed", "state": "billed"},
        {**posting, "natural_key": "rejected", "state": "rejected"},
    ])  # fmt: skip
    contents = read_contents(warehouse, "r")
    assert {row["state"]: row["line_count"] for row in contents.loading.to_pylist()} == {
        "billed": 1, "not_loaded": 1, "posted": 2, "rejected": 1, "voided": 1, "without_invoice": 1}  # fmt: skip
    awaits = headline(contents).awaits
    assert "2 lines of 2.20 EUR are in HaloPSA and not marked as billed." in awaits
    assert "1 line of 1.10 EUR is not in HaloPSA." in awaits


def test_only_the_first_of_very_many_are_held(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(3)
    for hour, run_id in enumerate(("before", "now")):
        run = make_run(run_id, "2026-03", hour)
        lines = make_lines(random, run, 30)
        store(warehouse, run, lines, make_findings(random, run, lines, 30), [])
    whole = read_contents(warehouse, "now")
    monkeypatch.setattr(module, "HELD_ROWS", 5)
    held = read_contents(warehouse, "now")
    assert (held.findings.num_rows, held.finding_count) == (5, 30)
    assert held.findings["severity"].to_pylist() == ["block"] * 5
    assert held.changes.num_rows == 5
    assert held.change_counts == whole.change_counts
