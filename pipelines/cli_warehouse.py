"""The commands of the warehouse, and of the customers that it maps to HaloPSA clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_options import AsJson
from pipelines.completion import complete_checks, complete_views

if TYPE_CHECKING:
    from connectors.warehouse.engine import Warehouse

#: How many rows a terminal shows where nothing else is asked for, and how many a check has at most.
SHOWN_ROWS = 200
MOST_ROWS = 10_000

warehouse_app = typer.Typer(help="The SQL warehouse: migrations, checks, the analysts' copy, read-only SQL.",
                            no_args_is_help=True)  # fmt: skip
customers_app = typer.Typer(help="Which HaloPSA client each customer's tenant belongs to.", no_args_is_help=True)


@customers_app.command("import")
def customers_import(
    file: Annotated[Path, typer.Argument(help="CSV with the columns customer_id, client_id and client_name.")],
    replace: Annotated[bool, typer.Option("--replace", help="Forget the tenants that the file does not name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import which HaloPSA client each customer's tenant belongs to."""
    from connectors.reports.amounts import counted
    from pipelines.customers import import_customers
    from pipelines.output import print_json
    from pipelines.settings import load_settings

    count = import_customers(load_settings(), file, replace=replace)
    if as_json:
        print_json({"imported": count})
    else:
        print(f"{counted(count, 'tenant')} imported")


