"""The lines of a run while they are written, part by part, and single ones of them again.

A full run writes the delivered lines into the period's tables. A run of a part of a period leaves these as they are
and keeps its lines in temporary tables of the same columns, for as long as its transaction lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import Prepared, insert_arrow, insert_prepared, prepare, read_arrow, stream_arrow
from connectors.warehouse.engine import use_all_threads
from connectors.warehouse.partitions import index_partitions
from connectors.warehouse.schema import create_temporary, sql_table
from connectors.warehouse.sources import clear_period
from transforms.columns import Column, Kind, Table
from transforms.line_identity import Numbered
from transforms.periods import month_before
from transforms.tables import EXPORT_TABLES, LINES
from transforms.texts import repeated

#: Kinds of export that hold lines.
LINE_KINDS = ("invoice_recon", "daily_usage")


class PreparedLines(NamedTuple):
    """Lines ready to be written: how many are judged, and the rows of the tables."""

    judged: int
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True)
class LinePreparer:
    """Makes lines of one run ready to be written; any thread may, and it can be sent to another process."""

    dialect: str
    run_id: str
    period: str
    tables: Mapping[str, Table]

    def __call__(self, kind: str, rows: pa.Table, lines: pa.Table) -> PreparedLines:
        """Make some lines ready.

        Args:
            kind: `invoice_recon` or `daily_usage`.
            rows: the lines as delivered, without period.
            lines: as they are judged, columns of LINES without run_id and period; may be fewer or more.
        """
        own = rows.append_column("period", repeated(self.period, rows.num_rows))
        judged = lines.append_column("run_id", repeated(self.run_id, lines.num_rows))
        judged = judged.append_column("period", repeated(self.period, lines.num_rows))
        prepared = prepare(self.dialect, self.tables[kind], own), prepare(self.dialect, LINES, judged)
        return PreparedLines(lines.num_rows, prepared)


class PeriodLines:
    """Writes the lines of one run."""

    def __init__(self, connection: sa.Connection, run_id: str, period: str, *, keeps_sources: bool) -> None:
        """Begin in an open transaction; with `keeps_sources` the period's rows make way for the run's."""
        self._connection = connection
        self._run_id = run_id
        self._period = period
        self._numbers = itertools.count()
        self._tables = {kind: EXPORT_TABLES[kind] for kind in LINE_KINDS}
        if keeps_sources:
            clear_period(connection, period)
        else:
            self._tables = {kind: self._temporary(f"run_{kind}", table.columns) for kind, table in self._tables.items()}

    @property
    def prepare(self) -> LinePreparer:
        """What makes lines ready to be written."""
        return LinePreparer(self._connection.dialect.name, self._run_id, self._period, self._tables)

    def write(self, lines: PreparedLines) -> None:
        """Write lines that are made ready."""
        for prepared in lines.prepared:
            insert_prepared(self._connection, prepared)

    def end(self) -> None:
        """All lines are written: let look-ups find them quickly."""
        index_partitions(self._connection, self._period)
        for kind, table in self._tables.items():
            if table is not EXPORT_TABLES[kind]:
                self._analyse(table)
        use_all_threads(self._connection)

    def fetch(self, kind: str, wanted: pa.Table) -> pa.Table:
        """The lines, in the columns of their export's table, that equal one of the given rows in these columns.

        An empty text and none are the same.

        Args:
            kind: `invoice_recon` or `daily_usage`; `previous` for the reconciliation lines of the period before.
            wanted: some columns of the export's table, each combination once.
        """
        own = EXPORT_TABLES["invoice_recon" if kind == "previous" else kind]
        if not wanted.num_rows:
            return own.schema.empty_table()
        table = own if kind == "previous" else self._tables[kind]
        lines, asked = sql_table(table), self._asked(own, wanted)
        period = month_before(self._period) if kind == "previous" else self._period
        same = [_same(lines.c[name], asked.c[name], own[name]) for name in wanted.column_names]
        statement = sa.select(lines).join(asked, sa.and_(*same)).where(lines.c.period == period)
        return read_arrow(self._connection, statement, own.schema)

    def invoices(self) -> set[str]:
        """Numbers of the invoices that the run's lines name."""
        lines = sql_table(LINES)
        numbers = sa.select(lines.c.invoice_number).distinct()
        own = (lines.c.period == self._period, lines.c.run_id == self._run_id, lines.c.invoice_number.is_not(None))
        return set(self._connection.execute(numbers.where(*own)).scalars())

    def renumber(self, numbered: Numbered) -> None:
        """Give some lines another identity."""
        if not numbered.lines.num_rows:
            return
        table = self._tables[numbered.kind]
        asked = self._asked(EXPORT_TABLES[numbered.kind], numbered.lines)
        rows, lines = sql_table(table), sql_table(LINES)
        place = ("source_file", "source_row")
        self._connection.execute(
            rows.update()
            .values(line_id=asked.c.line_id)
            .where(rows.c.period == self._period, *(rows.c[name] == asked.c[name] for name in place))
        )
        self._connection.execute(
            lines.update()
            .values(line_id=asked.c.line_id)
            .where(
                lines.c.run_id == self._run_id,
                lines.c.source == numbered.kind,
                *(lines.c[name] == asked.c[name] for name in place),
            )
        )

    def keep_lines_with_findings(self, line_ids: pa.Array) -> int:
        """Take out the lines that no finding names; returns how many are left."""
        lines = sql_table(LINES)
        named = pa.table({"line_id": line_ids.drop_null().unique()})
        asked = self._asked(LINES, named)
        own = lines.c.run_id == self._run_id
        self._connection.execute(lines.delete().where(own, lines.c.line_id.not_in(sa.select(asked.c.line_id))))
        left: int = self._connection.execute(sa.select(sa.func.count()).select_from(lines).where(own)).scalar_one()
        return left

    def _asked(self, table: Table, rows: pa.Table) -> sa.Table:
        """Given rows as a temporary table."""
        columns = tuple(table[name] for name in rows.column_names)
        made = self._temporary(f"asked_{next(self._numbers)}", columns)
        insert_arrow(self._connection, made, rows)
        self._analyse(made)
        return sql_table(made)

    def _analyse(self, table: Table) -> None:
        """Let PostgreSQL see what was just written: its plans would be those of an empty table."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(sa.text(f"analyze {table.name}"))

    def _temporary(self, name: str, columns: tuple[Column, ...]) -> Table:
        table = Table(f"{name}_{self._run_id.rsplit('-', 1)[-1]}", "Rows of one run, while it is written.", columns)
        create_temporary(self._connection, table)
        return table


def stream_period(
    connection: sa.Connection, kind: str, period: str, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Some columns of a period's lines, batch by batch, as they are stored."""
    table = EXPORT_TABLES[kind]
    made = sql_table(table)
    statement = sa.select(*(made.c[name] for name in columns)).where(made.c.period == period)
    return stream_arrow(connection, statement, pa.schema([table.schema.field(name) for name in columns]))


def _same(column: sa.Column[Any], asked: sa.Column[Any], declared: Column) -> sa.ColumnElement[bool]:
    if declared.kind is Kind.TEXT and declared.nullable:
        return sa.func.coalesce(column, "") == sa.func.coalesce(asked, "")
    return column == asked
