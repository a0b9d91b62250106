"""Which of several deliveries of the same charge counts.

Microsoft republishes an invoice's lines, and every export of unbilled lines repeats the earlier ones; a folder may
hold the old file, the new one, and copies of either in other containers. Parts of one delivery have different lines,
versions of one delivery have the same lines: a file whose charges are for the most part charged again by a newer file
of the same invoice is its older version and is left out. Rows are never compared by content, so genuine duplicates
inside a delivery stay. Unbilled rows of a closed period come again as billed rows with an invoice number (documented,
reference §2.9), and then only those count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.line_identity import charge_keys
from transforms.money import Mask

#: The column with the billing currency, by kind of export.
BILLING_CURRENCY = {"invoice_recon": "currency", "daily_usage": "billing_currency"}
#: Share of a file's charges that a newer file must repeat to be its newer version.
REPEATED_SHARE = 0.5


@dataclass(frozen=True)
class Selection:
    """The lines that count, those that were left out, and a sentence for each file or currency that lost some."""

    kept: pa.Table
    left_out: pa.Table
    notices: list[str]


def select_lines(
    table: pa.Table, kind: str, delivered_at: Mapping[str, datetime], totals: Mapping[str, Decimal]
) -> Selection:
    """Leave out the unbilled lines of what is billed by now, and the lines of a file that a newer file repeats.

    Args:
        table: typed lines of one period with invoice_number and source_file.
        kind: `invoice_recon` or `daily_usage`.
        delivered_at: when each source file was last written.
        totals: invoice totals; where all files of an invoice together add up to it they are parts, not versions.
    """
    currency = BILLING_CURRENCY[kind]
    superseded, notices = _superseded(table, currency)
    keep = ~superseded
    keys = pc.coalesce(
        table.column("invoice_number"),
        pc.binary_join_element_wise("unbilled lines in", pc.fill_null(table.column(currency), ""), " "),
    )
    groups = pa.table({"key": keys, "file": table.column("source_file")}).filter(pa.array(keep))
    files: dict[str, list[str]] = {}
    for pair in groups.group_by(["key", "file"]).aggregate([]).to_pylist():
        files.setdefault(pair["key"], []).append(pair["file"])
    for key in sorted(key for key, names in files.items() if len(names) > 1):
        rows = np.flatnonzero(keep & np.asarray(pc.equal(keys, key)))
        subset = table.take(pa.array(rows))
        if kind == "invoice_recon" and pc.sum(subset.column("total")).as_py() == totals.get(key):
            continue
        ordered = sorted(files[key], key=lambda name: (delivered_at[name], name))
        for older, newer in _repeated(subset, kind, ordered):
            keep[rows[np.asarray(pc.equal(subset.column("source_file"), older))]] = False
            what = key if key not in totals and key.startswith("unbilled") else f"invoice {key}"
            notices.append(f"{what}: {newer} repeats the lines of {older}, which is left out")
    return Selection(table.filter(pa.array(keep)), table.filter(pa.array(~keep)), notices)


def _superseded(table: pa.Table, currency: str) -> tuple[Mask, list[str]]:
    """Unbilled lines of a currency in which the period is billed."""
    unbilled = pc.is_null(table.column("invoice_number"))
    billed_in = table.filter(pc.invert(unbilled)).column(currency).combine_chunks().unique()
    superseded = pc.and_(unbilled, pc.is_in(table.column(currency), billed_in))
    lost = table.filter(superseded).column(currency).value_counts().to_pylist()
    notices = [
        f"{count['counts']} unbilled lines in {count['values']} are left out: the period is billed in that currency"
        for count in lost
    ]
    return np.asarray(superseded, dtype=np.bool_), notices


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
