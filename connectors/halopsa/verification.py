"""Reading back: HaloPSA's lines of an invoice must be the ledger's, one by one and in their sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.halopsa.bodies import Draft
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.fingerprint import round_number
from connectors.halopsa.ledger import BILLED, INTENDED, POSTED, Book
from connectors.halopsa.listing import Listing, Row, some
from connectors.halopsa.properties import CONSUMPTION


def verify(drafts: Mapping[str, Draft], book: Book, listing: Listing, invoices: Iterable[str]) -> None:
    """Compare each invoice's lines in HaloPSA with the ledger's: which they are, how many, and their sum.

    An invoice whose lines are all billed was compared before they were marked, and is left out. Lines that somebody
    else marked as billed are noted in the ledger. A billed line that the plan no longer has stays where it is: it is
    reported (`Lines.billed_changed`), and nobody has to delete it.

    Args:
        drafts: the plan's lines, by key.
        book: ledger rows of the lines of these invoices.
        listing: reads HaloPSA's list.
        invoices: numbers of the invoices to compare.

    Raises:
        DisagreementError: names the invoice and the difference.
    """
    expected: dict[str, dict[int, Draft]] = {number: {} for number in invoices}
    unbilled = {str(row.parent_key) for row in book.rows.values() if row.halo_id is not None and row.state != BILLED}
    for draft in drafts.values():
        row = book.rows.get(draft.key)
        if row is not None and row.halo_id is not None and draft.parent_key in expected:
            expected[str(draft.parent_key)][row.halo_id] = draft
    numbers = [number for number in expected if number in unbilled]
    if not numbers:
        return
    listed = listing.all_since(numbers, {number: min(expected[number], default=None) for number in numbers})
    billed = {row["id"] for rows in listed.values() for row in rows if row.get("isbilled")}
    book.mark_billed(
        [
            key
            for key, row in book.rows.items()
            # One that is gone may have been about to be changed when the load was killed.
            if row.halo_id in billed and (row.state == POSTED or (row.state == INTENDED and key not in drafts))
        ]
    )
    stays = {row.halo_id for key, row in book.rows.items() if row.state == BILLED and key not in drafts}
    for number in numbers:
        _compare(number, expected[number], [row for row in listed[number] if row["id"] not in stays], book)


def _compare(number: str, expected: Mapping[int, Draft], listed: Sequence[Row], book: Book) -> None:
    by_id = {row["id"]: row for row in listed}
    surplus, missing = by_id.keys() - expected.keys(), expected.keys() - by_id.keys()
    counts = f"HaloPSA has {len(by_id)} lines of invoice {number} and should have {len(expected)}"
    if surplus:
        withdrawn = any(row.halo_id in surplus for row in book.rows.values())
        whose = "were posted earlier and are no longer in the exports" if withdrawn else "are too many"
        raise DisagreementError(
            f"{counts}: {len(surplus)} {whose} (ids {some(surplus)}); delete them in HaloPSA, then repeat the command"
        )
    if missing:
        raise DisagreementError(
            f"{counts}: ids {some(missing)} were removed there; restore them, then repeat the command"
        )
    # A line that was billed, or refused, with a new amount still has its old one.
    same = [halo_id for halo_id, draft in expected.items() if book.rows[draft.key].content_hash == draft.content_hash]
    sent = sum((total_of(expected[each].body) for each in same), Decimal(0))
    there = sum((total_of(by_id[each]) for each in same), Decimal(0))
    if sent != there:
        raise DisagreementError(
            f"the lines of invoice {number} add up to {there} in HaloPSA and to {sent} in the ledger, a difference of "
            f"{there - sent}; undo the change made in HaloPSA, then repeat the command"
        )


def total_of(record: Mapping[str, Any]) -> Decimal:
    """What a line comes to, as HaloPSA has it; 0 where it says nothing."""
    value = record.get("total")
    return round_number(Decimal(value), CONSUMPTION.properties["total"]) if value is not None else Decimal(0)
