"""The checks of seat lines against each other and the previous period, of the few lines that may have a finding.

Every line leaves a small record; only of the subscriptions whose records leave a doubt are the lines looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, categorise
from transforms.charge_checks import CYCLE_CHARGES, check_overlaps, cycle_charges, seat_lines
from transforms.continuity import check_continuity
from transforms.digests import words_of
from transforms.findings import Finding
from transforms.grouping import like_the_one_before
from transforms.line_reader import LineReader
from transforms.records import IS_CYCLE_CHARGE, IS_PLAIN, IS_SEAT, SEATS, Array, Records, are_repeated, gathered
from transforms.texts import is_one_of, lowered
from transforms.usage_checks import Fetch

#: Added to a file's place where the line is of the previous period.
PREVIOUS = 2**31

#: The columns of reconciliation lines that their records are made from.
SEAT_COLUMNS = (
    "invoice_number", "subscription_id", "charge_type", "charge_start_date", "charge_end_date", "subtotal", "quantity",
    "billable_quantity", "publisher_name", "product_id", "product_name", "sku_name", "product_category",
    "term_and_billing_cycle", "subscription_description", "product_qualifiers", "meter_description", "unit_price",
    "effective_unit_price", "file_sha256", "source_file", "source_row",
)  # fmt: skip


class Places(NamedTuple):
    """Where lines are: the place of their file, and their row in it."""

    files: Array
    rows: Array

    @classmethod
    def of(cls, records: Array, less: int = 0) -> Places:
        """The places of records, those of the files less a number."""
        return cls(records["file"] - np.uint32(less), records["row"])

    def table(self, files: Sequence[tuple[str, str]]) -> pa.Table:
        """SHA-256, name and row of each; `files` are SHA-256 and name by place."""
        own = [files[int(file)] for file in self.files]
        return pa.table(
            {
                "file_sha256": pa.array([sha for sha, _ in own], pa.string()),
                "source_file": pa.array([name for _, name in own], pa.string()),
                "source_row": pa.array(self.rows.astype(np.int64)),
            }
        )


def seat_records(recon: pa.Table, categories: Categories, file: Array) -> Array:
    """A record of each line that has a subscription (SEATS); of lines without seats one for each subscription.

    Args:
        recon: reconciliation lines.
        categories: their categories.
        file: the place of each line's file among the period's files.
    """
    subscriptions = lowered(recon, "subscription_id")
    keys, _ = words_of(subscriptions)
    named = np.asarray(pc.is_valid(recon.column("subscription_id")))
    seats = seat_lines(recon, categories) & named
    others = np.flatnonzero(named & ~seats)
    _, first = np.unique(keys[others], return_index=True)
    rows = np.concatenate([np.flatnonzero(seats), others[first]])
    charged = np.asarray(pc.fill_null(pc.greater(pc.sign(recon.column("subtotal")), 0), False))
    cycle_type = is_one_of(lowered(recon, "charge_type"), CYCLE_CHARGES)
    quantity = pc.coalesce(recon.column("billable_quantity"), recon.column("quantity"))
    has_seats, (amounts, _) = np.asarray(pc.is_valid(quantity)), words_of(quantity)
    flags = np.where(seats, IS_SEAT, 0) | np.where(seats & cycle_charges(recon), IS_CYCLE_CHARGE, 0)
    flags |= np.where(seats & charged & cycle_type & has_seats, IS_PLAIN, 0)
    dates = [recon.column(f"charge_{end}_date").cast(pa.int32()) for end in ("start", "end")]
    days = [np.asarray(pc.fill_null(column, 0)) for column in dates]
    records = np.zeros(len(rows), dtype=SEATS)
    values = {"key": keys, "file": file, "row": np.asarray(recon.column("source_row")), "first": days[0],
              "last": days[1], "seats": amounts, "flags": flags}  # fmt: skip
    for name, column in values.items():
        records[name] = column[rows]
    return records


def check_standing(
    seats: Records,
    files: Sequence[tuple[str, str]],
    previous_files: Sequence[tuple[str, str]],
    period: str,
    rejected: Sequence[str],
    fetch: Fetch,
) -> list[Finding]:
    """OVERLAPPING_CHARGE, SUBSCRIPTION_DROPPED and QUANTITY_CHANGED.

    Args:
        seats: the records of this period's lines and, their files' places raised by PREVIOUS, of the previous one's;
            without those of voided invoices, because the rebill charges them again.
        files: SHA-256 and name of the files by place.
        previous_files: the same of the previous period's lines, by place less PREVIOUS.
        period: YYYY-MM.
        rejected: the period's rows in quarantine, as delivered.
        fetch: gives single lines; those of the previous period by the kind `previous`.
    """
    findings: list[Finding] = []
    for own in gathered(group[_suspicious(group)] for group in seats.by_key()):
        earlier = own["file"] >= PREVIOUS
        now = fetch("invoice_recon", Places.of(own[~earlier]).table(files))
        before = fetch("previous", Places.of(own[earlier], PREVIOUS).table(previous_files))
        findings += _check(now, before, period, rejected)
    return findings


def _check(now: pa.Table, before: pa.Table, period: str, rejected: Sequence[str]) -> list[Finding]:
    categories, previous = categorise(now), categorise(before)
    return [
        *check_overlaps(LineReader(now), now, categories, before, previous),
        *check_continuity(now, categories, before, previous, period, rejected),
    ]


def _suspicious(records: Array) -> Array:
    """Which records are of subscriptions that may have a finding."""
    # A single line of this period says nothing against its subscription.
    several = np.flatnonzero(are_repeated(records["key"]) | (records["file"] >= PREVIOUS))
    order, numbers = _by_key_and_day(records["key"][several], records["first"][several])
    order = several[order]
    ordered, count = np.take(records, order), int(numbers[-1]) + 1 if len(numbers) else 0
    doubtful = _overlapping(ordered, numbers, count) | _discontinued(ordered, numbers, count)
    found = np.zeros(len(records), dtype=np.bool_)
    found[order] = doubtful[numbers]
    return found


def _by_key_and_day(keys: Array, first: Array) -> tuple[Array, Array]:
    """The order of records by key and first day, and in that order the number of each one's key."""
    # Single words are sorted several times faster than pairs of them.
    order = np.argsort(keys)
    numbers = np.cumsum(~like_the_one_before(order, keys), dtype=np.int64) - 1
    by_day = np.argsort((numbers << 32) + first[order])
    return order[by_day], numbers


