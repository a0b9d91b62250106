"""The commands of the landing zone: what is kept there, and removing what nobody needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_options import AsJson

if TYPE_CHECKING:
    from pipelines.landing import Pruned

landing_app = typer.Typer(help="The untouched copies of the exports: list them, remove old ones.", no_args_is_help=True)


@landing_app.command("list")
def landing_list(as_json: AsJson = False) -> None:
    """List the untouched copies of exports, with the periods and runs that used them."""
    from pipelines.landing import COPY_COLUMNS, list_copies
    from pipelines.output import print_records
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    with shown_progress():
        copies = list_copies(load_settings())
    print_records(COPY_COLUMNS, copies, as_json, "no export has been landed yet")


@landing_app.command("prune")
def landing_prune(
    keep_months: Annotated[
        int, typer.Option("--keep-months", min=1, help="Keep what runs of so many months, and of this one, used.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove copies that no run of the last months used and whose periods are billed; never one in quarantine."""
    from pipelines.landing import prune
    from pipelines.output import note, print_json
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings

    with shown_progress():
        result = prune(load_settings(), keep_months, dry_run=dry_run)
    if as_json:
        print_json(result.to_dict())
    else:
        _print_pruned(result)
    if result.error:
        note(f"csp-billing: {result.error}")
    raise typer.Exit(result.exit_code)


def _print_pruned(result: Pruned) -> None:
    """Print what was removed, or would be, and why the other copies are kept."""
    from pipelines.landing import REMOVED_COLUMNS
    from pipelines.output import print_records, say

    if result.removed:
        print_records(REMOVED_COLUMNS, result.removed, as_json=False)
    would = "would be " if result.dry_run else ""
    say(f"{len(result.removed)} copies of {sum(one['bytes'] for one in result.removed):,} bytes {would}removed from "
        f"{result.zone}")  # fmt: skip
    for path in result.left_over:
        say(f"left over, {would}removed: {path}")
    for reason, count in result.kept.items():
        say(f"{count} kept: {reason}")
