"""The data dictionary, written from the declared tables: `python -m connectors.warehouse.dictionary`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from connectors.warehouse.schema import VIEW_VERSIONS, sql_type
from transforms.columns import Column, Table
from transforms.tables import ALL_TABLES
from transforms.tables.views import VIEWS

_HEAD = """\
# Data dictionary

Made from the tables declared in `transforms/tables` by `make dictionary`; a test fails when it is not up to date.

The views are the stable interface: their names and columns stay, and they are the same on DuckDB and PostgreSQL. The
tables behind them may change with a migration. Amounts, prices, quantities and rates are exact decimals. The unit
column names the column that holds a figure's currency, or says what is counted. A column whose type is followed by
`!` is never empty.
"""


def dictionary() -> str:
    """The data dictionary as Markdown."""
    parts = [_HEAD, "## Views\n"]
    parts += [_section(view, tell_origin=False) for view in VIEWS]
    parts.append("## Tables\n")
    parts += [_section(table, tell_origin=True) for table in (*ALL_TABLES, VIEW_VERSIONS)]
    return "\n".join(parts)


def _section(table: Table, tell_origin: bool) -> str:
    lines = [f"### {table.name}\n", f"{table.meaning}\n"]
    if table.key:
        checked = " (not enforced by the engine; `csp-billing warehouse check` checks it)" if table.bulk else ""
        lines.append(f"Key: {', '.join(f'`{name}`' for name in table.key)}{checked}.\n")
    in_exports = tell_origin and any(column.sources for column in table.columns)
    in_halo = tell_origin and (in_exports or any(column.halo for column in table.columns))
    origins = [*(["in the exports"] if in_exports else []), *(["in HaloPSA"] if in_halo else [])]
    head = ["column", "type", "unit", "meaning", *origins]
    lines += [_row(head), _row("---" for _ in head)]
    lines += [_row(_cells(column, in_exports, in_halo)) for column in table.columns]
    return "\n".join(lines) + "\n"


def _cells(column: Column, in_exports: bool, in_halo: bool) -> list[str]:
    kind: sa.types.TypeEngine[object] = sql_type(column.kind)
    written = kind.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
    cells = [f"`{column.name}`", written + ("" if column.nullable else " !"), column.unit, column.meaning]
    if in_exports:
        cells.append(", ".join(column.sources))
    if in_halo:
        cells.append(", ".join(column.halo))
    return cells


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(dictionary())
