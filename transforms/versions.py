"""Which of several deliveries of the same charge counts.

Microsoft republishes an invoice's lines, and every export of unbilled lines repeats the earlier ones; a folder may
hold the old file, the new one, and copies of either in other containers. Parts of one delivery have different lines,
versions of one delivery have the same lines: a file whose charges are for the most part charged again by a newer file
of the same invoice is its older version and is left out, unless both are known to be delivered together. Rows are
never compared by content, so genuine duplicates inside a delivery stay. Unbilled rows of a closed period come again as
billed rows with an invoice number (documented, reference §2.9), and then only those count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.grouping import distinct_cases
from transforms.money import EXACT
from transforms.periods import charge_months, invoice_keys, periods_of
from transforms.tables.sources import BILLING_CURRENCY
from transforms.texts import values_and_codes

#: Share of a file's charges that a newer file must repeat to be its newer version.
REPEATED_SHARE = 0.5
_UNBILLED = "unbilled lines in"

#: First halves of the charge keys of a file's lines under one delivery key, each once.
ChargesOf = Callable[[int, str], np.ndarray[Any, Any]]


@dataclass
class Survey:
    """What the lines of one file are about.

    Attributes:
        source_file: its name.
        delivered_at: when it was last written.
        delivery: names what it was delivered with, where that is known; files delivered together are parts.
        months: as `charge_months` counts them.
        rows: lines by invoice key (see `transforms.periods.invoice_keys`) and delivery key (see `delivery_keys`).
        totals: sums of Total by delivery key, of reconciliation lines.
        currencies: billing currency by delivery key of unbilled lines.
    """

    source_file: str
    delivered_at: datetime
    delivery: str = ""
    months: dict[str, Counter[str]] = field(default_factory=dict)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    totals: dict[str, Decimal] = field(default_factory=dict)
    currencies: dict[str, set[str]] = field(default_factory=dict)

    def add(self, table: pa.Table, kind: str) -> None:
        """Count some of the file's lines (SURVEYED columns, and source_file)."""
        for invoice, counts in charge_months(table).items():
            self.months.setdefault(invoice, Counter()).update(counts)
        currency = BILLING_CURRENCY[kind]
        keys = pa.table({"invoice": invoice_keys(table), "delivery": delivery_keys(table, kind),
                         "currency": table.column(currency)})  # fmt: skip
        numbers, cases = distinct_cases(keys, ("invoice", "delivery", "currency"))
        counts = np.bincount(numbers, minlength=len(cases)).tolist()
        for case, count in zip(cases, counts, strict=True):
            self.rows[case["invoice"], case["delivery"]] += count
            self.currencies.setdefault(case["delivery"], set()).add(case["currency"] or "")
        if kind == "invoice_recon":
            summed = pa.table({"case": numbers, "total": table.column("total")}).group_by("case", use_threads=False)
            for row in summed.aggregate([("total", "sum")]).to_pylist():
                key = cases[row["case"]]["delivery"]
                self.totals[key] = EXACT.add(self.totals.get(key, Decimal(0)), row["total_sum"] or Decimal(0))


#: The columns of an export that a survey reads, by kind.
SURVEYED = {
    "invoice_recon": ("invoice_number", "charge_start_date", "currency", "total"),
    "daily_usage": ("invoice_number", "charge_start_date", "billing_currency"),
}


@dataclass(frozen=True)
class Selection:
    """Which lines do not count, by place of their file and delivery key, and a sentence for each file or currency."""

    left_out: frozenset[tuple[int, str]] = frozenset()
    notices: tuple[str, ...] = ()

    def counts(self, table: pa.Table, kind: str, file: int, periods: Mapping[str, str], period: str) -> pa.Array:
        """Which lines of a file are of a period and count."""
        own = pc.fill_null(pc.equal(periods_of(invoice_keys(table), periods).cast(pa.string()), period), False)
        dropped = [key for place, key in self.left_out if place == file]
        if dropped:
            keys = delivery_keys(table, kind).cast(pa.string())
            own = pc.and_(own, pc.invert(pc.is_in(keys, pa.array(dropped, pa.string()))))
        return own


