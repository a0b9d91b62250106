"""Findings as the command line lists them: all of them in a pipe, one line each on a terminal.

A terminal shows them code by code, without what is the same or empty for all of a code, and with as many of the figures
as there is room for. Their ids are shortened there to what tells them apart, which every command takes for the whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from connectors.reports.amounts import counted
from pipelines.inspection import FindingList
from pipelines.output import cell_text, note, print_records, print_table, say
from pipelines.scope import part_of
from transforms.finding_help import FINDING_HELP
from transforms.policy import SEVERITY_ORDER

#: What of a finding fits on a line of a pipe; `--json` and the view out_findings have everything.
COLUMNS = ["finding_id", "code", "severity", "waived_until", "invoice_number", "customer_name", "line_id",
           "expected_amount", "actual_amount", "difference_amount", "currency", "message"]  # fmt: skip
#: What a terminal shows of them, besides the id, under shorter headings.
_HEADINGS = {
    "waived_until": "waived until", "invoice_number": "invoice", "customer_name": "customer",
    "expected_amount": "expected", "actual_amount": "actual", "difference_amount": "difference",
    "currency": "currency", "message": "what is wrong",
}  # fmt: skip
#: What is left out first where a terminal is too narrow for all.
_SPARED = ("expected_amount", "actual_amount", "waived_until")
#: A sentence is shown where it gets as many columns; else `explain` has it.
_ROOM_FOR_SENTENCE = 40
#: Columns that leave a sentence room enough on any terminal.
_FEW = 1
_SHORTEST_ID = 8
_GAP = 3


def print_findings(found: FindingList) -> None:
    """Print a run's findings, and what they are of."""
    rows = [
        {**row, "customer_name": with_tenant(row["customer_name"], row["customer_id"], found.namesakes)}
        for row in found.findings
    ]
    if not sys.stdout.isatty():
        _tell_run(found, note)
        print_records(COLUMNS, rows, False)
        return
    ids = short_ids([row["finding_id"] for row in rows if row["finding_id"]])
    for severity, code in dict.fromkeys((row["severity"], row["code"]) for row in rows):
        own = [row for row in rows if (row["severity"], row["code"]) == (severity, code)]
        say(f"{code} ({severity}, {len(own)}): {FINDING_HELP[code].fires_when}")
        _print_group([{**row, "finding_id": ids.get(row["finding_id"], "")} for row in own])
        print()
    _tell_run(found, say)
    if rows:
        say("`csp-billing explain FINDING` says why with every figure; `--json` has everything")


def with_tenant(name: str | None, tenant: str | None, namesakes: Collection[str]) -> str | None:
    """A customer's name, with the beginning of its tenant's id where several customers have that name."""
    return f"{name} ({tenant[:_SHORTEST_ID]})" if name in namesakes and tenant else name


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Each id shortened to what tells them all apart, all to the same length."""
    different = set(ids)
    length = next(
        (length for length in range(_SHORTEST_ID, 24) if len({one[:length] for one in different}) == len(different)), 24
    )
    return {one: one[:length] for one in different}


def _tell_run(found: FindingList, tell: Any) -> None:
    """Which run it is, how much was found, and what else there is."""
    run = found.run
    part = part_of(run)
    counts = {name: sum(row["severity"] == name for row in found.findings) for name in SEVERITY_ORDER}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    decided = f"; {found.decision}" if found.decision else ""
    total = counted(len(found.findings), "finding") if found.findings else "no findings"
    tell(f"{total} of run {run['run_id']} of {run['period']}{f', only {part}' if part else ''}"
         f"{f': {told}' if told else ''}{decided}")  # fmt: skip
    if (later := found.later_part) is not None:
        tell(f"a later run, {later['run_id']}, is of a part of {later['period']} ({part_of(later)}): `csp-billing "
             f"findings --run {later['run_id']}` lists what it found")  # fmt: skip


def _print_group(rows: Sequence[Mapping[str, Any]]) -> None:
    """The findings of one code, each in one line but for sentences."""
    shown = [name for name in _HEADINGS if any(row[name] not in (None, "") for row in rows)]
    if not any(name.endswith("_amount") for name in shown):
        shown = [name for name in shown if name != "currency"]
    room = shutil.get_terminal_size().columns
    figures = [name for name in shown if name != "message"]
    # A finding about no line, such as one about a row that could not be read, says all in its sentence.
    if len(figures) > _FEW and _width(rows, figures) + _ROOM_FOR_SENTENCE > room:
        shown = figures
    for name in _SPARED:
        if name in shown and _width(rows, [one for one in shown if one != "message"]) > room:
            shown.remove(name)
    columns = ["finding", *(_HEADINGS[name] for name in shown)]
    print_table(columns, [[row["finding_id"], *(row[name] for name in shown)] for row in rows])


def _width(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int:
    """About how many columns of a terminal these take, with the id."""
    widths = [
        max(len(_HEADINGS[name]), *(len(cell_text(row[name], name, row["currency"])) for row in rows)) for name in names
    ]
    return sum(widths) + max(len(row["finding_id"]) for row in rows) + _GAP * len(names)
