"""The delivered exports in the warehouse: which files are known, and the rows of each period.

A period is one partition: writing it again replaces it whole. Price lists have no period; every list is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.schema import sql_table
from transforms.errors import InputError
from transforms.tables import EXPORT_TABLES
from transforms.tables.sources import INVOICES, PRICE_LIST, QUARANTINE, SOURCE_FILES

#: Kinds of export that belong to a billing period.
PERIOD_KINDS = ("invoice_recon", "daily_usage", "invoices")
PRICE_LIST_KIND = "price_list"


def write_sources(
    connection: sa.Connection, period: str, files: pa.Table, sources: Mapping[str, pa.Table], rejected: pa.Table
) -> None:
    """Replace a period's source rows, and add the price lists and files that are new.

    Args:
        connection: an open transaction.
        period: YYYY-MM; the rows of the other kinds in `sources` all belong to it.
        files: columns of SOURCE_FILES, every file the rows came from.
        sources: rows by kind, columns of EXPORT_TABLES; a kind that is absent counts as no rows.
        rejected: columns of QUARANTINE.

    Raises:
        InputError: an invoice document is delivered twice, by files that are not the same.
    """
    for kind in PERIOD_KINDS:
        table = EXPORT_TABLES[kind]
        connection.execute(sql_table(table).delete().where(sql_table(table).c.period == period))
        if kind in sources:
            if kind == "invoices":
                _make_way_for_invoices(connection, sources[kind])
            insert_arrow(connection, table, sources[kind])
    quarantine = sql_table(QUARANTINE)
    connection.execute(quarantine.delete().where(quarantine.c.period == period))
    insert_arrow(connection, QUARANTINE, rejected)
    if PRICE_LIST_KIND in sources:
        insert_arrow(connection, PRICE_LIST, _of_new_files(connection, sources[PRICE_LIST_KIND]))
    write_files(connection, files)


def write_files(connection: sa.Connection, files: pa.Table) -> None:
    """Record the files that are not known yet; one that is known keeps the day it was first seen.

    Args:
        connection: an open transaction.
        files: columns of SOURCE_FILES.
    """
    table = sql_table(SOURCE_FILES)
    known = {tuple(row) for row in connection.execute(sa.select(table.c.file_sha256, table.c.source_file))}
    keys = zip(files["file_sha256"].to_pylist(), files["source_file"].to_pylist(), strict=True)
    insert_arrow(connection, SOURCE_FILES, files.filter(pa.array([key not in known for key in keys], pa.bool_())))


def read_source(connection: sa.Connection, kind: str, period: str) -> pa.Table:
    """The rows of one period of one kind in PERIOD_KINDS, in the order of their files and rows."""
    table = EXPORT_TABLES[kind]
    statement = sa.select(sql_table(table)).where(sql_table(table).c.period == period)
    return _in_file_order(read_arrow(connection, statement, table.schema))


def read_rejected(connection: sa.Connection, period: str) -> pa.Table:
    """The quarantined rows of one period, columns of QUARANTINE, in the order of their files and rows."""
    table = sql_table(QUARANTINE)
    statement = sa.select(table).where(table.c.period == period)
    return _in_file_order(read_arrow(connection, statement, QUARANTINE.schema))


def read_price_lists(connection: sa.Connection) -> pa.Table:
    """Every price list ever loaded, columns of PRICE_LIST, in the order of their files and rows."""
    return _in_file_order(read_arrow(connection, sa.select(sql_table(PRICE_LIST)), PRICE_LIST.schema))


def _in_file_order(rows: pa.Table) -> pa.Table:
    """Sorted here and not by the engine, whose order of texts depends on its collation."""
    order = [("source_file", "ascending"), ("file_sha256", "ascending"), ("source_row", "ascending")]
    return rows.sort_by(order)


def _make_way_for_invoices(connection: sa.Connection, rows: pa.Table) -> None:
    """An invoice document is kept once, also when it now counts to another period than it did."""
    numbers = rows["invoice_number"].to_pylist()
    for index, number in enumerate(numbers):
        first = numbers.index(number)
        if first != index:
            one, other = (rows["source_file"][at].as_py() for at in (first, index))
            raise InputError(f"invoice {number} is in {one} and again in {other}; take one of them out of the exports")
    table = sql_table(INVOICES)
    connection.execute(table.delete().where(table.c.invoice_number.in_(numbers)))


def _of_new_files(connection: sa.Connection, prices: pa.Table) -> pa.Table:
    """The rows of lists whose content is not in the warehouse, under whatever name."""
    table = sql_table(PRICE_LIST)
    loaded = connection.execute(sa.select(table.c.file_sha256).distinct()).scalars().all()
    known = pc.is_in(prices["file_sha256"], value_set=pa.array(loaded, pa.string()))
    return prices.filter(pc.invert(known))
