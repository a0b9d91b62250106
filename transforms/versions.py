"""Which of several deliveries of the same invoice counts.

Microsoft republishes an invoice's lines; a folder may then hold the old file, the new one, and copies of either in
other containers. Parts of one delivery have different lines, versions of one delivery have the same lines: a file
whose charges are for the most part charged again by a newer file of the same invoice is its older version and is
left out. Rows are never compared by content, so genuine duplicates inside a delivery stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.line_identity import charge_keys
from transforms.money import Mask

#: Share of a file's charges that a newer file must repeat to be its newer version.
REPEATED_SHARE = 0.5


def drop_older_versions(
    table: pa.Table, kind: str, delivered_at: Mapping[str, datetime], totals: Mapping[str, Decimal]
) -> tuple[pa.Table, list[str]]:
    """Leave out the lines of a file that a newer file of the same invoice repeats.

    Args:
        table: typed lines with invoice_number and source_file.
        kind: `invoice_recon` or `daily_usage`.
        delivered_at: when each source file was last written.
        totals: invoice totals; where all files of an invoice together add up to it they are parts, not versions.

    Returns:
        The lines that count, and a sentence for each file that was left out of an invoice.
    """
    pairs = table.group_by(["invoice_number", "source_file"]).aggregate([]).to_pylist()
    files: dict[str, list[str]] = {}
    for pair in pairs:
        if pair["invoice_number"]:
            files.setdefault(pair["invoice_number"], []).append(pair["source_file"])
    keep: Mask = np.ones(table.num_rows, dtype=np.bool_)
    notices = []
    for invoice in sorted(number for number, names in files.items() if len(names) > 1):
        rows = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(table.column("invoice_number"), invoice), False)))
        subset = table.take(pa.array(rows))
        if kind == "invoice_recon" and pc.sum(subset.column("total")).as_py() == totals.get(invoice):
            continue
        ordered = sorted(files[invoice], key=lambda name: (delivered_at[name], name))
        for older, newer in _repeated(subset, kind, ordered):
            keep[rows[np.asarray(pc.equal(subset.column("source_file"), older))]] = False
            notices.append(f"invoice {invoice}: {newer} repeats the lines of {older}, which is left out")
    return table.filter(pa.array(keep)), notices


def _repeated(subset: pa.Table, kind: str, ordered: list[str]) -> list[tuple[str, str]]:
    """Pairs of a file and the newer one that repeats it."""
    first, _ = charge_keys(subset, kind)
    names = np.asarray(subset.column("source_file").to_pandas())
    keys: dict[str, np.ndarray[Any, Any]] = {name: np.unique(first[names == name]) for name in ordered}
    pairs = []
    for place, older in enumerate(ordered):
        for newer in ordered[:place:-1]:
            shared = len(np.intersect1d(keys[older], keys[newer], assume_unique=True))
            if shared >= REPEATED_SHARE * len(keys[older]):
                pairs.append((older, newer))
                break
    return pairs


def drop_superseded_unbilled(table: pa.Table, currency: str) -> tuple[pa.Table, list[str]]:
    """Leave out the unbilled lines of a currency in which the period is billed.

    Unbilled rows of a closed period come again as billed rows with an invoice number (documented, reference §2.9).

    Args:
        table: typed lines of one period with invoice_number.
        currency: the column with the billing currency.

    Returns:
        The lines that count, and a sentence for each currency that lost unbilled lines.
    """
    unbilled = pc.is_null(table.column("invoice_number"))
    billed_in = table.filter(pc.invert(unbilled)).column(currency).combine_chunks().unique()
    superseded = pc.and_(unbilled, pc.is_in(table.column(currency), billed_in))
    lost = table.filter(superseded).column(currency).value_counts().to_pylist()
    notices = [
        f"{count['counts']} unbilled lines in {count['values']} are left out: the period is billed in that currency"
        for count in lost
    ]
    return table.filter(pc.invert(superseded)), notices


def latest_documents(invoices: pa.Table, delivered_at: Mapping[str, datetime]) -> pa.Table:
    """One row for each invoice document: the one of the file that was written last, there the last row."""
    order = sorted(
        range(invoices.num_rows),
        key=lambda row: (
            delivered_at[invoices.column("source_file")[row].as_py()],
            invoices.column("source_file")[row].as_py(),
            invoices.column("source_row")[row].as_py(),
        ),
    )
    latest = {invoices.column("invoice_number")[row].as_py(): row for row in order}
    return invoices.take(pa.array(sorted(latest.values()), pa.int64()))
