"""Queries about one run, through the views, whether or not it is the latest run of its period.

The views show the latest run of each period, by the view `latest_runs` and the table `runs`. A common table expression
of the same name takes the place of either within one statement, so that a rule stands in one view alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.views import view_sql
from transforms.columns import Table

#: Shows a run in place of the latest one of each period; parameter `run_id`.
THIS_RUN = {"latest_runs": "select period, run_id from runs where run_id = :run_id"}


def report_sql(name: str) -> str:
    """The query of one part of a report, as its file in `sql/reports` has it."""
    return resources.files("sql").joinpath("reports", f"{name}.sql").read_text(encoding="utf-8")


def shown_by(name: str) -> dict[str, str]:
    """A view's query under the view's name, to be asked of other runs than the view shows."""
    return {name: view_sql(name)}


def query_of(
    table: Table, query: str, parameters: Mapping[str, Any], views: Mapping[str, str], order: str = ""
) -> sa.TextClause:
    """A query of some columns, with other queries in the place of tables and views that it names.

    Args:
        table: the columns.
        query: a table's or view's name, or a query that has them; its parameters are written `:name`.
        parameters: at least those that the query and the views name.
        views: queries by the name that they take the place of; later ones may use earlier ones, and each may use what
            it takes the place of.
        order: an ORDER BY clause and what may follow it.
    """
    given = ",\n".join(f"{name} as (\n{sql}\n)" for name, sql in views.items())
    source = query if re.fullmatch(r"\w+", query) else f"(\n{query}\n) as asked"
    text = f"{f'with {given}' if given else ''}\nselect {', '.join(table.names)} from {source} {order}"
    return sa.text(text).bindparams(
        **{name: value for name, value in parameters.items() if re.search(rf":{name}\b", text)}
    )


def read_of(
    connection: sa.Connection, table: Table, query: str, parameters: Mapping[str, Any], views: Mapping[str, str]
) -> pa.Table:
    """The rows of `query_of`."""
    return read_arrow(connection, query_of(table, query, parameters, views), table.schema)
