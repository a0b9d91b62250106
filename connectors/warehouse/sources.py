"""The delivered exports in the warehouse: which files are known, and the rows of each period.

A period is one partition: writing it again replaces it whole. Price lists have no period; every list is kept.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow, stream_arrow
from connectors.warehouse.schema import sql_table
from transforms.price_lists import PRICED_BY, compact
from transforms.tables import EXPORT_TABLES
from transforms.tables.sources import INVOICES, PRICE_LIST, QUARANTINE, SOURCE_FILES
from transforms.texts import is_one_of, values_and_codes, with_encoded_texts

#: Kinds of export that belong to a billing period.
PERIOD_KINDS = ("invoice_recon", "daily_usage", "invoices")


def clear_period(connection: sa.Connection, period: str) -> None:
    """Take out a period's source rows and its quarantine, to be written anew."""
    for table in (*(EXPORT_TABLES[kind] for kind in PERIOD_KINDS), QUARANTINE):
        connection.execute(sql_table(table).delete().where(sql_table(table).c.period == period))


def write_documents(connection: sa.Connection, invoices: pa.Table, prices: pa.Table, rejected: pa.Table) -> None:
    """Write what belongs to a period besides its lines, and the price lists that are new.

    Args:
        connection: an open transaction.
        invoices: columns of INVOICES, one row a document; a document of another period comes to this one.
        prices: columns of PRICE_LIST without order, whole lists.
        rejected: columns of QUARANTINE.
    """
    table = sql_table(INVOICES)
    numbers = invoices["invoice_number"].to_pylist()
    connection.execute(table.delete().where(table.c.invoice_number.in_(numbers)))
    insert_arrow(connection, INVOICES, invoices)
    insert_arrow(connection, QUARANTINE, rejected)
    insert_arrow(connection, PRICE_LIST, _of_new_files(connection, prices))


def write_files(connection: sa.Connection, files: pa.Table) -> None:
    """Record the files that are not known yet; one that is known keeps the day it was first seen.

    A copy that was pruned is there again, where its file was delivered again.

    Args:
        connection: an open transaction.
        files: columns of SOURCE_FILES.
    """
    table = sql_table(SOURCE_FILES)
    for row in files.select(["file_sha256", "source_file", "landed_as"]).to_pylist():
        own = (table.c.file_sha256 == row["file_sha256"], table.c.source_file == row["source_file"])
        again = {"landed_as": row["landed_as"], "pruned_at": None}
        connection.execute(table.update().where(*own, table.c.pruned_at.is_not(None)).values(**again))
    known = {tuple(row) for row in connection.execute(sa.select(table.c.file_sha256, table.c.source_file))}
    keys = zip(files["file_sha256"].to_pylist(), files["source_file"].to_pylist(), strict=True)
    insert_arrow(connection, SOURCE_FILES, files.filter(pa.array([key not in known for key in keys], pa.bool_())))


def has_period(connection: sa.Connection, kind: str, period: str) -> bool:
    """Whether a period has rows of one kind in PERIOD_KINDS."""
    table = sql_table(EXPORT_TABLES[kind])
    found = connection.execute(sa.select(sa.literal(1)).where(table.c.period == period).limit(1)).first()
    return found is not None


def read_invoices(connection: sa.Connection, period: str) -> pa.Table:
    """The invoice documents of one period, columns of INVOICES, in the order of their files and rows."""
    table = sql_table(INVOICES)
    return _in_file_order(read_arrow(connection, sa.select(table).where(table.c.period == period), INVOICES.schema))


def read_invoices_elsewhere(connection: sa.Connection, period: str) -> frozenset[str]:
    """Numbers of the invoice documents of all other periods."""
    table = sql_table(INVOICES)
    statement = sa.select(table.c.invoice_number).where(table.c.period != period)
    return frozenset(connection.execute(statement).scalars())


