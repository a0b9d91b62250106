"""A sheet of rows: title, notes, totals that follow the filter, and under a frozen header the rows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
from xlsxwriter.utility import xl_range_abs, xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from connectors.reports.cells import Cells, currency_column, is_plain_code, number_format
from transforms.columns import Column, Kind, Table

#: What an .xlsx sheet holds.
SHEET_ROWS = 1_048_576
#: Up to so many rows, totals by currency follow the filter too; beyond, recalculating them would be felt.
_FILTERED_ROWS = 5_000
_HEADER = {"bold": True, "font_color": "#FFFFFF", "bg_color": "#1F3864", "text_wrap": True, "valign": "vcenter",
           "border": 1, "border_color": "#FFFFFF"}  # fmt: skip
_TITLE = {"bold": True, "font_size": 14}
_TOTAL = {"bold": True, "bg_color": "#E7ECF5"}
_NOTE = {"font_color": "#595959"}
_RED = {"font_color": "#9C0006", "bg_color": "#FFC7CE"}
_YELLOW = {"font_color": "#7F6000", "bg_color": "#FFEB9C"}
_GREEN = {"font_color": "#006100", "bg_color": "#C6EFCE"}
#: How findings and invoices stand is seen by colour.
_MARKED = {
    "block": _RED, "mismatch": _RED, "invoice_not_found": _RED, "without_lines": _RED,
    "warn": _YELLOW, "tax_only": _YELLOW, "matched": _GREEN, "billed": _GREEN,
}  # fmt: skip
_MARKS = ("severity", "status")
#: A text that keeps away from the figure before it.
BESIDE = {"align": "left", "indent": 1}
_ROW_HEIGHT = 15
_MOST_WRAPPED = 10


@dataclass(frozen=True)
class Shown:
    """How a column is shown: heading, width in characters, whether long texts are wrapped."""

    name: str
    heading: str
    width: int
    wraps: bool = False


@dataclass(frozen=True)
class TotalRow:
    """What the rows of one currency add up to, exactly, by column name; a percentage among them is of two others.

    An empty currency is that of rows that name none. With None it is what all rows add up to, each column being in one
    currency or in none.
    """

    label: str
    currency: str | None
    values: Mapping[str, Decimal | int]


@dataclass(frozen=True)
class Grid:
    """A sheet of rows before it is written, so that other sheets can refer to its cells.

    Attributes:
        sheet: its name, one of ours.
        title: first line.
        notes: sentences below it.
        table: declares the columns: kind, and where a figure's currency stands. A unit that is a currency's code, and
            not a column, is the currency of all figures of the column.
        columns: those that are shown, in order; the first one stays in sight when scrolling.
        count: how many rows.
        totals: rows of totals.
        key: the column with the currency that the totals are by.
        left_out: a column and a value in it: rows that have it do not count in the totals.
        ratios: percentages, each with the columns of its part and its whole.
        printed: how many columns are printed, so that a page can be read; None for all.
        empty: what is said where there is no row.
    """

    sheet: str
    title: str
    table: Table
    columns: Sequence[Shown]
    count: int
    notes: Sequence[str] = ()
    totals: Sequence[TotalRow] = ()
    key: str = ""
    left_out: tuple[str, str] | None = None
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    empty: str = "There are none."
    printed: int | None = None

    @property
    def header_row(self) -> int:
        """Row of the headings, from 0."""
        return 1 + len(self.notes) + (1 if self.totals else 0) + len(self.totals)

    @property
    def _first(self) -> int:
        return self.header_row + 1

    def column(self, name: str) -> int:
        """Place of a column, from 0."""
        return [one.name for one in self.columns].index(name)

    def cells(self, name: str) -> str:
        """The cells of a column, for a formula of the same sheet."""
        at = self.column(name)
        return str(xl_range_abs(self._first, at, self.header_row + self.count, at))

    def sum_formula(self, name: str, currency: str | None, from_sheet: str = "") -> str:
        """A formula for the total of a column in one currency, whatever the filter.

        Args:
            name: the column.
            currency: None for all rows.
            from_sheet: the sheet that the formula is for, if another one.
        """
        prefix = f"'{self.sheet}'!" if from_sheet != self.sheet else ""
        summed = prefix + self.cells(name)
        # "=" asks for what is empty.
        criteria = [(self.key, currency or "=")] if currency is not None else []
        if self.left_out:
            criteria.append((self.left_out[0], f"<>{self.left_out[1]}"))
        if not criteria:
            return f"=SUM({summed})"
        asked = [f'{prefix}{self.cells(at)},"{value}"' for at, value in criteria]
        return f"=SUMIFS({summed},{','.join(asked)})"

    @property
    def can_be_asked(self) -> bool:
        """Whether a formula can tell the currencies apart, and there is anything to ask."""
        codes = [total.currency for total in self.totals if total.currency is not None]
        return self.count > 0 and all(not code or is_plain_code(code) for code in codes)

    @property
    def follows_filter(self) -> bool:
        """Whether the totals are those of the rows that a filter leaves."""
        return self.can_be_asked and (self._is_simple or self.count <= _FILTERED_ROWS)

    @property
    def _is_simple(self) -> bool:
        """Whether all rows are of one currency and all count."""
        return len(self.totals) == 1 and self.left_out is None

    def total_formula(self, name: str, currency: str | None) -> str:
        """The formula of a total on the sheet itself."""
        if not self.follows_filter:
            return self.sum_formula(name, currency, self.sheet)
        cells = self.cells(name)
        if self._is_simple:
            return f"=SUBTOTAL(109,{cells})"
        top = xl_rowcol_to_cell(self._first, self.column(name), row_abs=True, col_abs=True)
        rows = f"SUBTOTAL(109,OFFSET({top},ROW({cells})-ROW({top}),0))"
        conditions = [f'--({self.cells(self.key)}="{currency}")'] if currency is not None else []
        if self.left_out:
            conditions.append(f'--({self.cells(self.left_out[0])}<>"{self.left_out[1]}")')
        return f"=SUMPRODUCT({','.join([rows, *conditions])})"


def write_grid(workbook: Workbook, cells: Cells, grid: Grid, rows: Iterable[pa.RecordBatch | pa.Table]) -> Worksheet:
    """Add the sheet to the workbook.

    Args:
        workbook: the workbook.
        cells: its cells.
        grid: the sheet.
        rows: all its rows, in columns of `grid.table`.
    """
    sheet = workbook.add_worksheet(grid.sheet)
    for at, column in enumerate(grid.columns):
        sheet.set_column(at, at, column.width)
    sheet.set_row(0, 24)
    cells.text(sheet, 0, 0, grid.title, **_TITLE)
    for row, note in enumerate(grid.notes, 1):
        cells.text(sheet, row, 0, note, **_NOTE)
    _write_totals(sheet, cells, grid)
    sheet.set_row(grid.header_row, 32)
    for at, column in enumerate(grid.columns):
        cells.text(sheet, grid.header_row, at, column.heading, **_header(grid, column))
    written = _write_rows(sheet, cells, grid, rows)
    if written != grid.count:
        raise ValueError(f"sheet {grid.sheet} was to have {grid.count} rows and has {written}")
    _finish(workbook, sheet, cells, grid)
    return sheet


def _write_totals(sheet: Worksheet, cells: Cells, grid: Grid) -> None:
    """Totals above the rows, where they stay in sight, each in the column that it adds up."""
    if not grid.totals:
        return
    first = 1 + len(grid.notes)
    told = "Totals of the rows that the filter leaves" if grid.follows_filter else "Totals of all rows"
    if grid.left_out:
        told += f"; those that are {grid.left_out[1]} do not count"
    cells.text(sheet, first, 0, f"{told}:", **_NOTE)
    for row, total in enumerate(grid.totals, first + 1):
        cells.text(sheet, row, 0, total.label, **_TOTAL)
        for at, column in enumerate(grid.columns[1:], 1):
            if column.name not in total.values:
                sheet.write_blank(row, at, None, cells.format(**_TOTAL))
                continue
            value, declared = total.values[column.name], grid.table[column.name]
            _write_total(sheet, cells, grid, (row, at), total, declared, value)


def _write_total(
    sheet: Worksheet, cells: Cells, grid: Grid, place: tuple[int, int], total: TotalRow, declared: Column,
    value: Decimal | int,
) -> None:  # fmt: skip
    currency = total.currency or _fixed_currency(grid.table, declared)
    style: dict[str, Any] = {"num_format": number_format(value, declared, currency, shortened=True), **_TOTAL}
    shown = value.scaleb(-2) if declared.unit == "percent" and isinstance(value, Decimal) else value
    if not grid.can_be_asked:
        cells.number(sheet, *place, shown, **style)
    elif declared.name in grid.ratios:
        part, whole = (xl_rowcol_to_cell(place[0], grid.column(name)) for name in grid.ratios[declared.name])
        cells.formula(sheet, *place, f"=IF({whole}=0,0,{part}/{whole})", shown, **style)
    else:
        cells.formula(sheet, *place, grid.total_formula(declared.name, total.currency), shown, **style)


def _write_rows(sheet: Worksheet, cells: Cells, grid: Grid, batches: Iterable[pa.RecordBatch | pa.Table]) -> int:
    shown = []
    for at, column in enumerate(grid.columns):
        declared = grid.table[column.name]
        marks = _MARKED if column.name in _MARKS else {}
        write = cells.column(sheet, at, declared, marks, **_properties(grid, column))
        fixed = _fixed_currency(grid.table, declared)
        shown.append((column.name, currency_column(grid.table, column.name), fixed, write))
    wrapped = [one for one in grid.columns if one.wraps]
    row = grid.header_row
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        for number in range(batch.num_rows):
            row += 1
            if wrapped:
                # Not every program does that by itself.
                lines = max(len(columns[one.name][number] or "") // one.width for one in wrapped) + 1
                sheet.set_row(row, _ROW_HEIGHT * min(lines, _MOST_WRAPPED))
            for name, in_column, fixed, write in shown:
                write(row, columns[name][number], columns[in_column][number] if in_column else fixed)
    if not grid.count:
        cells.text(sheet, row + 1, 0, grid.empty, **_NOTE)
    return row - grid.header_row


def _finish(workbook: Workbook, sheet: Worksheet, cells: Cells, grid: Grid) -> None:
    """Table or filter, what stays in sight, and how it is printed."""
    last, right = grid.header_row + grid.count, len(grid.columns) - 1
    if grid.count and not workbook.constant_memory:
        headings = [
            {"header": one.heading, "header_format": cells.format(**_header(grid, one))} for one in grid.columns
        ]
        sheet.add_table(grid.header_row, 0, last, right, {
            "columns": headings, "name": f"{grid.sheet.replace(' ', '')}Table", "style": "Table Style Light 1",
        })  # fmt: skip
    elif grid.count:
        sheet.autofilter(grid.header_row, 0, last, right)
    sheet.freeze_panes(grid.header_row + 1, 1)
    # Ids of digits alone are texts on purpose.
    sheet.ignore_errors({"number_stored_as_text": xl_range_abs(0, 0, SHEET_ROWS - 1, right)})
    set_up_print(sheet)
    sheet.repeat_rows(grid.header_row)
    if grid.printed:
        sheet.print_area(0, 0, max(last, grid.header_row + 1), grid.printed - 1)


def set_up_print(sheet: Worksheet) -> None:
    """A4, as wide as the page, with the sheet's name and the page's number."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&R&P / &N")


def _properties(grid: Grid, column: Shown) -> dict[str, Any]:
    """How the cells of a column look; texts keep away from the figures before them."""
    first, text = column is grid.columns[0], grid.table[column.name].kind is Kind.TEXT
    return ({"text_wrap": True} if column.wraps else {}) | (BESIDE if text and not first else {})


def _header(grid: Grid, column: Shown) -> dict[str, Any]:
    """How a heading looks."""
    text = grid.table[column.name].kind is Kind.TEXT
    return {**_HEADER, **(_properties(grid, column) if text else {"align": "center"})}


def _fixed_currency(table: Table, column: Column) -> str | None:
    """The currency that all figures of a column are in; None where a column tells it, or there is none."""
    if column.kind is not Kind.USAGE_AMOUNT or column.unit in table.names:
        return None
    return column.unit or None