def delivery_keys(table: pa.Table, kind: str) -> pa.DictionaryArray:
    """What versions of a line are told apart by: its invoice, or that it is unbilled, in which currency."""
    numbers = table.column("invoice_number")
    if not numbers.null_count:
        values, codes = values_and_codes(numbers)
        return pa.DictionaryArray.from_arrays(pa.array(codes), values)
    currencies = pc.fill_null(table.column(BILLING_CURRENCY[kind]).cast(pa.string()), "")
    unbilled = pc.binary_join_element_wise(_UNBILLED, currencies, " ")
    return pc.coalesce(numbers.cast(pa.string()), unbilled).combine_chunks().dictionary_encode()


def select_lines(
    surveys: Mapping[int, Survey], kind: str, periods: Mapping[str, str], period: str,
    totals: Mapping[str, Decimal], charges_of: ChargesOf,
) -> Selection:  # fmt: skip
    """Leave out the unbilled lines of what is billed by now, and the lines of a file that a newer file repeats.

    Args:
        surveys: what each file of that kind holds, by its place among the files.
        kind: `invoice_recon` or `daily_usage`.
        periods: period by invoice key.
        period: the one that is selected for.
        totals: invoice totals; where all files of an invoice together add up to it they are parts, not versions.
        charges_of: gives the charges of a file; only asked where several files have lines of one delivery key.
    """
    own: dict[str, dict[int, int]] = defaultdict(dict)
    for place, survey in surveys.items():
        for (invoice, key), count in survey.rows.items():
            if periods.get(invoice) == period:
                own[key][place] = own[key].get(place, 0) + count
    billed_in = {
        currency for key, files in own.items() if not key.startswith(_UNBILLED)
        for place in files for currency in surveys[place].currencies[key]
    }  # fmt: skip
    left_out: set[tuple[int, str]] = set()
    notices = []
    for key in sorted(own):
        currency = key.removeprefix(f"{_UNBILLED} ")
        if key.startswith(_UNBILLED) and currency in billed_in and currency:
            left_out |= {(place, key) for place in own[key]}
            notices.append(f"{sum(own[key].values())} unbilled lines in {currency} are left out: the period is billed "
                           "in that currency")  # fmt: skip
        elif len(own[key]) > 1:
            for older, newer in _versions(key, list(own[key]), surveys, kind, totals, charges_of):
                left_out.add((older, key))
                what = key if key not in totals and key.startswith(_UNBILLED) else f"invoice {key}"
                notices.append(f"{what}: {surveys[newer].source_file} repeats the lines of "
                               f"{surveys[older].source_file}, which is left out")  # fmt: skip
    return Selection(frozenset(left_out), tuple(notices))


def _versions(
    key: str, places: Sequence[int], surveys: Mapping[int, Survey], kind: str, totals: Mapping[str, Decimal],
    charges_of: ChargesOf,
) -> Iterable[tuple[int, int]]:  # fmt: skip
    """Pairs of a file and the newer one that repeats it."""
    if kind == "invoice_recon" and sum(surveys[place].totals[key] for place in places) == totals.get(key):
        return
    ordered = sorted(places, key=lambda place: (surveys[place].delivered_at, surveys[place].source_file, place))
    charges = {place: charges_of(place, key) for place in ordered}
    for position, older in enumerate(ordered):
        for newer in ordered[:position:-1]:
            if surveys[older].delivery and surveys[older].delivery == surveys[newer].delivery:
                continue
            shared = len(np.intersect1d(charges[older], charges[newer], assume_unique=True))
            if shared >= REPEATED_SHARE * len(charges[older]):
                yield older, newer
                break


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
