"""A period is written whole, rewritten to the same rows, and read back as it was written."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lines import read_latest_lines
from connectors.warehouse.period_lines import PeriodLines
from connectors.warehouse.runs import (
    after_all_runs,
    get_run,
    latest_run,
    open_run,
    read_findings,
    read_lines,
    read_tieout,
    set_status,
    write_run,
)
from connectors.warehouse.schema import sql_table
from connectors.warehouse.sources import read_lines_of_invoices, read_price_lists, read_rejected, write_documents
from tests.warehouse.rows import NOON, row, rows, stored_source
from transforms.errors import InputError
from transforms.line_identity import Numbered
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUN_FILES, RUNS
from transforms.tables.sources import INVOICES, PRICE_LIST, QUARANTINE, SOURCE_FILES
from transforms.texts import ENCODED


def _month(period: str, invoice: str, file: str = "a" * 64) -> dict[str, pa.Table]:
    def recon_row(number: int, amount: str) -> dict[str, Any]:
        return {
            "line_id": f"{invoice}-{number}", "period": period, "invoice_number": invoice, "file_sha256": file,
            "source_file": "recon.csv", "source_row": number, "total": Decimal(amount),
        }  # fmt: skip

    return {
        "invoice_recon": rows(INVOICE_RECON, recon_row(2, "1.10"), recon_row(3, "2.20")),
        "daily_usage": rows(DAILY_USAGE, {"line_id": f"{invoice}-u", "period": period, "file_sha256": "b" * 64}),
        "invoices": rows(INVOICES, {"invoice_number": invoice, "period": period, "total_charges": Decimal("3.30")}),
        "price_list": rows(PRICE_LIST, {"file_sha256": "c" * 64, "unit_price": Decimal("7.5")}),
    }


def _write(warehouse: Warehouse, run_id: str, period: str = "2026-03", **changes: Any) -> dict[str, pa.Table]:
    """Write one small run and return its parts."""
    run = row(RUNS, run_id=run_id, period=period, status="reconciled", **changes.pop("run", {}))
    parts = {
        "files": rows(SOURCE_FILES, {"file_sha256": "c" * 64, "source_file": "prices.csv", "kind": "price_list"}),
        "run_files": rows(RUN_FILES, {"run_id": run_id, "file_sha256": "c" * 64, "source_file": "prices.csv"}),
        "sources": _month(period, "G1"),
        "rejected": rows(QUARANTINE, {"period": period, "source_row": 9, "total": Decimal("0.07")}),
        "lines": rows(
            LINES,
            {"run_id": run_id, "period": period, "line_id": "2", "source": "invoice_recon", "source_row": 3},
            {"run_id": run_id, "period": period, "line_id": "1", "source": "invoice_recon", "source_row": 2},
        ),
        "findings": rows(
            FINDINGS,
            {"run_id": run_id, "period": period, "code": "PRICE_NOT_FOUND", "severity": "warn", "line_id": "1"},
            {"run_id": run_id, "period": period, "code": "PEC_MISSING", "severity": "info", "line_id": "1"},
            {"run_id": run_id, "period": period, "code": "TOTAL_MISMATCH", "severity": "block", "line_id": "2"},
        ).drop_columns("finding_id"),
        "tieout": rows(INVOICE_TIEOUT, {"run_id": run_id, "period": period, "invoice_number": "G1"}),
        **changes,
    }
    sources = parts["sources"]
    with warehouse.begin() as connection:
        open_run(connection)
        lines = PeriodLines(connection, run_id, period, keeps_sources=sources is not None)
        own = parts["lines"].drop_columns(["run_id", "period"])
        delivered = sources or _month(period, "G1")
        lines.write(lines.prepare("invoice_recon", delivered["invoice_recon"].drop_columns("period"), own))
        lines.write(lines.prepare("daily_usage", delivered["daily_usage"].drop_columns("period"), own.slice(0, 0)))
        if sources is not None:
            write_documents(connection, sources["invoices"], sources["price_list"], parts["rejected"])
        write_run(connection, run, *(parts[name] for name in ("files", "run_files", "findings", "tieout")))
    return parts


def _price_lists(connection: sa.Connection) -> pa.Table:
    """Every price list in the warehouse."""
    return read_price_lists(connection, set(connection.scalars(sa.select(sql_table(PRICE_LIST).c.file_sha256))))


def test_what_is_written_is_read(warehouse: Warehouse) -> None:
    parts = _write(warehouse, "r1")
    with warehouse.read() as connection:
        for kind in ("invoice_recon", "daily_usage", "invoices"):
            assert stored_source(connection, kind, "2026-03").equals(parts["sources"][kind])
        assert _price_lists(connection).equals(parts["sources"]["price_list"])
        assert read_rejected(connection, "2026-03").equals(parts["rejected"])
        assert read_tieout(connection, "r1").equals(parts["tieout"])
        assert read_lines(connection, "r1")["line_id"].to_pylist() == ["1", "2"]
        assert read_findings(connection, "r1")["severity"].to_pylist() == ["block", "warn", "info"]
        assert read_findings(connection, "r1", codes=["PEC_MISSING"])["severity"].to_pylist() == ["info"]
        assert read_findings(connection, "r1", severities=["block"])["code"].to_pylist() == ["TOTAL_MISMATCH"]
        assert get_run(connection, "r1")["started_at"] == NOON


def test_the_lines_of_some_invoices_come_in_the_order_of_their_files(warehouse: Warehouse) -> None:
    month, later, other = _month("2026-03", "G1"), _month("2026-03", "G2", "0" * 64), _month("2026-03", "G3")
    lines = [each["invoice_recon"] for each in (other, month, later)]
    _write(warehouse, "r1", sources={**month, "invoice_recon": pa.concat_tables(lines)})
    with warehouse.read() as connection:
        found = read_lines_of_invoices(connection, "invoice_recon", "2026-03", ["G1", "G2"])
        assert read_lines_of_invoices(connection, "invoice_recon", "2026-03", []).num_rows == 0
    assert found.schema.field("line_id").type == ENCODED
    assert found.cast(INVOICE_RECON.schema).equals(pa.concat_tables([later["invoice_recon"], month["invoice_recon"]]))


def test_a_rerun_replaces_the_period_and_nothing_else(warehouse: Warehouse) -> None:
    _write(warehouse, "r1")
    other = _write(warehouse, "r2", period="2026-02", sources=_month("2026-02", "G0"))
    with warehouse.read() as connection:
        before = {kind: stored_source(connection, kind, "2026-03") for kind in ("invoice_recon", "daily_usage")}
    _write(warehouse, "r3")
    with warehouse.read() as connection:
        for kind, was in before.items():
            assert stored_source(connection, kind, "2026-03").equals(was)
        assert stored_source(connection, "invoice_recon", "2026-02").equals(other["sources"]["invoice_recon"])
        assert _price_lists(connection).num_rows == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(sql_table(SOURCE_FILES))).scalar() == 1
        assert read_lines(connection, "r1").num_rows == read_lines(connection, "r3").num_rows == 2


def test_a_republished_invoice_takes_the_place_of_the_old_one(warehouse: Warehouse) -> None:
    _write(warehouse, "r1")
    republished = _month("2026-03", "G1", file="d" * 64)
    republished["invoice_recon"] = republished["invoice_recon"].slice(0, 1)
    _write(warehouse, "r2", sources=republished)
    with warehouse.read() as connection:
        assert stored_source(connection, "invoice_recon", "2026-03").equals(republished["invoice_recon"])


def test_an_invoice_that_moved_to_another_period_is_kept_once(warehouse: Warehouse) -> None:
    _write(warehouse, "r1")
    _write(warehouse, "r2", period="2026-04", sources=_month("2026-04", "G1"))
    with warehouse.read() as connection:
        assert stored_source(connection, "invoices", "2026-03").num_rows == 0
        assert stored_source(connection, "invoices", "2026-04").num_rows == 1


def test_a_run_without_sources_leaves_them_alone(warehouse: Warehouse) -> None:
    parts = _write(warehouse, "r1")
    _write(warehouse, "r2", sources=None, rejected=rows(QUARANTINE))
    with warehouse.read() as connection:
        assert stored_source(connection, "invoice_recon", "2026-03").equals(parts["sources"]["invoice_recon"])
        assert read_rejected(connection, "2026-03").num_rows == 1


def test_a_known_price_list_under_another_name_is_not_loaded_again(warehouse: Warehouse) -> None:
    _write(warehouse, "r1")
    renamed = _month("2026-03", "G1")
    renamed["price_list"] = rows(
        PRICE_LIST,
        {"file_sha256": "c" * 64, "source_file": "copy.csv", "unit_price": Decimal("7.5")},
        {"file_sha256": "e" * 64, "source_file": "new.csv", "unit_price": Decimal("8")},
    )
    _write(warehouse, "r2", sources=renamed)
    with warehouse.read() as connection:
        assert sorted(_price_lists(connection)["source_file"].to_pylist()) == ["new.csv", "x"]


def test_a_failure_midway_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="line_id"):
        _write(warehouse, "r1", lines=rows(LINES, {}).drop_columns("line_id"))
    with warehouse.read() as connection:
        assert latest_run(connection, "2026-03") is None
        assert stored_source(connection, "invoice_recon", "2026-03").num_rows == 0


def test_the_latest_run_is_the_last_full_one_that_did_not_fail(warehouse: Warehouse) -> None:
    for number, run in enumerate([{}, {}, {"scope": "{}"}, {"status": "failed"}]):
        started = NOON + dt.timedelta(hours=number)
        status = run.pop("status", "reconciled")
        _write(warehouse, f"r{number}", sources=None, run={"started_at": started, **run})
        with warehouse.begin() as connection:
            set_status(connection, f"r{number}", status)
    with warehouse.read() as connection:
        latest = latest_run(connection, "2026-03")
        assert latest is not None
        assert latest["run_id"] == "r1"
        assert latest_run(connection, "2020-01") is None


def test_a_run_counts_as_the_latest_also_where_the_clock_was_set_back(warehouse: Warehouse) -> None:
    before = NOON - dt.timedelta(days=365)
    with warehouse.begin() as connection:
        assert after_all_runs(connection, before) == before
    _write(warehouse, "r1", sources=None)
    with warehouse.begin() as connection:
        assert after_all_runs(connection, before) == NOON + dt.timedelta(microseconds=1)


def test_status(warehouse: Warehouse) -> None:
    _write(warehouse, "r1")
    with warehouse.begin() as connection:
        set_status(connection, "r1", "loaded", finished_at=NOON)
        run = get_run(connection, "r1")
    assert (run["status"], run["finished_at"]) == ("loaded", NOON)


def test_an_unknown_run_is_told_in_one_line(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        for use in (lambda: get_run(connection, "r9"), lambda: set_status(connection, "r9", "loaded")):
            with pytest.raises(InputError, match="there is no run r9"):
                use()


@pytest.mark.parametrize("keeps_sources", [True, False])
def test_lines_are_fetched_and_renumbered_while_they_are_written(warehouse: Warehouse, keeps_sources: bool) -> None:
    """Also those of a run that leaves the period's rows as they are; an empty text and none are the same."""
    names = {"file_sha256": "a" * 64, "source_file": "recon.csv", "invoice_number": None}
    recon = rows(INVOICE_RECON, *({**names, "line_id": "k", "source_row": number} for number in (2, 3, 4)))
    judged = rows(LINES, *({"line_id": "k", "source": "invoice_recon", "source_file": "recon.csv", "source_row": number}
                           for number in (2, 3, 4))).drop_columns(["run_id", "period"])  # fmt: skip
    with warehouse.begin() as connection:
        open_run(connection)
        lines = PeriodLines(connection, "r1", "2026-03", keeps_sources=keeps_sources)
        lines.write(lines.prepare("invoice_recon", recon.drop_columns("period"), judged))
        place = recon.select(["file_sha256", "source_file", "source_row"])
        lines.renumber(Numbered("invoice_recon", place.slice(1, 1).append_column("line_id", pa.array(["k2"]))))
        found = lines.fetch("invoice_recon", place.slice(1))
        assert sorted(found.column("line_id").to_pylist()) == ["k", "k2"]
        wanted = pa.table({"invoice_number": [""], "source_row": [2]})
        assert lines.fetch("invoice_recon", wanted).column("line_id").to_pylist() == ["k"]
        assert lines.fetch("previous", place).num_rows == 0
        assert lines.keep_lines_with_findings(pa.array(["k2", None])) == 1
    with warehouse.read() as connection:
        assert read_lines(connection, "r1").column("line_id").to_pylist() == ["k2"]
        kept = stored_source(connection, "invoice_recon", "2026-03").column("line_id").to_pylist()
    assert kept == (["k", "k2", "k"] if keeps_sources else [])


