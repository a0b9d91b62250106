"""A month is read, judged and written in parts: however it is cut, the warehouse has the same rows, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors import spill
from connectors.exports import delimited, json_lines, limits, parquet_text
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines import reconciling
from pipelines.billing import reconcile_month
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command
from transforms import records

_TABLES = ("src_invoice_recon", "src_daily_usage", "quarantine", "lines", "findings", "invoice_tieout")


def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(parquet_text, "BATCH_ROWS", 50)
    monkeypatch.setattr(spill, "GROUP_BYTES", 2_000)
    monkeypatch.setattr(records, "AT_ONCE", 3)


def stored(url: str) -> dict[str, list[str]]:
    """Every row of the tables that a run writes, without its run."""
    with open_warehouse(url).read() as connection:
        rows = {name: connection.execute(sa.text(f"select * from {name}")).mappings().all() for name in _TABLES}
    return {name: sorted(_text(dict(row)) for row in found) for name, found in rows.items()}


def _text(row: dict[str, Any]) -> str:
    return repr([(name, str(value)) for name, value in row.items() if name != "run_id"])


def test_a_month_in_many_parts_is_the_same_on_both_engines(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11", seed=3, customers=6)
    urls = [f"duckdb:///{tmp_path / 'whole.duckdb'}", f"duckdb:///{tmp_path / 'parts.duckdb'}", postgresql_url]
    found = []
    for url in urls:
        reconcile_month(load_settings(home=tmp_path, exports="exports", warehouse_url=url), "2025-11")
        found.append(stored(url))
        cut_small(monkeypatch)
    whole, *parts = found
    assert len(whole["lines"]) > 1000
    assert len(whole["findings"]) > 20
    assert parts == [whole, whole]


def test_a_scope_with_nothing_in_it_is_told_so_where_no_invoice_is_delivered(command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", customers=6, plant=False)
    next(Path("exports").glob("invoices*")).unlink()
    refused = command("reconcile", "--period", "2025-11", "--customer", "nobody")
    assert (refused.code, "check --customer" in refused.err) == (2, True)


def test_a_customer_that_is_given_by_name_is_told_by_tenant_also_where_only_usage_is_delivered(
    command: Command,
) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    for file in [*Path("exports").glob("invoices*"), *Path("exports").glob("*Reconciliation*")]:
        file.unlink()
    command("reconcile", "--period", "2025-11")
    with open_warehouse(load_settings().warehouse).read() as connection:
        asked = sa.text("select customer_id, customer_name from out_lines where source = 'daily_usage' limit 1")
        tenant, name = connection.execute(asked).one()
    refused = command("reconcile", "--period", "2025-11", "--customer", name[:-1].upper())
    told = f"it takes the customer's tenant id; so named are {tenant} ({name})"
    assert (refused.code, told in refused.err) == (2, True)


def test_a_file_that_changes_after_it_was_copied_is_refused_as_a_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_month(Path("exports"), period="2025-11", customers=6)
    assert command("reconcile", "--period", "2025-11").code == 1
    file = next(Path("exports").glob("*Reconciliation*"))
    judge_lines = reconciling._Run.judge_lines

    def changed_before(run: reconciling._Run) -> None:
        file.write_bytes(file.read_bytes().replace(b"cycleCharge", b"cycleCHARGE"))
        judge_lines(run)

    monkeypatch.setattr(reconciling._Run, "judge_lines", changed_before)
    refused = command("reconcile", "--period", "2025-11")
    assert (refused.code, "changed while it was read" in refused.err) == (2, True)
    with open_warehouse(load_settings().warehouse).read() as connection:
        kept = "select count(*) from runs", "select count(*) from lines where charge_type = 'cycleCHARGE'"
        assert [connection.execute(sa.text(sql)).scalar_one() for sql in kept] == [1, 0]


def test_a_full_disk_is_told_and_leaves_nothing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_month(Path("exports"), period="2025-11", customers=6)
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr("connectors.spill.tempfile.TemporaryFile", lambda **options: full)
        refused = command("reconcile", "--period", "2025-11")
    assert (refused.code, refused.err.count("\n"), "TMPDIR" in refused.err) == (2, 1, True)
    with open_warehouse(load_settings().warehouse).read() as connection:
        assert connection.execute(sa.text("select count(*) from lines")).scalar_one() == 0
