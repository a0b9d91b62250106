"""The files: the view's rows with all their digits, of the run that is asked for, whole or as they were before."""

from __future__ import annotations

import csv
import datetime as dt
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.reports import focus as module
from connectors.reports.focus import write_focus
from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from pipelines.billing import reconcile_month
from pipelines.scope import Scope
from pipelines.settings import load_settings
from tests.focus.conftest import PERIOD, Month, reconcile
from tests.warehouse.rows import rows
from transforms.columns import Kind
from transforms.errors import InputError
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.results import RUNS

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*[1-9])?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00Z")
ORDER = [("x_LineId", "ascending"), ("ChargeCategory", "ascending")]


def test_the_files_are_the_view(month: Month, tmp_path: Path) -> None:
    parquet, text = write_focus(month.warehouse, month.run_id, tmp_path / "new" / "folder")
    assert (parquet.name, text.name) == ("focus.parquet", "focus.csv")
    written = pq.read_table(parquet)
    assert written.schema.equals(OUT_FOCUS.schema)
    assert written.sort_by(ORDER).equals(month.focus().sort_by(ORDER))
    assert {file.name for file in parquet.parent.iterdir()} == {parquet.name, text.name}

    with text.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        assert table.fieldnames == OUT_FOCUS.names
        read = list(table)
    for row, line in zip(written.to_pylist(), read, strict=True):
        for name, value in row.items():
            assert _value(line[name], value) == value, name
    assert any(not row["SubAccountName"].isascii() for row in read)


def _value(text: str, like: object) -> object:
    if text == "":
        return None
    if isinstance(like, Decimal):
        assert NUMBER.fullmatch(text), text
        return Decimal(text)
    if isinstance(like, dt.datetime):
        assert MOMENT.fullmatch(text), text
        return dt.datetime.fromisoformat(text)
    return text


def test_a_run_without_lines_has_files_without_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.begin() as connection:
        insert_arrow(connection, RUNS, rows(RUNS, {"run_id": "r", "period": PERIOD, "status": "reconciled"}))
    parquet, text = write_focus(warehouse, "r", tmp_path)
    assert pq.read_table(parquet).num_rows == 0
    assert text.read_text(encoding="utf-8") == ",".join(OUT_FOCUS.names) + "\n"


def test_an_older_run_is_written_as_it_was_or_not_at_all(exports: Path, tmp_path: Path) -> None:
    own = tmp_path / "exports"
    shutil.copytree(exports, own)
    url = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    older = reconcile(tmp_path, own, url)
    before, _ = write_focus(older.warehouse, older.run_id, tmp_path / "before")
    newer = reconcile(tmp_path, own, url)
    again, _ = write_focus(older.warehouse, older.run_id, tmp_path / "again")
    assert newer.run_id != older.run_id
    assert pq.read_table(again).sort_by(ORDER).equals(pq.read_table(before).sort_by(ORDER))

    recon = next(own.glob("*Reconciliation*.csv"))
    recon.write_bytes(recon.read_bytes().replace(b"Contoso", b"Kontoso"))
    latest = reconcile(tmp_path, own, url)
    with pytest.raises(InputError, match=f"lines of run {older.run_id} were delivered again .* {latest.run_id}"):
        write_focus(older.warehouse, older.run_id, tmp_path / "again")
    assert {file.name for file in (tmp_path / "again").iterdir()} == {"focus.parquet", "focus.csv"}


def test_what_cannot_be_written_is_told(exports: Path, tmp_path: Path, duckdb_warehouse: Warehouse) -> None:
    url = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    full = reconcile(tmp_path, exports, url)
    settings = load_settings(home=tmp_path, exports=str(exports), warehouse_url=url)
    part = reconcile_month(settings, PERIOD, scope=Scope(codes=("ABOVE_ERP",)))
    with pytest.raises(InputError, match=r"limited to a part of 2025-11: .* without --customer, --invoice and --code"):
        write_focus(full.warehouse, part.run_id, tmp_path / "out")
    with pytest.raises(InputError, match="there is no run nothing"):
        write_focus(full.warehouse, "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written to .*file: .*(exists|directory)"):
        write_focus(full.warehouse, full.run_id, tmp_path / "file")


def test_a_failure_leaves_the_files_that_were_there(
    duckdb_month: Month, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_focus(duckdb_month.warehouse, duckdb_month.run_id, tmp_path)
    before = [file.read_bytes() for file in files]

    def fail(parquet: Path, path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write_csv", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write_focus(duckdb_month.warehouse, duckdb_month.run_id, tmp_path)
    assert [file.read_bytes() for file in files] == before
    assert set(tmp_path.iterdir()) == set(files)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "=cmd|' /C calc'!A1"]
)
def test_a_text_is_no_formula_in_the_csv(tmp_path: Path, text: str) -> None:
    """A spreadsheet that opens it must not calculate; the Parquet file has the text as it is."""
    names = [column.name for column in OUT_FOCUS.columns if column.kind is Kind.TEXT]
    given = {
        column.name: pa.array([text, "plain", None] if column.name in names else [None] * 3, column.kind.arrow_type)
        for column in OUT_FOCUS.columns
    }
    pq.write_table(pa.table(given), tmp_path / "focus.parquet")
    module._write_csv(tmp_path / "focus.parquet", tmp_path / "focus.csv")
    with (tmp_path / "focus.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    for row, wanted in zip(written, (f"'{text}", "plain", ""), strict=True):
        assert {row[name] for name in names} == {wanted}
