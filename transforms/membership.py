"""Which lines are a period's and count, told from what is known when a part of them is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.periods import invoice_keys, periods_of
from transforms.texts import values_and_codes
from transforms.versions import Selection


class UnknownInvoicesError(Exception):
    """Lines name invoices whose period is not known yet: without a document it is told by all of an invoice's lines."""

    def __init__(self, keys: tuple[str | None, ...]) -> None:
        super().__init__(keys)
        self.keys = keys


@dataclass(frozen=True)
class Membership:
    """What tells it, a value that can be sent to another process.

    Attributes:
        period: YYYY-MM.
        periods: period by invoice key (see `transforms.periods.invoice_keys`).
        selection: which of several deliveries count, of one kind of lines.
        is_complete: whether all lines of that kind were looked through; what is not known then has no period.
    """

    period: str
    periods: Mapping[str, str]
    selection: Selection
    is_complete: bool

    def own_lines(self, rows: pa.Table, kind: str, place: int) -> tuple[pa.Table, Counter[str | None]]:
        """The lines of one file that are of the period and count, and how many are of which period.

        Args:
            rows: lines of the file.
            kind: `invoice_recon` or `daily_usage`.
            place: the file's place among the period's files.

        Raises:
            UnknownInvoicesError: the period of some is not known.
        """
        keys = invoice_keys(rows)
        values, _ = values_and_codes(keys)
        unknown = tuple(key for key in values.to_pylist() if key not in self.periods)
        if unknown and not self.is_complete:
            raise UnknownInvoicesError(unknown)
        months: Counter[str | None] = Counter()
        for one in periods_of(keys, self.periods).value_counts().to_pylist():
            months[one["values"]] += one["counts"]
        kept = np.asarray(self.selection.counts(rows, kind, place, self.periods, self.period))
        return (rows if kept.all() else rows.filter(pa.array(kept))), months