def _overlapping(records: Array, numbers: Array, count: int) -> Array:
    """Subscriptions of which two cycle charges share a day; the records are in the order of key and first day."""
    doubtful = np.zeros(count, dtype=np.bool_)
    charges = (records["flags"] & IS_CYCLE_CHARGE) > 0
    own, first, last = (column[charges].astype(np.int64) for column in (numbers, records["first"], records["last"]))
    # The latest end so far within each subscription: numbers rise, so that one running maximum serves them all.
    reached = np.maximum.accumulate((own << 32) + last) if len(own) else last
    shares = (own[1:] == own[:-1]) & (reached[:-1] >= (own[1:] << 32) + first[1:])
    doubtful[own[1:][shares]] = True
    return doubtful


def _discontinued(records: Array, numbers: Array, count: int) -> Array:
    """Subscriptions of the previous period but those that have one line now and then, for the same seats."""
    earlier = records["file"] >= PREVIOUS
    seats, plain = (records["flags"] & IS_SEAT) > 0, (records["flags"] & IS_PLAIN) > 0
    before = np.bincount(numbers[earlier & seats], minlength=count)
    now = np.bincount(numbers[~earlier & seats], minlength=count)
    others = np.bincount(numbers[~earlier & ~seats], minlength=count)
    alike = np.bincount(numbers[plain], minlength=count) == 2
    values = [np.zeros(count, dtype=np.uint64) for _ in range(2)]
    for value, rows in zip(values, (earlier & plain, ~earlier & plain), strict=True):
        value[numbers[rows]] = records["seats"][rows]
    unchanged = (before == 1) & (now == 1) & alike & (values[0] == values[1])
    only_named = (now == 0) & (others > 0)
    doubtful: Array = (before > 0) & ~unchanged & ~only_named
    return doubtful
