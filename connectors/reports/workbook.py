"""The workbook of a run, for people who live in a spreadsheet."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.workbook import Workbook

from connectors.reports import sheets
from connectors.reports.atomic import replacing
from connectors.reports.cells import Cells
from connectors.reports.contents import ReportContents, StoredLines, open_lines
from connectors.reports.grid import write_grid
from connectors.reports.headline import headline
from connectors.reports.sheets import LINE_SHEETS, MOST_LINES
from connectors.reports.summary_sheet import write_summary
from connectors.unfinished import remove_left, temporary_folder
from connectors.warehouse.engine import Warehouse

#: More cells than these are written row by row. Then the rows have filters, but are no Excel tables.
_CELLS_IN_MEMORY = 600_000
#: Of the folder for the parts of a file, which the library leaves there when it fails.
_FOLDER = "csp-billing-workbook-"


def write_workbook(warehouse: Warehouse, contents: ReportContents, path: Path) -> None:
    """Write the workbook of a run.

    Every figure is a number with at most 15 digits, in the format of its currency; totals are formulas and have their
    values from the warehouse. A source of more lines than a sheet has rows is shown by those that findings name.

    Args:
        warehouse: has the lines.
        contents: the run.
        path: the file, which is replaced whole.

    Raises:
        InputError: it cannot be written.
        WarehouseError: the warehouse is not reachable.
    """
    with ExitStack() as stack:
        new = stack.enter_context(replacing(path))
        remove_left(_FOLDER)
        parts = stack.enter_context(temporary_folder(_FOLDER))
        lines = {
            source: stack.enter_context(_open(warehouse, contents, source))
            for source in LINE_SHEETS
            if contents.line_count(source) or source == "invoice_recon"
        }
        try:
            _write(contents, lines, new, parts)
        except FileCreateError as error:
            # What closing the file came to: an OSError's own words, the way the library passes them on.
            raise error.args[0] from None


def _open(warehouse: Warehouse, contents: ReportContents, source: str) -> AbstractContextManager[StoredLines]:
    found = contents.line_count(source) > MOST_LINES
    return open_lines(warehouse, contents.run_id, source, found=found)


def _write(contents: ReportContents, lines: dict[str, StoredLines], path: Path, parts: Path) -> None:
    filled = [
        build(contents) for build in (
            sheets.tieout_sheet, sheets.codes_sheet, sheets.customers_sheet, sheets.findings_sheet,
            sheets.margins_sheet, sheets.changes_sheet, sheets.price_changes_sheet, sheets.trend_sheet,
            sheets.periods_sheet,
        )
    ]  # fmt: skip
    line_grids = {source: sheets.lines_sheet(contents, source, one.count) for source, one in lines.items()}
    cells = sum(grid.count * len(grid.columns) for grid in (*(grid for grid, _ in filled), *line_grids.values()))
    options = {"constant_memory": cells > _CELLS_IN_MEMORY, "tmpdir": str(parts)}
    with Workbook(str(path), options) as workbook:
        workbook.use_zip64()
        workbook.set_properties({
            "title": f"Reconciliation of {contents.period}", "comments": f"csp-billing run {contents.run_id}",
            "created": contents.run["finished_at"] or contents.run["started_at"],
        })  # fmt: skip
        cell = Cells(workbook)
        margins = next(grid for grid, _ in filled if grid.sheet == "Margins")
        write_summary(workbook, cell, contents, headline(contents), line_grids, margins)
        for grid, rows in filled:
            write_grid(workbook, cell, grid, [rows])
        for source, grid in line_grids.items():
            write_grid(workbook, cell, grid, lines[source].batches)
