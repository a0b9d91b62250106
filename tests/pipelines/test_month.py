"""A whole month, from exports to billed, on both warehouses and against a HaloPSA over real HTTP."""

from __future__ import annotations

import csv
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.halopsa.sandbox.server import Sandbox
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import upgrade
from examples.month import generate_month
from examples.truth import Truth
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both warehouses; the embedded one sets itself up, PostgreSQL too while it is empty."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", url)
    return load_settings().warehouse


def query(sql: str) -> list[dict[str, object]]:
    with open_warehouse(load_settings().warehouse).read() as connection:
        return [dict(row) for row in connection.execute(sa.text(sql)).mappings()]


def same_places(truth: Truth) -> bool:
    """Whether the stored findings are the planted ones, one by one."""
    planted = Counter((row.code, row.source_file, row.source_row or row.invoice_number) for row in truth.rows)
    found = Counter(
        (row["code"], row["source_file"] or "", str(row["source_row"] or row["invoice_number"]))
        for row in query("select code, source_file, source_row, invoice_number from out_findings")
    )
    return planted == found


def test_a_month_with_discrepancies_is_loaded_and_waits_for_approval(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    truth = generate_month(Path("exports"), period="2025-11")
    first = command("run", "--period", "2025-11", "--json")
    assert (first.code, first.document["status"]) == (1, "awaiting_approval")
    assert first.document["findings"] == truth.counts
    assert same_places(truth)
    posted = halo.lines()
    assert len(posted) == first.document["loaded"]["lines"] > 0
    assert not any(line.get("isbilled") for line in posted)
    sent = len([request for request in halo.requests if request.startswith("POST csp")])

    second = command("run", "--period", "2025-11")
    assert second.code == 1
    assert "nothing was posted" in second.out
    assert len([request for request in halo.requests if request.startswith("POST csp")]) == sent
    digests = query("select distinct content_digest, line_count from runs")
    assert len(digests) == 1, "a rerun gives the same lines and findings"

    run_id = query("select run_id from out_runs order by started_at desc limit 1")[0]["run_id"]
    refused = command("mark-billed", str(run_id))
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"csp-billing approve {run_id}" in refused.err
    approved = command("mark-billed", str(run_id), "--approve", "--json")
    assert (approved.code, approved.document["status"]) == (1, "billed")
    assert all(line.get("isbilled") for line in halo.lines())
    assert all(invoice["isbilled"] for invoice in halo.invoices() if invoice["haslines"])


def test_a_clean_month_is_billed_with_every_amount_exactly_once(
    warehouse_url: str, halo: Sandbox, command: Command
) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    outcome = command("run", "--period", "2025-11", "--json")
    assert (outcome.code, outcome.document["status"], outcome.document["findings"]) == (0, "billed", {})
    promised = {"run_id", "period", "lines", "invoices", "blocking", "loaded", "marked", "warehouse", "seconds"}
    assert set(outcome.document) >= promised
    stored = query("select line_id, total_amount, halo_id, is_billed from out_lines where source = 'invoice_recon'")
    in_halo = {line["id"]: line["total"] for line in halo.lines()}
    assert {row["halo_id"]: row["total_amount"] for row in stored} == in_halo
    assert all(row["is_billed"] for row in stored)
    assert {(row["status"], row["difference_amount"]) for row in query("select * from out_invoice_tieout")} == {
        ("matched", Decimal(0))
    }
    again = command("run", "--period", "2025-11", "--json").document
    assert (again["loaded"], again["marked"]) == (
        {"prices": 0, "invoices": 0, "lines": 0}, {"invoices": 0, "lines": 0})  # fmt: skip
    assert len(halo.lines()) == len(in_halo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSP_BILLING_HALO_USAGE", "daily")
        other = command("run", "--period", "2025-11", "--approve")
    assert (other.code, "set it to aggregate" in other.err, len(halo.lines())) == (2, True, len(in_halo))


def test_lines_that_changed_after_they_were_billed_are_found_and_left_alone(halo: Sandbox, command: Command) -> None:
    """Twenty lines of a republished invoice carry another tax."""
    generate_month(Path("exports"), period="2025-11", plant=False)
    assert command("run", "--period", "2025-11", "--json").document["status"] == "billed"
    before = halo.lines()
    changed = retax(20)
    for change in ({"new": 20}, None):
        outcome = command("run", "--period", "2025-11", "--json")
        assert (outcome.code, outcome.document["findings"]) == (1, {"BILLED_LINE_CHANGED": 20})
        assert outcome.document["changes"].get("findings") == change
    last = outcome.document["run_id"]
    found = query(f"select * from out_findings where run_id = '{last}' order by source_row")
    assert [row["source_row"] for row in found] == changed
    assert {row["difference_amount"] for row in found} == {Decimal("0.01")}
    assert halo.lines() == before
    retax(20, by=Decimal("-0.01"))
    mended = command("run", "--period", "2025-11", "--json")
    assert (mended.code, mended.document["changes"]["findings"]) == (0, {"gone": 20})


def test_billed_lines_that_are_delivered_no_more_are_found_and_what_is_new_is_billed(
    halo: Sandbox, command: Command
) -> None:
    """Two billed lines are withdrawn, a new one is there; once that is approved, the month ends."""
    generate_month(Path("exports"), period="2025-11", plant=False)
    kept = withhold([5])
    assert command("run", "--period", "2025-11", "--approve", "--json").document["status"] == "billed"
    before = halo.lines()
    put_back(kept)
    withdrawn = withhold([2, 3])
    outcome = command("run", "--period", "2025-11", "--json")
    assert (outcome.code, outcome.document["status"]) == (1, "awaiting_approval")
    assert outcome.document["findings"]["BILLED_LINE_CHANGED"] == 2
    assert outcome.document["loaded"]["lines"] == 1
    run_id = outcome.document["run_id"]
    found = query("select * from out_findings where code = 'BILLED_LINE_CHANGED'")
    assert {row["expected_amount"] for row in found} == {Decimal(row["Total"]) for row in withdrawn}
    assert {row["actual_amount"] for row in found} == {0}
    assert all("the exports no longer have it" in str(row["message"]) and row["customer_id"] for row in found)
    assert command("approve", run_id, "--by", "Ada").code == 0
    assert command("mark-billed", run_id, "--json").document["marked"]["lines"] == 1
    after = halo.lines()
    assert after[: len(before)] == before
    assert all(line["isbilled"] for line in after)
    assert command("run", "--period", "2025-11", "--json").document["status"] == "billed"


def withhold(places: list[int]) -> list[dict[str, str]]:
    """Take reconciliation lines out of the exports; returns them."""
    rows = _recon_rows()
    _rewrite([row for place, row in enumerate(rows) if place not in places])
    return [rows[place] for place in places]


def put_back(lines: list[dict[str, str]]) -> None:
    """Add reconciliation lines to the exports."""
    _rewrite([*_recon_rows(), *lines])


def _recon_rows() -> list[dict[str, str]]:
    (recon,) = Path("exports").glob("*Reconciliation*.csv")
    with recon.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _rewrite(rows: list[dict[str, str]]) -> None:
    (recon,) = Path("exports").glob("*Reconciliation*.csv")
    with recon.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def retax(count: int, by: Decimal = Decimal("0.01")) -> list[int]:
    """Put so much more tax on the first lines that are taxed, and on their invoices; returns their rows."""
    recon, documents = (next(Path("exports").glob(name)) for name in ("*Reconciliation*.csv", "invoices*.json"))
    with recon.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    place = {name: header.index(name) for name in ("InvoiceNumber", "TaxTotal", "Total")}
    taxed = [number for number, row in enumerate(rows) if Decimal(row[place["TaxTotal"]]) > 0][:count]
    text = documents.read_text(encoding="utf-8")
    more: Counter[str] = Counter(rows[number][place["InvoiceNumber"]] for number in taxed)
    for number in taxed:
        for name in ("TaxTotal", "Total"):
            rows[number][place[name]] = str(Decimal(rows[number][place[name]]) + by)
    for invoice, lines in more.items():
        total = re.search(rf'"id": "{invoice}".*?"totalCharges": ([0-9.]+)', text, re.S)
        assert total is not None
        text = text[: total.start(1)] + str(Decimal(total[1]) + lines * by) + text[total.end(1) :]
    documents.write_text(text, encoding="utf-8")
    with recon.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return [number + 2 for number in taxed]


def test_daily_usage_stands_for_azure_plan_lines_never_beside_them(
    halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    monkeypatch.setenv("CSP_BILLING_HALO_USAGE", "daily")
    monkeypatch.setenv("CSP_BILLING_HALO_USAGE_TYPE", "7")
    assert command("run", "--period", "2025-11").code == 0
    before = halo.lines()
    monkeypatch.setenv("CSP_BILLING_HALO_USAGE", "aggregate")
    other = command("run", "--period", "2025-11", "--approve")
    assert (other.code, halo.lines()) == (2, before)
    assert "billed in" in other.err
    assert "as daily has them, and would be billed again: set it to daily" in other.err
    by_type = Counter(line["type"] for line in halo.lines())
    counted = query(
        "select count(*) filter (where source = 'daily_usage') as usage, "
        "count(*) filter (where source = 'invoice_recon' and is_billed) as lines, "
        "count(*) filter (where source = 'invoice_recon') as every_line from out_lines"
    )[0]
    assert by_type == {7: counted["usage"], 0: counted["lines"]}
    assert 0 < int(str(counted["lines"])) < int(str(counted["every_line"]))


def test_a_republished_invoice_replaces_its_lines_and_a_copy_changes_nothing(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    first = command("reconcile", "--period", "2025-11", "--json").document
    recon = next(Path("exports").glob("*Reconciliation*.csv"))
    (Path("exports") / "again.csv").write_bytes(recon.read_bytes())
    assert command("reconcile", "--period", "2025-11", "--json").document["lines"] == first["lines"]
    republished = recon.read_bytes().replace(b"Contoso", b"Kontoso")
    (Path("exports") / "again.csv").write_bytes(republished)
    third = command("reconcile", "--period", "2025-11", "--json")
    assert (third.document["lines"], third.document["findings"]) == (first["lines"], {})
    assert "left out" in third.err
    assert query("select count(*) as n from out_lines where customer_name like 'Kontoso%'")[0]["n"] != 0


def test_an_ad_hoc_scope_leaves_the_full_run_as_it_is(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    full = command("reconcile", "--period", "2025-11", "--json").document
    customer = query("select customer_id from out_findings where code = 'ABOVE_ERP' order by 1")[0]["customer_id"]
    part = command("reconcile", "--period", "2025-11", "--customer", str(customer).upper(), "--json").document
    assert 0 < part["lines"] < full["lines"]
    assert 0 < part["invoices"] < full["invoices"]
    assert "ABOVE_ERP" in part["findings"]
    number = query("select max(invoice_number) as n from out_invoice_tieout where status = 'without_lines'")[0]["n"]
    bare = command("reconcile", "--period", "2025-11", "--invoice", str(number), "--json").document
    assert (bare["lines"], bare["invoices"]) == (0, 1)
    assert {row["run_id"] for row in query("select distinct run_id from out_lines")} == {full["run_id"]}
    nobody = command("reconcile", "--period", "2025-11", "--customer", "nobody")
    assert nobody.code == 2


def test_an_ad_hoc_run_concludes_of_its_part_what_the_full_run_does(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    full = command("reconcile", "--period", "2025-11", "--json").document["run_id"]

    def concluded(run: object, column: str, value: object) -> list[list[dict[str, object]]]:
        of_run = f"where run_id = '{run}' and lower({column}) = lower('{value}') order by"
        return [
            query(f"select code, message, line_id, source_row, actual_amount from findings {of_run} all"),
            query(f"select line_id, source_row, difference_amount, rounding_rule from lines {of_run} all"),
        ]

    parts = [
        (option, column, row["value"])
        for option, column, count in (("--customer", "customer_id", 4), ("--invoice", "invoice_number", 2))
        for row in query(
            f"select {column} as value from findings where {column} is not null "
            f"group by {column} order by count(distinct code) desc, {column} limit {count}"
        )
    ]
    assert len(parts) == 6
    for option, column, value in parts:
        part = command("reconcile", "--period", "2025-11", option, str(value), "--json").document["run_id"]
        assert concluded(part, column, value) == concluded(full, column, value)


def test_a_scope_of_findings_and_an_unknown_code(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    full = command("reconcile", "--period", "2025-11", "--json").document
    part = command("reconcile", "--period", "2025-11", "--code", "above_erp", "--code", "TOTAL_MISMATCH", "--json")
    assert part.document["findings"] == {"ABOVE_ERP": 3, "TOTAL_MISMATCH": 3}
    assert part.document["lines"] == 6
    assert command("reconcile", "--period", "2025-11", "--code", "PEC_MISSING", "--json").document["findings"] == {}
    assert {row["run_id"] for row in query("select distinct run_id from out_lines")} == {full["run_id"]}
    for asked in (["reconcile", "--period", "2025-11"], ["findings"]):
        unknown = command(*asked, "--code", "NO_SUCH")
        assert (unknown.code, "ABOVE_ERP" in unknown.err) == (2, True)


def test_a_run_says_what_changed_since_the_last_one(warehouse_url: str, command: Command) -> None:
    planted = generate_month(Path("exports"), period="2025-11")
    assert command("reconcile", "--period", "2025-11", "--json").document["changes"] == {}
    assert command("reconcile", "--period", "2025-11", "--json").document["changes"] == {}
    generate_month(Path("exports"), period="2025-11", plant=False)
    outcome = command("reconcile", "--period", "2025-11")
    assert "findings gone" in outcome.out
    last = query("select * from out_period_changes where what = 'finding' order by code")
    assert Counter(row["change"] for row in last) == {"gone": len(planted.rows)}
    again = command("reconcile", "--period", "2025-11", "--json").document
    assert (again["changes"], again["changed"]) == ({}, [])


def test_an_older_run_is_not_loaded_over_a_newer_one(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    older, newer = (command("reconcile", "--period", "2025-11", "--json").document["run_id"] for _ in range(2))
    refused = command("load", older)
    assert refused.code == 2
    assert newer in refused.err
    loaded = command("load", newer, "--json")
    assert (loaded.code, loaded.document["status"]) == (0, "loaded")


def test_an_upgraded_postgresql_is_used_as_it_is(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    upgrade(open_warehouse(postgresql_url))
    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", postgresql_url)
    generate_month(Path("exports"), period="2025-11", plant=False)
    assert command("reconcile", "--period", "2025-11").code == 0
    assert "password" not in command("doctor").out


def test_every_line_of_a_month_can_be_explained(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11")
    command("reconcile", "--period", "2025-11")
    for code, rule in (("SUBTOTAL_MISMATCH", "subtotal"), ("TOTAL_MISMATCH", "total"), ("ABOVE_ERP", "ERP price"),
                       ("UNIT_PRICE_MISMATCH", "list price"), ("MARGIN_BELOW_FLOOR", "margin")):  # fmt: skip
        for row in query(f"select line_id from out_findings where code = '{code}'"):
            document = command("explain", str(row["line_id"]), "--json").document
            broken = {one["rule"].partition(",")[0] for one in document["rules"] if one["holds"] is False}
            assert rule in broken
            assert code in {finding["code"] for finding in document["findings"]}
    clean = query(
        "select line_id, source from out_lines where line_id not in "
        "(select line_id from findings where line_id is not null) order by line_id"
    )
    for row in clean[:: max(1, len(clean) // 40)]:
        rules = command("explain", str(row["line_id"]), "--json").document["rules"]
        assert all(one["holds"] is not False for one in rules)
        if row["source"] == "invoice_recon":
            assert any(one["holds"] for one in rules if one["rule"].startswith("subtotal"))
    pair = query("select line_id, reference_id from src_invoice_recon where charge_type = 'addQuantity'")
    other = {row["line_id"] for row in pair if row["reference_id"] == pair[0]["reference_id"]} - {pair[0]["line_id"]}
    assert {row["line_id"] for row in command("explain", str(pair[0]["line_id"]), "--json").document["event"]} == other
    assert "same event: addQuantity" in command("explain", str(pair[0]["line_id"])).out
    text = command("explain", str(clean[0]["line_id"]))
    assert "no findings" in text.out
    assert command("explain", "nothing").code == 2