def test_lines_are_read_of_the_latest_full_run_that_has_them(warehouse: Warehouse) -> None:
    """Also of more ids than PostgreSQL takes parameters."""
    hours = {"run-1": 1, "run-2": 2, "run-3": 3}
    for run_id, hour in hours.items():
        # Only the first run has both lines; the second is of a part of the period.
        names = ["kept", "gone"] if hour == 1 else ["kept"]
        lines = [
            {"run_id": run_id, "period": "2026-03", "line_id": name, "total_amount": Decimal(hour)} for name in names
        ]
        started_at = dt.datetime(2026, 4, 2, hour, tzinfo=dt.UTC)
        scope = "{}" if hour == 2 else None
        _write(warehouse, run_id, lines=rows(LINES, *lines), run={"started_at": started_at, "scope": scope})
    ids = ["gone", "kept", *(f"none-{number}" for number in range(100_000))]
    with warehouse.read() as connection:
        found = read_latest_lines(connection, "2026-03", ids).to_pylist()
        assert read_latest_lines(connection, "2026-02", ids).num_rows == 0
        assert read_latest_lines(connection, "2026-03", []).num_rows == 0
    assert [(one["line_id"], one["run_id"], one["total_amount"]) for one in found] == [
        ("gone", "run-1", Decimal(1)), ("kept", "run-3", Decimal(3))]  # fmt: skip
