"""The command that writes the reports of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_options import AsJson, RunId

WithReports = Annotated[bool, typer.Option("--report", help="Write the reports, to <home>/reports/RUN_ID.")]


def report(
    run_id: RunId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write to; else <home>/reports/RUN_ID.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the reports of a run: workbook and page."""
    from pipelines.output import print_json
    from pipelines.progress import shown_progress
    from pipelines.reporting import write_reports
    from pipelines.settings import load_settings

    with shown_progress():
        files = write_reports(load_settings(), run_id, out)
    if as_json:
        print_json({"run_id": run_id, "reports": [str(file) for file in files]})
        return
    for file in files:
        print(file)


def cut_values(
    run_id: RunId,
    rounded: Annotated[
        bool, typer.Option("--rounded", help="Also numbers that are sent with the decimals that HaloPSA keeps.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the values that are longer than HaloPSA takes, and what it is sent of them."""
    from pipelines.alterations import ALTERATION_COLUMNS, list_alterations, shown
    from pipelines.output import print_json, print_records
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    with shown_progress():
        found = list_alterations(load_settings(), run_id, rounded=rounded)
    if as_json:
        print_json(found)
    else:
        print_records(ALTERATION_COLUMNS, [shown(one) for one in found], False, "HaloPSA is sent everything whole")
