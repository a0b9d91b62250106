"""How much of a run is in HaloPSA: counted in the warehouse, without reading a line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import read_arrow
from connectors.warehouse.schema import sql_table, texts_of
from connectors.warehouse.sources import read_invoices
from transforms.categories import AZURE_PLAN_COLUMNS, categorise
from transforms.documents import voided_invoices
from transforms.tables import DAILY_USAGE, HALO_POSTINGS, INVOICE_RECON, LINES, RUNS

_RECON, _USAGE, _LINES = sql_table(INVOICE_RECON), sql_table(DAILY_USAGE), sql_table(LINES)
_POSTINGS, _RUNS = sql_table(HALO_POSTINGS), sql_table(RUNS)
_LATEST_RUNS = sa.table("latest_runs", sa.column("run_id"))


class Progress(NamedTuple):
    """Invoices or lines: how many belong in HaloPSA, how many are there, and how many of these are billed."""

    wanted: int
    loaded: int
    billed: int


def latest_runs(connection: sa.Connection) -> list[dict[str, Any]]:
    """The latest full run of each period (columns of RUNS), the latest period first."""
    statement = sa.select(_RUNS).join(_LATEST_RUNS, _LATEST_RUNS.c.run_id == _RUNS.c.run_id)
    return [dict(row) for row in connection.execute(statement.order_by(_RUNS.c.period.desc())).mappings()]


def last_halo_url(connection: sa.Connection) -> str | None:
    """The HaloPSA that was posted to last; None when there was none."""
    statement = sa.select(_POSTINGS.c.halo_url).order_by(_POSTINGS.c.intended_at.desc()).limit(1)
    url: str | None = connection.execute(statement).scalar()
    return url


def count_progress(
    connection: sa.Connection, run: Mapping[str, Any], halo_url: str | None, usage: str
) -> dict[str, Progress]:
    """What of a period's latest run belongs in HaloPSA, and what is there.

    Args:
        connection: an open transaction.
        run: columns of RUNS.
        halo_url: the HaloPSA, as the ledger has it; None for none.
        usage: what stands for Azure-plan charges, `aggregate` or `daily`.

    Returns:
        `invoices` and `lines`.
    """
    documents = read_invoices(connection, run["period"])
    live = sorted(set(documents.column("invoice_number").to_pylist()) - voided_invoices(documents))
    invoices = _states(connection, "invoice", _POSTINGS.c.natural_key.in_(live), halo_url)
    own = sa.select(_LINES.c.line_id).where(_LINES.c.run_id == run["run_id"])
    lines = _states(connection, "line", _POSTINGS.c.natural_key.in_(own), halo_url)
    return {
        "invoices": Progress(len(live), *invoices),
        "lines": Progress(_count_lines(connection, run["period"], live, usage), *lines),
    }


def count_billed_lines(
    connection: sa.Connection, halo_url: str, period: str, line_ids: Collection[str] | None = None
) -> int:
    """How many lines are billed in a HaloPSA: of those with these ids, or without ids of the period's daily usage."""
    usage = sa.select(_USAGE.c.line_id).where(_USAGE.c.period == period)
    own = usage if line_ids is None else texts_of(line_ids)
    return _states(connection, "line", _POSTINGS.c.natural_key.in_(own), halo_url)[1]


def _count_lines(connection: sa.Connection, period: str, invoices: Sequence[str], usage: str) -> int:
    """How many lines a load would post."""

    def count(table: sa.Table) -> int:
        counted: int = connection.execute(sa.select(sa.func.count()).select_from(table).where(*own(table))).scalar_one()
        return counted

    def own(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        return table.c.period == period, table.c.invoice_number.in_(invoices)

    if usage == "aggregate":
        return count(_RECON)
    # The database counts the kinds of lines, which are few, and only these are sorted.
    columns = [_RECON.c[name] for name in AZURE_PLAN_COLUMNS]
    kinds = sa.select(*columns, sa.func.count().label("lines")).where(*own(_RECON)).group_by(*columns)
    schema = pa.schema([*(INVOICE_RECON.schema.field(name) for name in AZURE_PLAN_COLUMNS), ("lines", pa.int64())])
    found = read_arrow(connection, kinds, schema)
    for price in ("unit_price", "effective_unit_price"):
        found = found.append_column(price, pa.nulls(found.num_rows, INVOICE_RECON[price].kind.arrow_type))
    others: list[int] = found.column("lines").filter(pa.array(~categorise(found).azure_plan)).to_pylist()
    return sum(others) + count(_USAGE)


def _states(
    connection: sa.Connection, entity: str, own: sa.ColumnElement[bool], halo_url: str | None
) -> tuple[int, int]:
    """How many of an entity are in HaloPSA, and how many of them are billed."""
    where = (_POSTINGS.c.halo_url == halo_url, _POSTINGS.c.entity == entity, own)
    statement = sa.select(_POSTINGS.c.state, sa.func.count()).where(*where).group_by(_POSTINGS.c.state)
    states = {str(state): int(count) for state, count in connection.execute(statement).all()}
    billed = states.get("billed", 0)
    return states.get("posted", 0) + billed, billed
