"""The command line. Commands import what they need when they run, so that `--help` is instant."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_approval import approve, status, waivers_app
from pipelines.cli_fetch import fetch
from pipelines.cli_landing import landing_app
from pipelines.cli_options import AsJson, Codes, Period, Recorded, RunId, Severity
from pipelines.cli_orders import integrations_app, orders_app, subscriptions_app
from pipelines.cli_reports import WithReports, cut_values, report
from pipelines.cli_warehouse import customers_app, warehouse_app
from pipelines.completion import complete_periods, complete_runs
from transforms.errors import NO_ROOM, BillingError, RemoteError, StoppedError
from transforms.hidden import without_secrets

if TYPE_CHECKING:
    from pipelines.billing import RunSummary

# As tables are: rich on a terminal, plain in a pipe, which takes half the time; wide, so that no sentence is cut there.
_ON_TERMINAL = sys.stdout.isatty()
app = typer.Typer(
    name="csp-billing",
    help="Reconcile Microsoft CSP exports to the cent and bill them through HaloPSA exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if _ON_TERMINAL else None,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": None if _ON_TERMINAL else 120},
)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(customers_app, name="customers")
app.add_typer(landing_app, name="landing")
app.add_typer(waivers_app, name="waivers")
app.add_typer(orders_app, name="orders")
app.add_typer(integrations_app, name="integrations")
app.add_typer(subscriptions_app, name="subscriptions")

#: The flows that make a run.
_COMPARING = ("monthly_billing", "reconcile")


@app.callback()
def _logging(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log each step on stderr; twice: what it does, too.")
    ] = 0,
) -> None:
    from pipelines import telemetry

    telemetry.be_verbose(("", "info", "debug")[min(verbose, 2)])


Exports = Annotated[str | None, typer.Option("--exports", help="Folder or URL of exports; without, they are fetched.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Reconcile and store, but write nothing to HaloPSA.")]
Approve = Annotated[bool, typer.Option("--approve", help="Approve the results, and mark as billed.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who approves; else CSP_BILLING_APPROVER or the user.")
]
AllPrices = Annotated[bool, typer.Option("--all-prices", help="Post the whole price list.")]


@app.command()
def run(
    period: Period,
    exports: Exports = None,
    dry_run: DryRun = False,
    approve: Approve = False,
    by: By = None,
    all_prices: AllPrices = False,
    report: WithReports = False,
    prefect: Recorded = False,
    as_json: AsJson = False,
) -> None:
    """Bill a month: extract, reconcile, store, load to HaloPSA, mark as billed if nothing blocks."""

    def steps() -> RunSummary:
        from pipelines.billing import bill_month
        from pipelines.people import approver_in_advance
        from pipelines.settings import load_settings

        settings = load_settings(exports=exports)
        who = approver_in_advance(settings, approve, by)
        return bill_month(settings, period, dry_run=dry_run, approved_by=who, all_prices=all_prices, report=report)

    parameters = {"exports": exports, "dry_run": dry_run, "approve": approve, "approved_by": by, "report": report}
    _report(prefect, "monthly_billing", {"period": period, **parameters, "all_prices": all_prices}, steps, as_json)


@app.command()
def reconcile(
    period: Period,
    exports: Exports = None,
    customer: Annotated[
        list[str] | None, typer.Option("--customer", help="Only the customer of this tenant id; repeatable.")
    ] = None,
    invoice: Annotated[list[str] | None, typer.Option("--invoice", help="Only this invoice; repeatable.")] = None,
    code: Codes = None,
    prefect: Recorded = False,
    as_json: AsJson = False,
) -> None:
    """Reconcile a month without any HaloPSA write."""

    def steps() -> RunSummary:
        from pipelines.billing import reconcile_month
        from pipelines.scope import Scope, finding_codes
        from pipelines.settings import load_settings

        scope = Scope(tuple(customer or ()), tuple(invoice or ()), finding_codes(code or ()))
        return reconcile_month(load_settings(exports=exports), period, scope)

    parameters = {"period": period, "exports": exports, "customers": customer, "invoices": invoice, "codes": code}
    _report(prefect, "reconcile", parameters, steps, as_json)


@app.command()
def load(
    run_id: RunId,
    all_prices: AllPrices = False,
    resend_prices: Annotated[
        bool, typer.Option("--resend-prices", help="Send also prices that may be in HaloPSA already.")
    ] = False,
    prefect: Recorded = False,
    as_json: AsJson = False,
) -> None:
    """Load a stored run to HaloPSA; what is there already is not sent again."""

    def steps() -> RunSummary:
        from pipelines.billing import load_stored_run
        from pipelines.settings import load_settings

        return load_stored_run(load_settings(), run_id, all_prices=all_prices, resend_prices=resend_prices)

    parameters = {"run_id": run_id, "all_prices": all_prices, "resend_prices": resend_prices}
    _report(prefect, "load", parameters, steps, as_json)


@app.command("mark-billed")
def mark_billed(run_id: RunId, approve: Approve = False, by: By = None, as_json: AsJson = False) -> None:
    """Mark a loaded run that is approved, or that nothing blocks, as billed in HaloPSA."""

    def steps() -> RunSummary:
        from pipelines.billing import mark_stored_run
        from pipelines.people import approver_in_advance
        from pipelines.settings import load_settings

        settings = load_settings()
        return mark_stored_run(settings, run_id, approved_by=approver_in_advance(settings, approve, by))

    _report(False, None, {"run_id": run_id}, steps, as_json)


app.command()(fetch)
app.command()(approve)
app.command()(status)
app.command()(report)
app.command("cut-values")(cut_values)


@app.command()
def findings(
    run: Annotated[str | None, typer.Option("--run", help="Id of the run.", autocompletion=complete_runs)] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="The latest run of this period.", autocompletion=complete_periods)
    ] = None,
    code: Codes = None,
    severity: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only findings of this severity; repeatable.")
    ] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only findings that no waiver is in force for.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the findings of a run; without a run or period those of the last run of a whole period."""
    from pipelines.inspection import list_findings
    from pipelines.output import print_json
    from pipelines.settings import load_settings

    severities = [one.value for one in severity or []]
    found = list_findings(load_settings(), run, period, code or [], severities, only_open=only_open)
    if as_json:
        print_json(found.findings)
    else:
        from pipelines.finding_list import print_findings

        print_findings(found)


