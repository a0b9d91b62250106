"""The reports of a run: a workbook, a page and FOCUS, each there whole or as it was before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import get_run
from pipelines.progress import tell_progress
from pipelines.run_summary import RunSummary
from pipelines.settings import Settings
from transforms.errors import BillingError, InputError

if TYPE_CHECKING:
    from pipelines.billing import Step

PAGE = "reconciliation.html"


def write_reports(settings: Settings, run_id: str, folder: Path | None = None) -> list[Path]:
    """Write all reports of a stored run, in place of those that are there.

    Args:
        settings: name the warehouse and the working folder.
        run_id: the run.
        folder: is made where there is none; else `<home>/reports/<run>`.

    Returns:
        The files.

    Raises:
        InputError: there is no such run, or a file cannot be written.
        WarehouseError: the warehouse is not reachable or not upgraded.
    """
    # What draws and writes them is needed by no other command.
    from connectors.reports.contents import read_contents
    from connectors.reports.page import write_page
    from connectors.reports.workbook import write_workbook

    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    tell_progress("reading the run")
    contents = read_contents(warehouse, run_id)
    folder = folder or settings.reports_of(run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}; name another folder with --out") from None
    workbook, page = folder / "reconciliation.xlsx", folder / PAGE
    tell_progress("writing the page")
    write_page(contents, page)
    tell_progress("writing the workbook")
    write_workbook(warehouse, contents, workbook)
    tell_progress("writing FOCUS")
    return [workbook, page, *_focus(warehouse, run_id, folder)]


def _focus(warehouse: Warehouse, run_id: str, folder: Path) -> list[Path]:
    """The FOCUS files; none of an ad hoc run, whose lines are no whole invoices."""
    from connectors.reports.focus import write_focus

    with warehouse.read() as connection:
        if get_run(connection, run_id)["scope"] is not None:
            return []
    return write_focus(warehouse, run_id, folder)


def renewed(settings: Settings, summary: RunSummary, step: Step) -> RunSummary:
    """The summary of a run after its reports were renewed, where there are some in their usual folder."""
    if not (settings.reports_of(summary.run_id) / PAGE).exists():
        return summary
    return with_reports(settings, summary, step)


def with_reports(settings: Settings, summary: RunSummary, step: Step) -> RunSummary:
    """Write the reports of a run that was just made; that they cannot be written is no failure of the month."""
    try:
        files = step(write_reports, settings, summary.run_id)
    except BillingError as error:
        told = f"the reports are not written: {error}; `csp-billing report {summary.run_id}` does it"
        return replace(summary, notices=(*summary.notices, told))
    return replace(summary, reports=tuple(str(file) for file in files))
