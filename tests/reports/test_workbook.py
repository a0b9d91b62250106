"""The workbook says what the warehouse says, to the cent; its formulas come to the same; partner text stays text."""

from __future__ import annotations

import datetime as dt
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xlsxwriter.workbook import Workbook

from connectors.reports import sheets, workbook
from connectors.reports.cells import Cells, cell_number, cell_text, number_format
from connectors.reports.contents import ReportContents, open_lines, read_contents
from connectors.reports.workbook import write_workbook
from connectors.warehouse.engine import Warehouse, open_warehouse
from tests.reports.stored import Row, make_documents, make_findings, make_lines, make_run, store, store_documents
from transforms.errors import InputError
from transforms.money import currency_exponent
from transforms.tables.reports import REPORT_LINES

#: Names and texts as nobody wants to find them in an export.
HOSTILE = (
    "=cmd|'/c calc'!A0", "+1", "-2+3", "@SUM(1,2)", "\t=1+1", "\r=1+1", "\n=1+1", '=HYPERLINK("http://a","b")',
    "http://partner.example", "mailto:a@b", "internal:'Lines'!A1", "{=1+1}", "0001", "1E5", "TRUE", "#REF!",
    "<r><t>x</t></r>", "<r></r>", "_x0041_", "a\x00b\x1f", "\ufffe\uffff", "one\r\ntwo\nthree", " lead and trail ",
    "<&>\"'", "مرحبا بالعالم", "שלום 123", "한국어 日本語", "👩‍👩‍👧", "x" * 40_000, "👍" * 20_000, "&[Page]", "'quoted",
)  # fmt: skip
SHEETS = ["Summary", "Invoices", "By code", "By customer", "Findings", "Margins", "Changes", "Price changes", "Trend",
          "Periods", "Lines", "Daily usage"]  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(upgraded_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two runs of a month: currencies of no, two and three decimals and none at all, texts that are hostile."""
    file = tmp_path_factory.mktemp("workbook") / "warehouse.duckdb"
    shutil.copyfile(upgraded_file, file)
    made = open_warehouse(f"duckdb:///{file}")
    random = Random(11)
    documents, tieout = make_documents("2026-03")
    store_documents(made, documents)
    for hour, run_id in enumerate(("before", "now")):
        run = make_run(run_id, "2026-03", hour)
        lines = make_lines(random, run, 120)
        for number, line in enumerate(lines):
            line["sku_name"] = HOSTILE[number % len(HOSTILE)]
        findings = make_findings(random, run, lines, 60)
        for number, finding in enumerate(findings):
            finding["message"] = HOSTILE[number % len(HOSTILE)]
        store(made, run, lines, findings, tieout)
    return made


@pytest.fixture(scope="module")
def stored(warehouse: Warehouse) -> ReportContents:
    return read_contents(warehouse, "now")


@pytest.fixture(scope="module", params=["tables", "row by row"])
def written(
    request: pytest.FixtureRequest, stored: ReportContents, warehouse: Warehouse,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    """The workbook, once as a small and once as a large month is written."""
    path = tmp_path_factory.mktemp("out") / "folder" / "reconciliation.xlsx"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "row by row":
            patch.setattr(workbook, "_CELLS_IN_MEMORY", 0)
        write_workbook(warehouse, stored, path)
    return path


class Sheet:
    """A sheet of rows as it is read back."""

    def __init__(self, path: Path, name: str, *, formulas: bool = False) -> None:
        self._sheet = openpyxl.load_workbook(path, data_only=not formulas)[name]
        header = next(row for row in self._sheet.iter_rows() if row[0].fill.fgColor.rgb == "FF1F3864")
        self.header = header[0].row
        self.headings = [cell.value for cell in header]

    def rows(self) -> list[dict[str, Any]]:
        return [dict(zip(self.headings, row, strict=True))
                for row in self._sheet.iter_rows(min_row=self.header + 1, values_only=True)]  # fmt: skip

    def totals(self) -> dict[str, dict[str, Any]]:
        """The rows of totals, by currency; empty for all rows."""
        return {
            str(row[0]).removeprefix("Total").strip(): dict(zip(self.headings, row, strict=True))
            for row in self._sheet.iter_rows(max_row=self.header - 1, values_only=True)
            if str(row[0]) == "Total" or str(row[0]).startswith("Total ")
        }


def cents(value: Any, currency: str | None) -> Decimal:
    """An amount to its currency's smallest coin."""
    return Decimal(str(value or 0)).quantize(Decimal(1).scaleb(-currency_exponent(currency)), ROUND_HALF_UP)


def stored_lines(warehouse: Warehouse, source: str) -> list[Row]:
    with open_lines(warehouse, "now", source) as lines:
        return [row for batch in lines.batches for row in batch.to_pylist()]


def test_figures_and_totals_are_the_warehouse_s(
    written: Path, stored: ReportContents, warehouse: Warehouse
) -> None:
    assert openpyxl.load_workbook(written, read_only=True).sheetnames == SHEETS
    amounts = {"Before tax": "subtotal_amount", "Tax": "tax_amount", "With tax": "total_amount"}
    for source, name in sheets.LINE_SHEETS.items():
        sheet, lines = Sheet(written, name), stored_lines(warehouse, source)
        rows = sheet.rows()
        assert len(rows) == len(lines) > 20
        for row, line in zip(rows, lines, strict=True):
            for heading, column in {**amounts, "Quantity": "quantity", "At ERP price": "erp_amount"}.items():
                value = line[column]
                assert row[heading] is None if value is None else Decimal(str(row[heading])) == cell_number(value)
            assert row["From"].date() == line["charge_start_on"]
        for currency in {line["currency"] for line in lines}:
            total = sheet.totals()[currency or "without a currency"]
            for heading, column in amounts.items():
                exact = sum((line[column] for line in lines if line["currency"] == currency), Decimal(0))
                assert cents(total[heading], currency) == cents(exact, currency)
    leaks = Sheet(written, "By code").totals()[""]
    for currency in {row["leak_currency"] for row in stored.leaks.to_pylist()}:
        exact = sum(row["leak_amount"] for row in stored.leaks.to_pylist() if row["leak_currency"] == currency)
        assert cents(leaks[f"Leak {currency or ''}".strip()], currency) == cents(exact, currency)
    assert leaks["Findings"] == stored.finding_count
    tieout = Sheet(written, "Invoices")
    standing = [row for row in stored.tieout.to_pylist() if row["status"] != "voided"]
    for currency in {row["currency"] for row in standing}:
        total = tieout.totals()[currency or "without a currency"]
        shown = {"Charges": "charge_amount", "Total of the lines": "lines_amount",
                 "Total of the invoice": "invoice_amount", "Difference": "difference_amount"}  # fmt: skip
        for heading, column in shown.items():
            exact = sum(row[column] for row in standing if row["currency"] == currency)
            assert cents(total[heading], currency) == cents(exact, currency)


def test_only_formulas_of_ours_are_formulas(written: Path, stored: ReportContents, warehouse: Warehouse) -> None:
    for sheet in openpyxl.load_workbook(written):
        assert [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.hyperlink] == []
        formulas = {cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"}
        assert all(re.match(r"=(SUM|SUMIFS|SUMPRODUCT|SUBTOTAL|IF)\(", formula) for formula in formulas), formulas
    names = {row["SKU"] for row in Sheet(written, "Lines", formulas=True).rows()}
    lines = stored_lines(warehouse, "invoice_recon")
    assert {name and read_back(name) for name in names} == {read_back(cell_text(line["sku_name"])) for line in lines}
    messages = [row["Message"] for row in Sheet(written, "Findings", formulas=True).rows()]
    assert [read_back(text) for text in messages] == [
        read_back(cell_text(text)) for text in stored.findings["message"].to_pylist()
    ]


def read_back(text: str) -> str:
    """A text as openpyxl reads it, which does not undo the escapes of the file format."""
    return text.replace("_x005F_", "_")


def test_tables_have_filters_frozen_headings_and_safe_names(written: Path) -> None:
    for sheet in openpyxl.load_workbook(written).worksheets[1:]:
        assert sheet.freeze_panes is not None
        assert sheet.print_title_rows is not None
        filters = [table.autoFilter.ref for table in sheet.tables.values()] or [sheet.auto_filter.ref]
        if sheet.title != "Price changes":
            assert all(filters), sheet.title
        assert all(re.fullmatch(r"[A-Za-z]+", name) for name in sheet.tables)


def test_money_has_the_format_of_its_currency(written: Path) -> None:
    book = openpyxl.load_workbook(written)
    sheet = book["Invoices"]
    header = Sheet(written, "Invoices").header
    formats = {}
    for row in sheet.iter_rows(min_row=header + 1):
        formats[row[2].value] = row[10].number_format
    assert formats["JPY"].startswith("#,##0 [$JPY];")
    assert formats["USD"].startswith("#,##0.00 [$USD];")
    assert formats["KWD"].startswith("#,##0.000 [$KWD];")


def test_equal_runs_give_equal_bytes(stored: ReportContents, warehouse: Warehouse, tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(warehouse, stored, tmp_path / name)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_more_lines_than_a_sheet_holds_are_told_and_those_with_findings_shown(
    stored: ReportContents, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_LINES", 50)
    path = tmp_path / "large.xlsx"
    write_workbook(warehouse, stored, path)
    named = set(stored.findings["line_id"].to_pylist())
    lines = [line["line_id"] for line in stored_lines(warehouse, "invoice_recon") if line["line_id"] in named]
    assert [row["Line"] for row in Sheet(path, "Lines").rows()] == lines
    sheet = openpyxl.load_workbook(path)["Lines"]
    told = " ".join(str(cell.value) for row in sheet.iter_rows(max_row=4) for cell in row if cell.value)
    assert "do not fit on a sheet" in told
    assert "out_lines" in told
    summary = openpyxl.load_workbook(path)["Summary"]
    assert all("Lines" not in str(cell.value) for row in summary.iter_rows() for cell in row if cell.data_type == "f")


def test_a_file_that_cannot_be_replaced_is_told_and_left_alone(
    stored: ReportContents, warehouse: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "a.xlsx").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_workbook(warehouse, stored, tmp_path / "a.xlsx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_workbook(warehouse, stored, tmp_path / "file" / "a.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_disk_without_room_for_temporary_files_is_told(
    stored: ReportContents, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library closes the file, and fails, in a way of its own, and leaves its temporary files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, most))
    try:
        with pytest.raises(InputError, match="File too large; make room there and in the folder for temporary files"):
            write_workbook(warehouse, stored, tmp_path / "a.xlsx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


def test_libreoffice_opens_it_and_calculates_the_same(written: Path, tmp_path: Path) -> None:
    """Every formula anew, by a program that is not ours."""
    recalculated = converted(written, tmp_path)
    found, ours = (openpyxl.load_workbook(path, data_only=True) for path in (recalculated, written))
    formulas = openpyxl.load_workbook(written)
    compared = 0
    for sheet in formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    compared += 1
                    values = [Decimal(str(book[sheet.title][cell.coordinate].value)) for book in (ours, found)]
                    assert abs(values[0] - values[1]) < Decimal("0.00001"), (sheet.title, cell.coordinate, cell.value)
    assert compared > 60
    rows = [[{**row, "SKU": None} for row in Sheet(path, "Lines").rows()] for path in (recalculated, written)]
    assert rows[0] == rows[1]


def converted(path: Path, tmp_path: Path) -> Path:
    """The workbook saved by LibreOffice, which calculates all formulas when it opens it."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice Calc is not installed")
    profile = tmp_path / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry">'
        '<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode">'
        "<value>0</value></prop></item></oor:items>"
    )
    command = [soffice, "--headless", f"-env:UserInstallation={profile.as_uri()}", "--convert-to", "xlsx",
               "--outdir", str(tmp_path / "calculated"), str(path)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return tmp_path / "calculated" / path.name


@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), min_size=1, max_size=40), in_rows=st.booleans())
def test_any_text_is_a_text_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], in_rows: bool
) -> None:
    path = tmp_path_factory.mktemp("texts") / "texts.xlsx"
    with Workbook(str(path), {"constant_memory": in_rows}) as book:
        sheet = book.add_worksheet()
        for row, text in enumerate(texts):
            Cells(book).text(sheet, row, 0, text)
    (read,) = openpyxl.load_workbook(path).worksheets
    for row, text in enumerate(texts, 1):
        cell = read.cell(row, 1)
        expected = cell_text(text)
        assert len(expected.encode("utf-16-le")) <= 2 * 32_767
        if expected:
            assert cell.data_type == "s"
            assert read_back(str(cell.value)) == read_back(expected)
        if expected.startswith(tuple("=+-@\t\r\n")):
            assert cell.quotePrefix


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14, places=18))
def test_a_number_keeps_fifteen_digits(number: Decimal) -> None:
    kept = Decimal(cell_number(number))
    assert len(kept.as_tuple().digits) <= 15 + max(0, int(kept.as_tuple().exponent))
    assert abs(kept - number) <= abs(number) * Decimal("5e-15")
    assert Decimal(repr(eval(f"{kept:.16G}"))) == kept


@pytest.mark.parametrize(
    ("value", "currency", "pattern"),
    [
        ("1", "EUR", "#,##0.00 [$EUR]"), ("1.005", "EUR", "#,##0.00# [$EUR]"), ("1", "JPY", "#,##0 [$JPY]"),
        ("1.5", "JPY", "#,##0.# [$JPY]"), ("1", "KWD", "#,##0.000 [$KWD]"), ("5", None, "#,##0"),
        ("0.25", None, "#,##0.##"), ("1", '"]=1', "#,##0.00"),
        ("0.000000000000000001", "EUR", "#,##0.00########## [$EUR]"),
    ],
)  # fmt: skip
def test_formats_of_figures(value: str, currency: str | None, pattern: str) -> None:
    declared = REPORT_LINES["total_amount"]
    assert number_format(Decimal(value), declared, currency) == f"{pattern};[Red]-{pattern}"


def test_days_that_a_spreadsheet_cannot_count_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "days.xlsx"
    days = [dt.date(1753, 1, 2), dt.date(1900, 3, 1), dt.date(2026, 3, 31), dt.date(9999, 12, 31)]
    moment = dt.datetime(2026, 3, 31, 13, 37, tzinfo=dt.UTC)
    with Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for row, day in enumerate(days):
            Cells(book).day(sheet, row, 0, day)
        Cells(book).moment(sheet, len(days), 0, moment)
    (read,) = openpyxl.load_workbook(path).worksheets
    values: Iterator[Any] = (cell.value for (cell,) in read.iter_rows())
    assert next(values) == "1753-01-02"
    assert [next(values).date() for _ in days[1:]] == days[1:]
    assert next(values) == moment.replace(tzinfo=None)
