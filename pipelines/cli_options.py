"""Arguments and options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pipelines.completion import complete_codes, complete_periods, complete_runs


class Severity(StrEnum):
    """How grave a finding is."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Recorded = Annotated[bool, typer.Option("--prefect", help="Record the command as a Prefect flow run.")]
Period = Annotated[
    str, typer.Option("--period", help="Billing period, YYYY-MM.", autocompletion=complete_periods)
]
RunId = Annotated[
    str,
    typer.Argument(help="Id of the run, as `run`, `reconcile` and `status` print it.", autocompletion=complete_runs),
]
Codes = Annotated[
    list[str] | None,
    typer.Option("--code", help="Only this finding code; repeatable.", autocompletion=complete_codes),
]
