"""Posting invoice documents, and learning the `haloid` that their lines hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.halopsa.bodies import Draft, invoice_drafts
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.fingerprint import content_hash
from connectors.halopsa.ledger import BILLED, INTENDED, POSTED, Book, Ledger, Posting
from connectors.halopsa.plan import HaloLoadSettings, LoadPlan
from connectors.halopsa.posting import Sender
from connectors.halopsa.properties import INVOICE
from connectors.halopsa.tally import Tally
from connectors.progress import Progress
from transforms.documents import voided_invoices

Row = dict[str, Any]
_ID = INVOICE.id_property


@dataclass
class Documents:
    """The plan's invoices in HaloPSA.

    Attributes:
        drafts: the documents that are posted, by number; voided ones are not.
        book: their ledger rows.
        voided: numbers of voided documents, whose lines are not posted either.
        fresh: numbers that this load created, so that no line can hang on them yet.
        known_since: ledger rows as the load found them, which bound the ids of their lines.
        usable: the drafts that can be sent.
        newest: the highest `haloid` there was when HaloPSA was asked; None where there was nothing to ask.
    """

    drafts: dict[str, Draft]
    book: Book
    voided: frozenset[str]
    fresh: set[str] = field(default_factory=set)
    known_since: dict[str, Posting] = field(default_factory=dict)
    usable: list[Draft] = field(default_factory=list)
    newest: int | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def ids(self) -> dict[str, int]:
        """`haloid` by invoice number, of the documents that are in HaloPSA."""
        return {
            number: row.halo_id
            for number in self.drafts
            if (row := self.book.rows.get(number)) is not None
            and row.halo_id is not None
            and row.state in (POSTED, BILLED)
        }


def documents(ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings) -> Documents:
    """The plan's documents with what the ledger knows of them; sends nothing."""
    voided = voided_invoices(plan.invoices)
    drafts = {draft.key: draft for draft in invoice_drafts(plan.invoices, settings.csp_tenant_id, plan.clients)}
    book = Book(ledger, INVOICE.name, plan.run_id, plan.period)
    live = {number: draft for number, draft in drafts.items() if number not in voided}
    return Documents(live, book, voided, known_since=dict(book.rows))


def survey_invoices(client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings) -> Documents:
    """The plan's documents, after asking HaloPSA for those that the ledger leaves open; posts nothing.

    A document that HaloPSA has already (same `id` and `tenantid`) is adopted. If it was posted by an earlier ledger of
    ours, one that was lost or replaced by an older one, then so were prices: from then on they are in doubt.

    Raises:
        DisagreementError: HaloPSA has a document twice; lines posted to one of them would be billed beside the other's.
    """
    found = documents(ledger, plan, settings)
    book, tally = found.book, found.tally
    found.usable = tally.refuse(book, list(found.drafts.values()))
    if any(_is_open(draft, book) for draft in found.usable):
        open_keys = [key for key, row in book.rows.items() if row.state == INTENDED and row.halo_id is None]
        client.wait(book.open_for(open_keys, settings.settle_grace_seconds))
        listed = list(client.newest_first(INVOICE.post_path, _ID))
        found.newest = listed[0][_ID] if listed else 0
        if any(draft.key not in book.rows and _only(draft, listed) is not None for draft in found.usable):
            # Before they are adopted: afterwards nothing would tell any more that this ledger has missed something.
            ledger.doubt_prices("invoices are in HaloPSA that this ledger did not post: it may have prices, too")
        tally.adopted += _adopt(book, found.usable, listed)
        # What never arrived begins anew, so that its next attempt is its first and dates the document.
        book.forget([key for key in open_keys if book.rows[key].halo_id is None])
    return found


def post_invoices(client: HaloClient, found: Documents, settings: HaloLoadSettings, progress: Progress) -> None:
    """Post the documents that are new or changed; billed ones are left as they are.

    Raises:
        DisagreementError: see `survey_invoices`.
    """
    book, tally, newest = found.book, found.tally, found.newest
    new = [draft for draft in found.usable if not _is_known(draft, book)]
    sender = Sender(
        client,
        book,
        INVOICE,
        settings,
        lambda drafts: _find(client, drafts, newest),
        progress=lambda done, all_: progress("posting invoices", done, all_),
    )
    to_send = new + [draft.at(book.rows[draft.key].halo_id) for draft in found.usable if _is_changed(draft, book)]
    tally.add(to_send, sender.send(to_send))
    found.fresh = {draft.key for draft in new} & set(sender.sent.posted)
    if found.fresh:
        _find(client, [draft for draft in new if draft.key in found.fresh], newest)


def is_billed(row: Row) -> bool:
    """Whether HaloPSA calls a document billed: all of it where it says so, else any of it."""
    return bool(row["isfullybilled"] if row.get("isfullybilled") is not None else row.get("isbilled"))


def _is_known(draft: Draft, book: Book) -> bool:
    row = book.rows.get(draft.key)
    return row is not None and row.halo_id is not None


def _is_changed(draft: Draft, book: Book) -> bool:
    row = book.rows.get(draft.key)
    if row is None or row.halo_id is None or row.state == BILLED:
        return False
    return row.state == INTENDED or row.content_hash != draft.content_hash


def _is_open(draft: Draft, book: Book) -> bool:
    """Whether HaloPSA has to be asked: the ledger does not know the document, or it is about to be changed."""
    return not _is_known(draft, book) or _is_changed(draft, book)


def _adopt(book: Book, drafts: Sequence[Draft], listed: Sequence[Row]) -> int:
    """Take over what HaloPSA has: documents that the ledger does not know, and that some are billed by now."""
    by_id = {row[_ID]: row for row in listed}
    found = []
    billed = []
    for draft in drafts:
        if _is_known(draft, book):
            row = by_id.get(book.rows[draft.key].halo_id)
            # Only what would be changed: HaloPSA may compute the flag from lines, and others are yet to be marked.
            if row is not None and is_billed(row) and _is_changed(draft, book):
                billed.append(draft.key)
            continue
        row = _only(draft, listed)
        if row is not None:
            found.append((draft, row[_ID], content_hash(INVOICE, row), is_billed(row)))
    book.adopt(found)
    book.mark_billed(billed)
    return len(found)


def _find(client: HaloClient, drafts: Sequence[Draft], floor: int | None) -> dict[str, int]:
    """The ids of documents that were created after `floor` was the newest."""
    listed = list(client.newest_first(INVOICE.post_path, _ID, floor))
    found = {draft.key: _only(draft, listed) for draft in drafts}
    return {key: row[_ID] for key, row in found.items() if row is not None}


def _only(draft: Draft, listed: Sequence[Row]) -> Row | None:
    """The one document of the draft's number and tenant."""
    same = [
        row
        for row in listed
        if str(row.get("id") or "").strip() == draft.body["id"]
        and row.get("tenantid") in (None, draft.body["tenantid"])
    ]
    if len(same) > 1:
        ids = " and ".join(str(row[_ID]) for row in reversed(same))
        raise DisagreementError(
            f"HaloPSA has invoice {draft.key} more than once (haloid {ids}); delete the one without lines there, "
            "then repeat the command"
        )
    return same[0] if same else None
