"""The commands of the warehouse, and of the customers that it maps to HaloPSA clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_options import AsJson

if TYPE_CHECKING:
    from connectors.warehouse.engine import Warehouse

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
    from pipelines.customers import import_customers
    from pipelines.output import print_json
    from pipelines.settings import load_settings

    count = import_customers(load_settings(), file, replace=replace)
    if as_json:
        print_json({"imported": count})
    else:
        print(f"{count} tenants imported")


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
def warehouse_check(as_json: AsJson = False) -> None:
    """Run the SQL checks; each must return nothing. Exit code 1 when one of severity fail does."""
    from connectors.warehouse.checks import run_checks
    from pipelines.output import print_records
    from pipelines.progress import shown_progress, tell_progress

    with shown_progress():
        results = run_checks(_configured_warehouse(), tell_progress)
    columns = ["check", "severity", "rows", "meaning"]
    rows = [dict(zip(columns, (one.name, one.severity, one.rows, one.meaning), strict=True)) for one in results]
    print_records(columns, rows, as_json)
    raise typer.Exit(1 if any(one.rows and one.severity == "fail" for one in results) else 0)


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
    sql: Annotated[str, typer.Argument(help="One SELECT; the views are named out_…")], as_json: AsJson = False
) -> None:
    """Run read-only SQL."""
    from connectors.warehouse.query import run_query
    from pipelines.output import print_json, print_table
    from pipelines.progress import shown_progress, tell_progress

    with shown_progress():
        tell_progress("running the query")
        result = run_query(_configured_warehouse(), sql)
    if as_json:
        print_json([dict(zip(result.columns, row, strict=True)) for row in result.rows])
    else:
        # Two columns may have the same name.
        print_table(result.columns, result.rows)


def _configured_warehouse() -> Warehouse:
    from connectors.warehouse.engine import open_warehouse
    from pipelines.settings import load_settings

    return open_warehouse(load_settings().warehouse)


def _print_status(status: Any, as_json: bool) -> None:
    from pipelines.output import print_records

    row = {"current": status.current, "head": status.head, "pending": ", ".join(status.pending)}
    print_records(list(row), [row], as_json)