@customers_app.command("list")
def customers_list(
    unmapped: Annotated[bool, typer.Option("--unmapped", help="Only tenants without a client.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the tenants that are mapped or billed, each with its HaloPSA client."""
    from pipelines.customers import CUSTOMER_COLUMNS, list_customers
    from pipelines.output import print_records
    from pipelines.settings import load_settings

    none = (
        "no tenant is without a client"
        if unmapped
        else "no tenant is mapped or billed yet: `csp-billing customers import FILE` maps them to HaloPSA clients"
    )
    print_records(CUSTOMER_COLUMNS, list_customers(load_settings(), unmapped=unmapped), as_json, none)


@warehouse_app.command("upgrade")
def warehouse_upgrade(as_json: AsJson = False) -> None:
    """Create the warehouse or bring it to this version."""
    from connectors.warehouse.migrations import upgrade
    from pipelines.progress import shown_progress, tell_progress

    with shown_progress():
        tell_progress("upgrading the warehouse")
        status = upgrade(_configured_warehouse())
    _print_status(status, as_json)


@warehouse_app.command("status")
def warehouse_status(as_json: AsJson = False) -> None:
    """Say which version the warehouse has, and which this program needs."""
    from connectors.warehouse.migrations import status

    _print_status(status(_configured_warehouse()), as_json)


@warehouse_app.command("check")
def warehouse_check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHECK]…", help="Only these checks, each with all of its rows.",
                       autocompletion=complete_checks),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Run the SQL checks; each must return nothing. Exit code 1 when one of severity fail does."""
    from connectors.warehouse.checks import run_checks
    from pipelines.output import print_json
    from pipelines.progress import shown_progress, tell_progress
    from pipelines.warehouse_text import check_document, print_checks

    wanted = names or []
    with shown_progress():
        results = run_checks(_configured_warehouse(), tell_progress, wanted, *([MOST_ROWS] if wanted else []))
    if as_json:
        print_json([check_document(one) for one in results])
    else:
        print_checks(results, whole=bool(wanted))
    raise typer.Exit(1 if any(one.state == "fail" for one in results) else 0)


@warehouse_app.command("snapshot")
def warehouse_snapshot(as_json: AsJson = False) -> None:
    """Publish a read-only copy for analysts: a DuckDB file and Parquet, replaced at once."""
    from connectors.warehouse.snapshot import publish_snapshot
    from pipelines.output import print_json
    from pipelines.progress import shown_progress, tell_progress
    from pipelines.settings import load_settings

    with shown_progress():
        folder = publish_snapshot(_configured_warehouse(), load_settings().home, anew=True, progress=tell_progress)
    if as_json:
        print_json({"snapshot": str(folder)})
    else:
        print(folder)


@warehouse_app.command("downgrade")
def warehouse_downgrade(
    to: Annotated[str, typer.Option("--to", metavar="REVISION", help="The revision to go back to; base for none.")],
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Also where what people have written is lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the warehouse back to an earlier revision, for an earlier csp-billing."""
    from connectors.warehouse.downgrade import downgrade

    _print_status(downgrade(_configured_warehouse(), to, accept_loss=accept_loss), as_json)


@warehouse_app.command("backup")
def warehouse_backup(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A folder that is not there yet.")],
    as_json: AsJson = False,
) -> None:
    """Back the warehouse up, as Parquet that either engine restores."""
    from pipelines.keeping import back_up
    from pipelines.output import print_json
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    with shown_progress():
        document = back_up(load_settings(), to)
    if as_json:
        print_json(document)
    else:
        print(f"{document['rows']} rows of {document['tables']} tables are in {to}, read back and compared")


@warehouse_app.command("restore")
def warehouse_restore(
    source: Annotated[Path, typer.Option("--from", metavar="FOLDER", help="The backup.")],
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Keep a DuckDB warehouse that is not empty under another name.")
    ] = False,
    nothing_posted_since: Annotated[
        bool, typer.Option("--nothing-posted-since", help="Nothing was posted to HaloPSA after the backup was made.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty warehouse, of either engine."""
    from pipelines.keeping import restore
    from pipelines.output import note, print_json
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    with shown_progress():
        document = restore(load_settings(), source, set_aside=set_aside, is_current=nothing_posted_since)
    for notice in document["notices"]:
        note(notice)
    if as_json:
        print_json(document)
    else:
        print(f"{document['rows']} rows of {document['tables']} tables are in {document['warehouse']}, and compared")


@warehouse_app.command("locks")
def warehouse_locks(as_json: AsJson = False) -> None:
    """Say who is at work in the warehouse, and whose lock was left behind."""
    from pipelines.keeping import LOCK_COLUMNS, list_locks
    from pipelines.output import print_records
    from pipelines.settings import load_settings

    print_records(LOCK_COLUMNS, list_locks(load_settings()), as_json, "nobody is at work")


@warehouse_app.command("query")
def warehouse_query(
    sql: Annotated[
        str | None, typer.Argument(help="One SELECT; `csp-billing warehouse views` names what there is.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the SQL from this file; - is standard input.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with exact numbers.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, help=f"Most rows; 0 for all. Without it {SHOWN_ROWS} on a terminal, else all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run read-only SQL."""
    from connectors.warehouse.query import run_query
    from pipelines.progress import shown_progress, tell_progress
    from pipelines.warehouse_text import most_rows, print_result, read_sql_text

    text, most = read_sql_text(sql, file), most_rows(limit, is_table=not (as_csv or as_json))
    with shown_progress():
        tell_progress("running the query")
        result = run_query(_configured_warehouse(), text, most)
    print_result(result, "json" if as_json else "csv" if as_csv else "table")


@warehouse_app.command("views")
def warehouse_views(
    view: Annotated[
        str | None, typer.Argument(help="A view, to see its columns.", autocompletion=complete_views)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the views for analysts, or the columns of one, with what they mean."""
    from pipelines.output import print_records
    from pipelines.warehouse_text import COLUMN_COLUMNS, VIEW_COLUMNS, column_records, view_records

    if view is None:
        print_records(VIEW_COLUMNS, view_records(), as_json)
    else:
        print_records(COLUMN_COLUMNS, column_records(view), as_json)


def _configured_warehouse() -> Warehouse:
    from connectors.warehouse.engine import open_warehouse
    from pipelines.settings import load_settings

    return open_warehouse(load_settings().warehouse)


def _print_status(status: Any, as_json: bool) -> None:
    from pipelines.output import print_records

    row = {"current": status.current, "head": status.head, "pending": ", ".join(status.pending)}
    print_records(list(row), [row], as_json)