@app.command()
def explain(
    line_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a line or finding, as findings and out_lines print it, or what it begins with."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Say why a line was judged as it was: source, price row, every rule with its figures; or what a finding says."""
    from pipelines.inspection import explain as explain_stored
    from pipelines.output import print_json
    from pipelines.settings import load_settings
    from pipelines.summaries import print_explanation

    document = explain_stored(load_settings(), line_id)
    if as_json:
        print_json(document)
    else:
        print_explanation(document)


@app.command()
def identify(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or URLs.")], as_json: AsJson = False
) -> None:
    """Say what each file is, by its content."""
    from pipelines.identification import IDENTITY_COLUMNS, identify_paths
    from pipelines.output import print_records
    from pipelines.progress import shown_progress

    with shown_progress():
        found = identify_paths(paths)
    print_records(IDENTITY_COLUMNS, [vars(identity) for identity in found], as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check settings (secrets masked), the warehouse, and whether HaloPSA and Partner Center answer."""
    from pipelines.examination import examine
    from pipelines.output import print_json, print_table
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    settings = load_settings()
    with shown_progress():
        report = examine(settings)
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(["setting", "value", "from"], report.told())
        print()
        print_table(["part", "state"], report.states)
    raise typer.Exit(report.exit_code)


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on this machine; 0 for any free one.")
    ] = 8765,
    store: Annotated[
        Path | None, typer.Option("--store", help="File that keeps the records; without it they are forgotten.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a local HaloPSA until interrupted."""
    from pipelines.sandbox import run_sandbox

    run_sandbox(port, store, as_json=as_json)


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Folder for everything the demo makes.")] = Path("demo"),
    prefect: Recorded = False,
    as_json: AsJson = False,
) -> None:
    """Do the whole job on a generated example month with a local HaloPSA."""
    from pipelines.demo import run_demo
    from pipelines.recording import api_configured

    raise typer.Exit(run_demo(directory, recorded=prefect or api_configured(), as_json=as_json))


def _report(
    recorded: bool, flow: str | None, parameters: dict[str, Any], steps: Callable[[], RunSummary], as_json: bool
) -> None:
    """Run a command's steps, here or as the flow of that name, print what they did, and exit as the contract says."""
    from pipelines.output import note, print_json
    from pipelines.progress import shown_progress
    from pipelines.recording import api_configured, run_recorded
    from pipelines.run_view import read_run_view
    from pipelines.settings import load_settings
    from pipelines.summaries import print_summary

    began = datetime.now(UTC)
    try:
        if flow and (recorded or api_configured()):
            document, flow_run = run_recorded(flow, **parameters)
            note(f"recorded as Prefect flow run {flow_run}")
        else:
            with shown_progress():
                document = steps().to_dict()
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; {_left(began, parameters)}") from None
    except RemoteError as error:
        raise RemoteError(f"{error}; {_left(began, parameters)}") from None
    about = {"period": document["period"], "run_id": document["run_id"]}
    for notice in document["notices"]:
        note(notice, **about)
    if as_json:
        print_json(document)
    else:
        names = {one["customer_name"] for one in document["changed"] if one["customer_name"]}
        with shown_progress():
            view = read_run_view(load_settings(), document["run_id"], names)
        print_summary(document, view, compares=flow in _COMPARING)
    if document.get("error"):
        note(f"csp-billing: {document['error']}; {_left(began, {'run_id': document['run_id']})}", "error", **about)
        raise typer.Exit(3)
    raise typer.Exit(1 if document["blocking"] else 0)


def _left(began: datetime, parameters: dict[str, Any]) -> str:
    """Where a command that did not come to its end leaves things, and what to type next."""
    from pipelines.aftermath import aftermath
    from pipelines.settings import load_settings

    return aftermath(load_settings(), began, period=parameters.get("period"), run_id=parameters.get("run_id"))


def main() -> None:
    """Entry point: one line for every failure a user can mend, and the contract's exit codes."""
    from pipelines.recording import exit_with

    for stream in (sys.stdout, sys.stderr):
        # The name of a file may be no text in any encoding; to say so must not fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    as_json = "--json" in sys.argv
    try:
        code = app(prog_name="csp-billing", standalone_mode=False)
        if code == StoppedError.exit_code:
            # Typer has taken the interrupt.
            code = _fail("interrupted: the same command can be typed again", StoppedError.exit_code, as_json)
    except BillingError as error:
        code = _fail(str(error), error.exit_code, as_json)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        code = _fail(_no_room(error), 3, as_json)
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        code = _misused(error, as_json)
    exit_with(code if isinstance(code, int) else 0)


def _no_room(error: OSError) -> str:
    """A full disk where nothing else says so: a temporary file, or the output itself."""
    what = error.filename or "a temporary file, or what is printed,"
    why = os.strerror(error.errno or 0)
    return f"{what} cannot be written: {why}; make room, there or in the folder that TMPDIR names, and repeat"


def _misused(error: Any, as_json: bool) -> int:
    """Say what is wrong with what was typed, and where to read on."""
    if type(error).__name__ == "NoArgsIsHelpError":
        # Its message is the help, in lines.
        print(error.format_message(), file=sys.stderr)
        return 2
    message = error.format_message().rstrip()
    context = getattr(error, "ctx", None)
    if context is not None and "Did you mean" not in message:
        message = f"{message.rstrip('.')}; `{context.command_path} --help` says what it takes"
    return _fail(message, 2, as_json)


def _fail(message: str, code: int, as_json: bool) -> int:
    from pipelines.output import note, print_json

    line = " ".join(without_secrets(message).split())
    if line and as_json:
        print_json({"error": line, "exit_code": code})
    if line:
        note(f"csp-billing: {line}", "error")
    return code


if __name__ == "__main__":
    main()
