"""The command that fetches a period's exports from Partner Center."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli_options import AsJson, Period


def fetch(
    period: Period,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME", help="Only this dataset, such as usage; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a period's exports from Partner Center; what is there already is not downloaded again."""
    from pipelines.fetching import DATASETS, ITEM_COLUMNS
    from pipelines.fetching import fetch as fetch_exports
    from pipelines.output import note, print_json, print_records, say
    from pipelines.progress import shown_progress
    from pipelines.settings import load_settings
    from transforms.errors import InputError

    unknown = sorted(set(dataset or ()) - set(DATASETS))
    if unknown:
        raise InputError(f"there is no dataset {', '.join(unknown)}; there are {', '.join(DATASETS)}")
    with shown_progress():
        fetched = fetch_exports(load_settings(), period, tuple(dataset or DATASETS))
    for notice in fetched.notices:
        note(notice)
    document = fetched.to_dict()
    if as_json:
        print_json(document)
        return
    print_records(ITEM_COLUMNS, document["items"], False, "Partner Center has nothing to fetch of this period")
    say(f"in {fetched.location}")
