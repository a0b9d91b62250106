"""Reports from the command line: they are written, say what the warehouse says, and never stop a month."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
import sqlalchemy as sa

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command

NAMES = ["focus.csv", "focus.parquet", "reconciliation.html", "reconciliation.xlsx"]


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", url)
    return load_settings().warehouse


def test_the_totals_of_a_month_s_reports_are_the_warehouse_s(warehouse_url: str, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    run_id = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    outcome = command("report", run_id, "--out", "deep/down", "--json")
    assert outcome.code == 0
    assert sorted(Path(file).name for file in outcome.document["reports"]) == NAMES
    assert sorted(path.name for path in Path("deep/down").iterdir()) == NAMES
    with open_warehouse(warehouse_url).read() as connection:
        sums = connection.execute(sa.text(
            "select source, currency, sum(total_amount) from out_lines group by source, currency"
        )).all()  # fmt: skip
        margins = connection.execute(sa.text(
            "select currency, sum(margin_amount) from out_customer_margin group by currency"
        )).all()  # fmt: skip
        findings = connection.execute(sa.text("select count(*) from out_findings")).scalar_one()
    book = openpyxl.load_workbook("deep/down/reconciliation.xlsx", data_only=True)
    page = Path("deep/down/reconciliation.html").read_text(encoding="utf-8")
    for source, currency, total in sums:
        shown = _total(book[{"invoice_recon": "Lines", "daily_usage": "Daily usage"}[source]], currency, "With tax")
        assert round(shown, 2) == round(total, 2)
        if source == "invoice_recon":
            assert f"{total:,.2f}" in page
    for currency, total in margins:
        assert round(_total(book["Margins"], currency, "Margin"), 2) == round(total, 2)
        assert f"{total:,.2f}" in page
    assert len([row for row in book["Findings"]["B"] if row.value in ("block", "warn", "info")]) == findings > 20


def _total(sheet: object, currency: str, heading: str) -> Decimal:
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]  # type: ignore[attr-defined]
    header = next(row for row in rows if heading in row)
    total = next(row for row in rows if row[0] == f"Total {currency}")
    return Decimal(str(total[header.index(heading)]))


def test_a_month_is_reported_where_the_command_says_so(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    outcome = command("run", "--period", "2025-11", "--report")
    assert (outcome.code, outcome.out.count("reconciliation.")) == (1, 2)
    (folder,) = Path(".csp-billing/reports").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    page = folder / "reconciliation.html"
    before = page.read_bytes()
    command("approve", folder.name, "--by", "Ada")
    assert command("report", folder.name).code == 0
    assert page.read_bytes() != before
    assert "reports" in command("run", "--period", "2025-11", "--dry-run", "--json").document
    assert len(list(Path(".csp-billing/reports").iterdir())) == 1


def test_reports_that_cannot_be_written_stop_no_month(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    Path(".csp-billing").mkdir()
    Path(".csp-billing/reports").write_text("in the way")
    outcome = command("run", "--period", "2025-11", "--report", "--json")
    assert (outcome.code, outcome.document["status"], outcome.document["reports"]) == (0, "billed", [])
    assert re.search(r"reports are not written: .*; `csp-billing report 2025-11-\S+` does it", outcome.err)


def test_what_cannot_be_reported_is_told_in_a_line(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    run_id = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    Path("file").write_text("in the way")
    for arguments in (("nothing",), (run_id, "--out", "file"), (run_id, "--out", "file/below")):
        refused = command("report", *arguments)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), refused.err
