"""The commands of the approver: approve a run, waive findings, see where each period stands."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_options import AsJson, RunId
from pipelines.completion import complete_periods, complete_waivers

waivers_app = typer.Typer(help="Single findings that are accepted until a day, with a reason; they do not block.",
                          no_args_is_help=True)  # fmt: skip

By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.")]


def approve(
    run_id: RunId,
    by: By,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, or what is to be done.")] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Say no instead, or take an earlier approval back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Approve the results of a run, so that it can be marked as billed.

    The approval holds for every run of the month with the same results, and for none with others.
    """
    from connectors.reports.amounts import counted, verb
    from connectors.warehouse.approvals import APPROVED, REJECTED
    from pipelines.approval import decide, told
    from pipelines.output import print_json, say
    from pipelines.settings import load_settings

    decided = decide(load_settings(), run_id, REJECTED if reject else APPROVED, by=by, note=note)
    if as_json:
        print_json(decided)
        return
    say(told(decided))
    blocking, waived = decided["blocking"], decided["waived"]
    stay = f"{verb('stay', blocking)} open and {'is' if blocking == 1 else 'are'} listed as before"
    counts = [f"{counted(blocking, 'finding')} of severity block {stay}"] if blocking else ["no finding blocks"]
    say(", ".join([*counts, *([f"{waived} more {verb('are', waived)} waived"] if waived else [])]))
    if reject:
        say("it is not marked as billed until somebody approves it")
    elif decided["status"] == "reconciled":
        say(f"next: load it with `csp-billing load {run_id}`, then mark it with `csp-billing mark-billed {run_id}`")
    elif decided["status"] != "billed":
        say(f"next: mark it as billed with `csp-billing mark-billed {run_id}`")


def status(
    period: Annotated[
        str | None, typer.Option("--period", help="Only this period, YYYY-MM.", autocompletion=complete_periods)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say where each period stands, and what to do next.

    By its latest run: what blocks, who approved it, what of it is in HaloPSA. HaloPSA is not asked.
    """
    from pipelines.output import print_json, print_table, say
    from pipelines.period_status import STATUS_COLUMNS, period_status, status_row, status_sentences
    from pipelines.settings import load_settings

    found = period_status(load_settings(), period)
    if as_json:
        print_json(found)
        return
    if not found:
        say("no month was reconciled yet: begin with `csp-billing run --period YYYY-MM --dry-run`")
        return
    print_table(STATUS_COLUMNS, [status_row(one) for one in found])
    print()
    for one in found:
        for sentence in status_sentences(one):
            say(sentence)


@waivers_app.command("add")
def waivers_add(
    findings: Annotated[
        list[str], typer.Argument(metavar="FINDING_ID…", help="Findings, as `csp-billing findings` lists them.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why they are accepted.")],
    by: By,
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Last day on which it holds (UTC).")],
    as_json: AsJson = False,
) -> None:
    """Waive findings of the latest runs: they stay listed, and do not block until the day is over."""
    from pipelines.settings import load_settings
    from pipelines.waiving import add_waivers

    _print(add_waivers(load_settings(), findings, reason=reason, by=by, until=until), as_json)


@waivers_app.command("list")
def waivers_list(
    period: Annotated[
        str | None, typer.Option("--period", help="Only of this period, YYYY-MM.", autocompletion=complete_periods)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are expired or ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the waivers that are in force."""
    from pipelines.settings import load_settings
    from pipelines.waiving import list_waivers

    _print(list_waivers(load_settings(), period, every=every), as_json)


@waivers_app.command("end")
def waivers_end(
    waiver_id: Annotated[
        str,
        typer.Argument(
            help="Id of the waiver, as `csp-billing waivers list` prints it.", autocompletion=complete_waivers
        ),
    ],
    by: By,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    as_json: AsJson = False,
) -> None:
    """End a waiver before its last day: its finding blocks again."""
    from pipelines.settings import load_settings
    from pipelines.waiving import end_waiver

    _print([end_waiver(load_settings(), waiver_id, by=by, reason=reason)], as_json)


def _print(waivers: list[dict[str, object]], as_json: bool) -> None:
    from pipelines.output import print_records
    from pipelines.settings import load_settings
    from pipelines.waiving import WAIVER_COLUMNS, with_tenants

    shown = waivers if as_json else with_tenants(load_settings(), waivers)
    print_records(WAIVER_COLUMNS, shown, as_json, "no such waiver: `csp-billing waivers add FINDING_ID` makes one")