def read_lines_of_invoices(connection: sa.Connection, kind: str, period: str, numbers: Collection[str]) -> pa.Table:
    """The lines of one period that name one of these invoices, of which there may be millions.

    Args:
        connection: an open transaction.
        kind: `invoice_recon` or `daily_usage`.
        period: YYYY-MM.
        numbers: the invoices' numbers.

    Returns:
        Columns of the kind's table, texts dictionary-encoded, in the order of their files and rows.
    """
    table = EXPORT_TABLES[kind]
    made = sql_table(table)
    statement = sa.select(made).where(made.c.period == period, made.c.invoice_number.in_(list(numbers)))
    # Encoded batch by batch: as plain texts they take three times the memory.
    batches = [
        with_encoded_texts(pa.Table.from_batches([batch]))
        for batch in stream_arrow(connection, statement, table.schema)
    ]
    rows = pa.concat_tables([with_encoded_texts(table.schema.empty_table()), *batches])
    return _in_file_order(rows.unify_dictionaries())


def read_rejected(connection: sa.Connection, period: str) -> pa.Table:
    """The quarantined rows of one period, columns of QUARANTINE, in the order of their files and rows."""
    table = sql_table(QUARANTINE)
    statement = sa.select(table).where(table.c.period == period)
    return _in_file_order(read_arrow(connection, statement, QUARANTINE.schema))


def read_charged_customers(connection: sa.Connection, period: str) -> pa.Table:
    """`invoice_number` and `customer_id` of the period's lines and daily usage, each pair once."""
    names = ("invoice_number", "customer_id")
    tables = [sql_table(EXPORT_TABLES[kind]) for kind in ("invoice_recon", "daily_usage")]
    pairs = [sa.select(*(each.c[name] for name in names)).where(each.c.period == period) for each in tables]
    schema = pa.schema([EXPORT_TABLES["invoice_recon"].schema.field(name).with_nullable(True) for name in names])
    return read_arrow(connection, sa.union(*pairs), schema)


def read_price_lists(connection: sa.Connection, files: Collection[str]) -> pa.Table:
    """The price lists with these SHA-256, columns of PRICE_LIST, in the order of their files and rows."""
    table = sql_table(PRICE_LIST)
    wanted = sa.select(table).where(table.c.file_sha256.in_(list(files)))
    return _in_file_order(read_arrow(connection, wanted, PRICE_LIST.schema))


def read_priced_rows(connection: sa.Connection, but: Collection[str]) -> pa.Table:
    """What lines are priced by (PRICED_BY) of every price list ever loaded, but of the files with these SHA-256."""
    table = sql_table(PRICE_LIST)
    wanted = sa.select(*(table.c[name] for name in PRICED_BY)).where(table.c.file_sha256.not_in(list(but)))
    schema = pa.schema([PRICE_LIST.schema.field(name) for name in PRICED_BY])
    # Compacted batch by batch, because a year of lists takes several times the memory as plain texts.
    batches = [compact(pa.Table.from_batches([batch])) for batch in stream_arrow(connection, wanted, schema)]
    return pa.concat_tables([compact(schema.empty_table()), *batches])


def _in_file_order(rows: pa.Table) -> pa.Table:
    """Sorted here and not by the engine, whose order of texts depends on its collation."""
    ranks = []
    for name in ("source_file", "file_sha256"):
        values, codes = values_and_codes(rows.column(name))
        ranks.append(np.argsort(np.asarray(pc.array_sort_indices(values)))[codes])
    order = np.lexsort((np.asarray(rows.column("source_row")), ranks[1], ranks[0]))
    return rows.take(pa.array(order))


def _of_new_files(connection: sa.Connection, prices: pa.Table) -> pa.Table:
    """The rows of lists whose content is not in the warehouse, under whatever name."""
    table = sql_table(PRICE_LIST)
    loaded = connection.execute(sa.select(table.c.file_sha256).distinct()).scalars().all()
    return prices.filter(pa.array(~is_one_of(prices["file_sha256"], loaded)))
