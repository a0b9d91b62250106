"""Posting consumption lines below their invoices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.halopsa.bodies import Draft, line_drafts
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.fingerprint import content_hash, stable_part
from connectors.halopsa.invoices import Documents
from connectors.halopsa.ledger import BILLED, INTENDED, POSTED, Book, Ledger, Posting
from connectors.halopsa.listing import Listing, Row, check_recognised, same_content, same_identity, some
from connectors.halopsa.plan import HaloLoadSettings, LoadPlan
from connectors.halopsa.posting import Sender, Sent
from connectors.halopsa.properties import CONSUMPTION
from connectors.halopsa.tally import Tally
from connectors.halopsa.verification import total_of, verify
from connectors.progress import Progress
from transforms.billed_lines import BilledLine, Change
from transforms.tables import DAILY_USAGE, INVOICE_RECON


class Lines:
    """The plan's lines that have an invoice in HaloPSA.

    Attributes:
        drafts: by line_id.
        book: ledger rows of all lines of these invoices, also of lines that the plan no longer has.
        listing: the same lines as HaloPSA lists them.
        held: line ids whose invoice is not in HaloPSA.
    """

    def __init__(
        self,
        client: HaloClient,
        ledger: Ledger,
        plan: LoadPlan,
        settings: HaloLoadSettings,
        documents: Documents,
        progress: Progress,
    ) -> None:
        self._client = client
        self._settings = settings
        self._documents = documents
        self._progress = progress
        self._parents = documents.ids
        wanted = [draft for draft in _plan_lines(plan, settings) if draft.parent_key not in documents.voided]
        self.drafts = {draft.key: draft for draft in wanted if draft.parent_key in self._parents}
        self.held = [draft.key for draft in wanted if draft.parent_key not in self._parents]
        self.book = Book(ledger, CONSUMPTION.name, plan.run_id, plan.period, self._parents)
        self.listing = Listing(client, ledger, self.book, documents, progress)
        self.tally = Tally()
        self._listed: set[str] = set()
        self._billed: dict[str, Row] = {}

    def load(self) -> None:
        """Post what is new or changed and unbilled, then verify; raises HaloError, see `verification.verify`."""
        self._forget_deleted()
        usable = self.tally.refuse(self.book, list(self.drafts.values()))
        if self._new(usable) or self._changed(usable) or self._open():
            self.listing.start()
            self._survey(usable)
        new, changed = self._new(usable), self._changed(usable)
        sender = Sender(
            self._client,
            self.book,
            CONSUMPTION,
            self._settings,
            self.listing.find,
            self.body,
            lambda done, total: self._progress("posting lines", done, total),
        )
        sender.send(new)
        self.tally.add((*new, *changed), sender.send(changed))
        verify(self.drafts, self.book, self.listing, self._unseen(sender.sent))

    def missing(self) -> str | None:
        """The first document or line of the plan that is not in HaloPSA with its present content, and why."""
        for number, document in self._documents.drafts.items():
            if not _is_there(document, row := self._documents.book.rows.get(number)):
                return _missing(f"invoice {number}", row)
        for draft in self.drafts.values():
            if not _is_there(draft, row := self.book.rows.get(draft.key)):
                return _missing(f"the line of {draft.source}", row)
        return None

    def body(self, draft: Draft) -> dict[str, Any]:
        """The draft's body below its invoice."""
        return {**draft.body, "parentid": self._parents[str(draft.parent_key)]}

    def billed_changed(self) -> list[BilledLine]:
        """Lines that are billed in HaloPSA, and came with other amounts or are no longer in the plan."""
        changed = self._billed_otherwise()
        self._billed |= self.listing.there(changed - self._billed.keys())
        return [
            BilledLine(
                Change.AMOUNTS if key in self.drafts else Change.GONE,
                str(self.book.rows[key].parent_key),
                self._billed[key]["id"],
                key,
                total_of(self._billed[key]),
            )
            for key in sorted(changed & self._billed.keys())
        ]

    def _forget_deleted(self) -> None:
        """Such lines that were deleted in HaloPSA: what is still delivered of them is new again."""
        changed = self._billed_otherwise()
        self._billed = self.listing.there(changed)
        self.book.forget(changed - self._billed.keys())

    def _billed_otherwise(self) -> set[str]:
        """Keys of lines that are billed as far as the ledger knows, with other content than the plan's, or none."""
        return {
            key
            for key, row in self.book.rows.items()
            if row.state == BILLED
            and (
                (draft := self.drafts.get(key)) is None
                or stable_part(row.content_hash) != stable_part(draft.content_hash)
            )
        }

    def _new(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Drafts that are not in HaloPSA as far as the ledger knows."""
        return [
            draft for draft in drafts if (row := self.book.rows.get(draft.key)) is None or row.halo_id is None
        ]

    def _changed(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Unbilled drafts whose content in HaloPSA is, or may be, another."""
        return [
            draft.at(row.halo_id)
            for draft in drafts
            if (row := self.book.rows.get(draft.key)) is not None
            and row.halo_id is not None
            and (row.state == INTENDED or (row.state == POSTED and row.content_hash != draft.content_hash))
        ]

    def _open(self) -> list[str]:
        """New lines that an earlier run was about to send, and whose outcome it did not see."""
        return [key for key, row in self.book.rows.items() if row.state == INTENDED and row.halo_id is None]

    def _unseen(self, sent: Sent) -> list[str]:
        """Invoices that have to be read back: this load has not seen for itself all that is below them.

        A tenant allows few requests, so what HaloPSA's own answers show is not listed again: an invoice is left out
        when the load created it or walked down to its oldest line, when an answer or that walk showed every line of
        it as the ledger has it, and when no request with a line of it stayed without a clear outcome.
        """
        shown = sent.proven | self._listed
        doubted = {self.drafts[key].parent_key for key in sent.doubted}
        unseen = {row.parent_key for key, row in self.book.rows.items() if row.halo_id is not None and key not in shown}
        whole = self._documents.fresh | self.listing.walked
        return [number for number in self._parents if number not in whole or number in doubted | unseen]

    def _survey(self, usable: Sequence[Draft]) -> None:
        """Settle with HaloPSA's own list what the ledger leaves open.

        Under an invoice that this very load created there can be no line yet. Under any other, lines may exist that
        this ledger does not know: an earlier run was killed, another machine was at work, the ledger was lost.
        """
        opened = self._open()
        new = [draft for draft in self._new(usable) if draft.parent_key not in self._documents.fresh]
        changed = self._changed(usable)
        if not (opened or new or changed):
            return
        self._client.wait(self.book.open_for(opened, self._settings.settle_grace_seconds))
        numbers = {str(draft.parent_key) for draft in (*new, *changed)}
        numbers |= {str(self.book.rows[key].parent_key) for key in opened}
        digests = Counter(stable_part(draft.content_hash) for draft in new if draft.key not in opened)
        digests.update(stable_part(self.book.rows[key].content_hash) for key in opened)
        ids = {draft.halo_id: draft for draft in changed if draft.halo_id is not None}
        listed = self.listing.search(sorted(numbers), digests, ids.keys())
        self._check_changed(ids, listed)
        self._settle_open(opened, listed)
        self._adopt(new, listed)
        there = {row["id"]: same_content(row) for rows in listed.values() for row in rows}
        self._listed = {
            key
            for key, row in self.book.rows.items()
            if row.halo_id is not None and there.get(row.halo_id) == stable_part(row.content_hash)
        }
        missing = {draft.parent_key for draft in self._new(new)}
        check_recognised(
            self.listing.unclaimed({number: rows for number, rows in listed.items() if number in missing}, same_content)
        )

    def _check_changed(self, changed: Mapping[int, Draft], listed: Mapping[str, Sequence[Row]]) -> None:
        """Before a line is updated: it must be there, and nobody may have billed it meanwhile."""
        there = {row["id"]: row for rows in listed.values() for row in rows}
        gone = changed.keys() - there.keys()
        if gone:
            numbers = ", ".join(sorted({str(changed[each].parent_key) for each in gone}))
            raise DisagreementError(
                f"lines of invoice {numbers} were removed in HaloPSA (ids {some(gone)}); restore them there, then "
                "repeat the command"
            )
        self.book.adopt(
            [
                (draft, halo_id, content_hash(CONSUMPTION, there[halo_id]), True)
                for halo_id, draft in changed.items()
                if there[halo_id].get("isbilled")
            ]
        )

    def _settle_open(self, opened: Sequence[str], listed: Mapping[str, Sequence[Row]]) -> None:
        """Match lines that may have been sent by the content they were sent with; forget those that never arrived."""
        waiting = self.listing.unclaimed(listed, same_content)
        ids: dict[str, int | None] = {}
        billed = []
        for key in opened:
            row = self.book.rows[key]
            matches = waiting[str(row.parent_key), stable_part(row.content_hash)]
            if matches:
                found = matches.popleft()
                ids[key] = found["id"]
                billed += [key] if found.get("isbilled") else []
        self.book.settle(ids, billed)
        self.tally.adopted += len(ids)
        self.book.forget([key for key in opened if key not in ids])

    def _adopt(self, drafts: Sequence[Draft], listed: Mapping[str, Sequence[Row]]) -> None:
        """Take over lines that the ledger does not know: equal ones first, then those with other amounts.

        The latter are updated afterwards like any changed line, or reported when they are billed.
        """
        for same in (same_content, same_identity):
            waiting = self.listing.unclaimed(listed, same)
            found = []
            for draft in drafts:
                matches = waiting[str(draft.parent_key), same(draft.body)]
                if draft.key not in self.book.rows and matches:
                    row = matches.popleft()
                    found.append((draft, row["id"], content_hash(CONSUMPTION, row), bool(row.get("isbilled"))))
            self.book.adopt(found)
            self.tally.adopted += len(found)


def _plan_lines(plan: LoadPlan, settings: HaloLoadSettings) -> list[Draft]:
    return [
        *line_drafts(plan.recon_lines, INVOICE_RECON, settings.line_type),
        *line_drafts(plan.usage_lines, DAILY_USAGE, settings.usage_type),
    ]


def _is_there(draft: Draft, row: Posting | None) -> bool:
    """Whether HaloPSA has it as the run has it, or billed, so that nobody changes it."""
    return row is not None and (
        row.state == BILLED or (row.state == POSTED and row.content_hash == draft.content_hash)
    )


def _missing(what: str, row: Posting | None) -> str:
    why = f" ({row.last_error})" if row is not None and row.last_error else ""
    return f"{what} is not in HaloPSA as the run has it{why}"
