"""The views say what the contract promises, with the same figures on both engines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.changes import read_changes
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.runs import set_status
from connectors.warehouse.views import VIEW_NAMES, view_sql
from tests.warehouse.rows import NOON, rows
from transforms.columns import Table
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.loading import HALO_POSTINGS
from transforms.tables.results import FINDINGS, LINES, RUNS
from transforms.tables.sources import PRICE_LIST
from transforms.tables.views import (
    OUT_CUSTOMER_MARGIN,
    OUT_LINES,
    OUT_PERIOD_CHANGES,
    OUT_PRICE_CHANGES,
    OUT_SUBSCRIPTIONS,
    VIEWS,
)

#: CONTRACT.md, "Warehouse views", word for word; what it leaves open is not here.
PROMISED = {
    "out_runs": "run_id, period, status, started_at, finished_at, code_version, policy_digest",
    "out_findings": """run_id, period, code, severity, invoice_number, customer_id, customer_name, subscription_id,
        product_id, sku_id, line_id, expected_amount, actual_amount, difference_amount, currency, message, source_file,
        source_row""",
    "out_lines": """line_id, run_id, period, source, invoice_number, customer_id, customer_name, subscription_id,
        product_id, sku_id, sku_name, charge_type, charge_start_on, charge_end_on, quantity, unit_price,
        effective_unit_price, list_unit_price, erp_unit_price, subtotal_amount, tax_amount, total_amount, currency,
        erp_amount, margin_amount, rounding_rule, halo_id, is_billed, source_file, source_row""",
    "out_invoice_tieout": """run_id, period, invoice_number, currency, invoice_amount, lines_amount, difference_amount,
        status""",
    "out_customer_margin": """period, customer_id, customer_name, currency, cost_amount, erp_amount, margin_amount,
        margin_pct""",
    "out_halo_load": "run_id, entity, natural_key, halo_id, state, attempts, last_error",
}


def _insert(warehouse: Warehouse, table: Table, *given: dict[str, Any]) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, table, rows(table, *given))


def _read(warehouse: Warehouse, view: Table) -> list[dict[str, Any]]:
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in view.names]
    with warehouse.read() as connection:
        read = read_arrow(connection, sa.select(*columns).select_from(sa.table(view.name)), view.schema)
    assert isinstance(read, pa.Table)
    return list(read.to_pylist())


def _hour(number: int) -> dt.datetime:
    return NOON + dt.timedelta(hours=number)


def test_declared_views_are_the_contract_s() -> None:
    declared = {view.name: view.names for view in VIEWS}
    for name, columns in PROMISED.items():
        assert declared[name] == [column.strip() for column in columns.split(",")]
    assert set(declared) == {
        *PROMISED, "latest_runs", "out_price_changes", "out_subscriptions", "out_period_changes", "out_orders",
        "out_approvals", "out_waivers", "out_open_findings", "out_focus",
    }  # fmt: skip


def test_each_view_says_what_it_is() -> None:
    for name in VIEW_NAMES:
        assert view_sql(name).startswith("-- "), name


def test_lines_are_those_of_the_latest_full_run(warehouse: Warehouse) -> None:
    _insert(
        warehouse,
        RUNS,
        {"run_id": "first", "period": "2026-03", "status": "reconciled", "started_at": _hour(0)},
        {"run_id": "second", "period": "2026-03", "status": "reconciled", "started_at": _hour(1)},
        {"run_id": "scoped", "period": "2026-03", "status": "reconciled", "started_at": _hour(2), "scope": "{}"},
        {"run_id": "failed", "period": "2026-03", "status": "failed", "started_at": _hour(3)},
        {"run_id": "other", "period": "2026-02", "status": "billed", "started_at": _hour(4)},
    )
    runs = [
        ("first", "2026-03"),
        ("second", "2026-03"),
        ("scoped", "2026-03"),
        ("failed", "2026-03"),
        ("other", "2026-02"),
    ]
    _insert(warehouse, LINES, *({"run_id": run, "period": period, "line_id": "L"} for run, period in runs))
    assert sorted(line["run_id"] for line in _read(warehouse, OUT_LINES)) == ["other", "second"]


def test_a_line_has_its_last_posting_once(warehouse: Warehouse) -> None:
    _insert(warehouse, RUNS, {"run_id": "r", "period": "2026-03", "status": "loaded"})
    _insert(warehouse, LINES, *({"run_id": "r", "period": "2026-03", "line_id": line} for line in "abc"))
    sandbox, real = "http://127.0.0.1", "https://acme.halopsa.com"
    posting = {"entity": "line", "run_id": "r", "period": "2026-03"}
    _insert(
        warehouse,
        HALO_POSTINGS,
        {**posting, "natural_key": "a", "halo_url": sandbox, "state": "billed", "halo_id": 1, "intended_at": _hour(0)},
        {**posting, "natural_key": "a", "halo_url": real, "state": "posted", "halo_id": 7, "intended_at": _hour(1)},
        {**posting, "natural_key": "b", "halo_url": real, "state": "billed", "halo_id": 8},
        {**posting, "natural_key": "b", "halo_url": real, "state": "billed", "halo_id": 9, "entity": "invoice"},
    )
    found = {line["line_id"]: (line["halo_id"], line["is_billed"]) for line in _read(warehouse, OUT_LINES)}
    assert found == {"a": (7, False), "b": (8, True), "c": (None, False)}


def test_margin_is_exact_and_counts_only_what_has_an_erp_price(warehouse: Warehouse) -> None:
    _insert(warehouse, RUNS, {"run_id": "r", "period": "2026-03", "status": "reconciled"})

    def line(number: int, customer: str, cost: str, erp: str | None, **more: Any) -> dict[str, Any]:
        return {
            "run_id": "r", "period": "2026-03", "line_id": str(number), "source": "invoice_recon", "currency": "EUR",
            "customer_id": customer, "customer_name": customer.upper(), "subtotal_amount": Decimal(cost),
            "erp_amount": None if erp is None else Decimal(erp), **more,
        }  # fmt: skip

    _insert(
        warehouse,
        LINES,
        line(1, "a", "87.65435", "100"),
        line(2, "a", "50", None),
        line(3, "a", "1", "2", currency="USD"),
        line(4, "a", "33", "44", source="daily_usage"),
        line(5, "b", "9999999999999.999999", "0.000001"),
        line(6, "c", "5", "0"),
        line(7, "d", "-66.666666", "-100"),
        line(8, "e", "3", "-1"),
    )
    found = {
        (row["customer_id"], row["currency"]): (
            row["cost_amount"],
            row["erp_amount"],
            row["margin_amount"],
            row["margin_pct"],
        )
        for row in _read(warehouse, OUT_CUSTOMER_MARGIN)
    }
    assert found == {
        ("a", "EUR"): (Decimal("87.65435"), Decimal(100), Decimal("12.34565"), Decimal("12.3457")),
        ("a", "USD"): (Decimal(1), Decimal(2), Decimal(1), Decimal(50)),
        ("b", "EUR"): (
            Decimal("9999999999999.999999"),
            Decimal("0.000001"),
            Decimal("-9999999999999.999998"),
            Decimal("-999999999999999999800"),
        ),
        ("c", "EUR"): (Decimal(5), Decimal(0), Decimal(-5), None),
        ("d", "EUR"): (Decimal("-66.666666"), Decimal(-100), Decimal("-33.333334"), Decimal("33.3333")),
        ("e", "EUR"): (Decimal(3), Decimal(-1), Decimal(-4), Decimal(400)),
    }


def test_price_changes_follow_the_lists_and_not_the_order_of_loading(warehouse: Warehouse) -> None:
    def price(
        list_name: str, row_number: int, product: str, start: dt.datetime, unit: str, erp: str | None
    ) -> dict[str, Any]:
        return {
            "file_sha256": list_name, "source_file": f"{list_name}.csv", "source_row": row_number,
            "product_id": product, "sku_id": "0001",
            "market": "DE", "currency": "EUR", "segment": "Commercial", "term_duration": "P1Y",
            "billing_plan": "Monthly", "effective_start_date": start, "unit_price": Decimal(unit),
            "erp_price": None if erp is None else Decimal(erp),
        }  # fmt: skip

    january, march = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    _insert(
        warehouse,
        PRICE_LIST,
        price("march", 2, "same", january, "10", "12"),
        price("march", 3, "raised", march, "11.5", "13"),
        price("march", 4, "erp", march, "10", "12.0000000001"),
        price("march", 5, "first", march, "1", "2"),
        price("march", 6, "raised", january, "10", "12"),
        price("january", 2, "same", january, "10", "12"),
        price("january", 3, "raised", january, "10", "12"),
        price("january", 4, "erp", january, "10", "12"),
    )
    found = {row["product_id"]: row for row in _read(warehouse, OUT_PRICE_CHANGES)}
    assert set(found) == {"raised", "erp"}
    assert (found["raised"]["previous_unit_price"], found["raised"]["unit_price_change"]) == (
        Decimal(10),
        Decimal("1.5"),
    )
    assert found["raised"]["source_row"] == 3
    assert found["raised"]["effective_start_date"] == march
    assert found["erp"]["erp_price_change"] == Decimal("0.0000000001")
    assert found["erp"]["previous_source_file"] == "january.csv"


def test_a_subscription_stands_as_its_last_charge_left_it(warehouse: Warehouse) -> None:
    def line(number: int, period: str, start: dt.date, kind: str, seats: int, amount: int) -> dict[str, Any]:
        return {
            "line_id": str(number), "source_row": number, "period": period, "subscription_id": "s", "charge_type": kind,
            "charge_start_date": start, "charge_end_date": start + dt.timedelta(days=30), "order_date": NOON,
            "billable_quantity": Decimal(seats), "quantity": Decimal(seats), "subtotal": Decimal(amount),
        }  # fmt: skip

    _insert(
        warehouse,
        INVOICE_RECON,
        line(2, "2026-02", dt.date(2026, 2, 1), "new", 5, 50),
        line(3, "2026-03", dt.date(2026, 3, 1), "cycleCharge", 5, 50),
        line(4, "2026-03", dt.date(2026, 3, 10), "addQuantity", 5, -35),
        line(5, "2026-03", dt.date(2026, 3, 10), "addQuantity", 8, 56),
        line(6, "2026-03", dt.date(2026, 3, 20), "cancelImmediate", 8, -10),
    )
    (found,) = _read(warehouse, OUT_SUBSCRIPTIONS)
    assert found["quantity"] == 8
    assert (found["first_period"], found["last_period"]) == ("2026-02", "2026-03")
    assert found["last_charge_type"] == "cancelImmediate"
    assert found["last_charge_end_on"] == dt.date(2026, 4, 19)


def test_changes_are_those_between_the_last_two_full_runs(warehouse: Warehouse) -> None:
    numbers = {"first": 0, "before": 1, "now": 2, "scoped": 3}
    runs = [
        {"run_id": run, "period": "2026-03", "status": "reconciled", "started_at": _hour(hour)}
        for run, hour in numbers.items()
    ]
    runs[3]["scope"] = "{}"
    _insert(warehouse, RUNS, *runs)

    def line(run: str, name: str, total: str) -> dict[str, Any]:
        return {"run_id": run, "period": "2026-03", "line_id": name, "total_amount": Decimal(total)}

    def finding(run: str, code: str, line_id: str | None, **more: Any) -> dict[str, Any]:
        return {"run_id": run, "period": "2026-03", "code": code, "severity": "block", "line_id": line_id, **more}

    _insert(
        warehouse, LINES,
        line("first", "x", "1"), line("scoped", "y", "1"),
        *(line("before", name, "5") for name in ("same", "changed", "gone")),
        line("now", "same", "5"), line("now", "changed", "6"), line("now", "new", "7"),
    )  # fmt: skip
    _insert(
        warehouse, FINDINGS,
        finding("before", "TOTAL_MISMATCH", "same"), finding("now", "TOTAL_MISMATCH", "same"),
        finding("before", "ABOVE_ERP", "gone"), finding("now", "ABOVE_ERP", "new"),
        finding("before", "ROW_REJECTED", None, source_file="a.csv", source_row=2),
        finding("now", "ROW_REJECTED", None, source_file="a.csv", source_row=3),
        # Only loading finds it, and the latest run is not loaded: it cannot be gone.
        finding("before", "BILLED_LINE_CHANGED", "same"),
        finding("before", "MARGIN_BELOW_FLOOR", "same", severity="warn"),
        finding("now", "MARGIN_BELOW_FLOOR", "same", severity="block"),
    )  # fmt: skip
    changes = _read(warehouse, OUT_PERIOD_CHANGES)
    assert {(change["run_id"], change["previous_run_id"]) for change in changes} == {("now", "before")}
    assert sorted((row["what"], row["change"], row["code"] or row["line_id"]) for row in changes) == [
        ("finding", "changed", "MARGIN_BELOW_FLOOR"), ("finding", "gone", "ABOVE_ERP"),
        ("finding", "gone", "ROW_REJECTED"), ("finding", "new", "ABOVE_ERP"), ("finding", "new", "ROW_REJECTED"),
        ("line", "changed", "changed"), ("line", "gone", "gone"), ("line", "new", "new"),
    ]  # fmt: skip
    amounts = {row["line_id"]: (row["previous_amount"], row["amount"]) for row in changes if row["what"] == "line"}
    assert amounts["changed"] == (Decimal(5), Decimal(6))
    with warehouse.read() as connection:
        counts, first = read_changes(connection, "now")
        assert counts == {
            "findings": {"changed": 1, "gone": 2, "new": 2}, "lines": {"changed": 1, "gone": 1, "new": 1}
        }  # fmt: skip
        assert [(row["what"], row["change"]) for row in first] == [
            *(("finding", change) for change in ("new", "new", "gone", "gone", "changed")),
            *(("line", change) for change in ("new", "gone", "changed")),
        ]
        assert read_changes(connection, "first") == ({}, ())
    with warehouse.begin() as connection:
        set_status(connection, "now", "loaded")
    with warehouse.read() as connection:
        assert read_changes(connection, "now")[0]["findings"] == {"changed": 1, "gone": 3, "new": 2}
