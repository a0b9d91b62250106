"""The command line. Commands import what they need when they run, so that `--help` is instant."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_approval import approve, status, waivers_app
from pipelines.cli_options import AsJson, Codes, Period, Recorded, RunId
from pipelines.cli_orders import integrations_app, orders_app, subscriptions_app
from pipelines.cli_reports import WithReports, report
from pipelines.cli_warehouse import customers_app, warehouse_app
from pipelines.completion import complete_periods, complete_runs
from transforms.errors import BillingError
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
app.add_typer(waivers_app, name="waivers")
app.add_typer(orders_app, name="orders")
app.add_typer(integrations_app, name="integrations")
app.add_typer(subscriptions_app, name="subscriptions")

Exports = Annotated[str | None, typer.Option("--exports", help="Folder with the partner exports.")]
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
    customer: Annotated[list[str] | None, typer.Option("--customer", help="Only this customer id; repeatable.")] = None,
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
def load(run_id: RunId, all_prices: AllPrices = False, prefect: Recorded = False, as_json: AsJson = False) -> None:
    """Load a stored run to HaloPSA; what is there already is not sent again."""

    def steps() -> RunSummary:
        from pipelines.billing import load_stored_run
        from pipelines.settings import load_settings

        return load_stored_run(load_settings(), run_id, all_prices=all_prices)

    _report(prefect, "load", {"run_id": run_id, "all_prices": all_prices}, steps, as_json)


@app.command("mark-billed")
def mark_billed(run_id: RunId, approve: Approve = False, by: By = None, as_json: AsJson = False) -> None:
    """Mark a loaded run that is approved, or that nothing blocks, as billed in HaloPSA."""

    def steps() -> RunSummary:
        from pipelines.billing import mark_stored_run
        from pipelines.people import approver_in_advance
        from pipelines.settings import load_settings

        settings = load_settings()
        return mark_stored_run(settings, run_id, approved_by=approver_in_advance(settings, approve, by))

    _report(False, None, {}, steps, as_json)


app.command()(approve)
app.command()(status)
app.command()(report)


@app.command()
def findings(
    run: Annotated[str | None, typer.Option("--run", help="Id of the run.", autocompletion=complete_runs)] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="The latest run of this period.", autocompletion=complete_periods)
    ] = None,
    code: Codes = None,
    as_json: AsJson = False,
) -> None:
    """List the findings of a run; without a run or period those of the run made last."""
    from pipelines.inspection import FINDING_COLUMNS, list_findings
    from pipelines.output import print_records
    from pipelines.settings import load_settings

    print_records(FINDING_COLUMNS, list_findings(load_settings(), run, period, code or []), as_json, "no findings")


@app.command()
def explain(
    line_id: Annotated[str, typer.Argument(help="Id of the line, as findings and out_lines print it.")],
    as_json: AsJson = False,
) -> None:
    """Say why a line was judged as it was: source, price row, every rule with its figures."""
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
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")], as_json: AsJson = False
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
    """Check settings (secrets masked), the warehouse, and whether HaloPSA answers."""
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
        print_table(["setting", "value"], report.settings.items())
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
    from pipelines.summaries import print_summary

    if flow and (recorded or api_configured()):
        document, flow_run = run_recorded(flow, **parameters)
        note(f"recorded as Prefect flow run {flow_run}")
    else:
        with shown_progress():
            document = steps().to_dict()
    for notice in document["notices"]:
        note(notice)
    if as_json:
        print_json(document)
    else:
        print_summary(document)
    if document.get("error"):
        note(f"csp-billing: {document['error']}")
        raise typer.Exit(3)
    raise typer.Exit(1 if document["blocking"] else 0)


def main() -> None:
    """Entry point: one line for every failure a user can mend, and the contract's exit codes."""
    from pipelines.recording import exit_with

    for stream in (sys.stdout, sys.stderr):
        # The name of a file may be no text in any encoding; to say so must not fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    as_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False)
    except BillingError as error:
        code = _fail(str(error), error.exit_code, as_json)
    except KeyboardInterrupt:
        code = _fail("interrupted", 130, as_json)
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        code = _misused(error, as_json)
    exit_with(code if isinstance(code, int) else 0)


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
        note(f"csp-billing: {line}")
    return code


if __name__ == "__main__":
    main()
