"""Marking a loaded period as billed: its lines by `isbilled`, its invoices by `mark_as_billed`, both read back.

Marking is an update by HaloPSA's own id: to repeat it changes nothing, so the ledger holds no intent for it, and what
became of a request without an answer is seen when the flags are read back. Whether HaloPSA itself hands the flag down
from the invoice to its lines is not documented; both ways end the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from connectors.halopsa.batches import TOO_SLOW, BatchSize
from connectors.halopsa.bodies import Draft
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError, OutcomeUnknownError, TooLargeError
from connectors.halopsa.invoices import Documents, documents, is_billed
from connectors.halopsa.ledger import POSTED, Ledger
from connectors.halopsa.lines import Lines
from connectors.halopsa.lock import holding
from connectors.halopsa.plan import HaloLoadSettings, LoadPlan, MarkCounts
from connectors.halopsa.properties import CONSUMPTION, INVOICE
from connectors.halopsa.verification import verify
from connectors.progress import Progress, silent

#: What the ledger says of a document that HaloPSA does not call billed.
NOTHING_TO_MARK = "it has no line in HaloPSA, which therefore does not call it billed"


def mark_billed(
    client: HaloClient,
    ledger: Ledger,
    plan: LoadPlan,
    settings: HaloLoadSettings,
    progress: Progress | None = None,
) -> MarkCounts:
    """Mark the plan's lines and invoices as billed; returns what was newly marked and read back as such.

    Raises:
        HaloError: a line or document of the plan is not in HaloPSA as it should be (nothing is marked then), or
            HaloPSA does not take the flag.
        WarehouseError: another load is at work.
    """
    with holding(ledger, plan.run_id) as lock, client.beating(lock.renew):
        marking = _Marking(client, ledger, plan, settings, progress or silent)
        marking.check_loaded()
        lines, invoices = marking.mark_lines(), marking.mark_invoices()
        return MarkCounts(invoices=invoices, lines=lines, unmarked=marking.unmarked())


class _Marking:
    def __init__(
        self, client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, progress: Progress
    ) -> None:
        self._client = client
        self._settings = settings
        self._progress = progress
        self._batch = BatchSize(settings.batch_size)
        self._documents: Documents = documents(ledger, plan, settings)
        self._lines = Lines(client, ledger, plan, settings, self._documents, progress)

    def check_loaded(self) -> None:
        """Raise HaloError unless every document and line of the plan is in HaloPSA with its present content."""
        if missing := self._lines.missing():
            raise HaloError(f"{missing}; load the run first")

    def mark_lines(self) -> int:
        """Mark, read back, and mark again what was not taken."""
        book = self._lines.book
        pending = [draft for draft in self._lines.drafts.values() if book.rows[draft.key].state == POSTED]
        if not pending:
            return 0
        verify(self._lines.drafts, book, self._lines.listing, self._documents.ids)
        pending = [draft for draft in pending if book.rows[draft.key].state == POSTED]
        marked = 0
        for _ in range(self._settings.most_attempts):
            doubt = self._send(pending)
            billed = self._lines.listing.billed([draft.key for draft in pending])
            if doubt and len(billed) < len(pending):
                self._client.wait(self._settings.settle_grace_seconds)
                billed |= self._lines.listing.billed([draft.key for draft in pending if draft.key not in billed])
            book.mark_billed(sorted(billed))
            marked += len(billed)
            pending = [draft for draft in pending if draft.key not in billed]
            self._progress("marking lines", marked, marked + len(pending))
            if not pending:
                return marked
        raise DisagreementError(
            f"HaloPSA does not mark {len(pending)} lines as billed, such as that of {pending[0].source}"
        )

    def mark_invoices(self) -> int:
        """Mark the documents whose lines are all billed by now, read them back, and return how many are marked.

        HaloPSA may compute the flag from the lines, so that it says nothing of a request that stayed without an
        answer: that is sent again before the flag is believed. It may have nothing to compute the flag of a document
        without lines from. That it did not take one is noted in the ledger, so that it is not asked for again until
        the document has lines.
        """
        book = self._documents.book
        with_lines = {draft.parent_key for draft in self._lines.drafts.values()}
        pending = [draft for draft in self._posted() if draft.key in with_lines or not self._is_refused(draft)]
        total, marked = len(pending), 0
        for attempt in range(1, self._settings.most_attempts + 1):
            if not pending:
                return marked
            answered = self._mark_documents(pending)
            if not answered and attempt < self._settings.most_attempts:
                continue
            billed = self._billed_documents(pending)
            book.mark_billed(sorted(billed))
            marked += len(billed)
            refused = {draft.key for draft in pending if answered and draft.key not in with_lines | billed}
            book.note(sorted(refused), NOTHING_TO_MARK)
            pending = [draft for draft in pending if draft.key not in billed | refused]
            self._progress("marking invoices", total - len(pending), total)
        if pending:
            raise DisagreementError(f"HaloPSA does not mark invoice {pending[0].key} as billed; look at it there")
        return marked

    def unmarked(self) -> tuple[str, ...]:
        """Numbers of the documents that HaloPSA does not call billed, because they have no line there."""
        return tuple(sorted(draft.key for draft in self._posted()))

    def _posted(self) -> list[Draft]:
        """The documents that are in HaloPSA and not known to be billed."""
        rows = self._documents.book.rows
        return [draft for draft in self._documents.drafts.values() if rows[draft.key].state == POSTED]

    def _is_refused(self, draft: Draft) -> bool:
        return self._documents.book.rows[draft.key].last_error == NOTHING_TO_MARK

    def _send(self, drafts: Sequence[Draft]) -> bool:
        """Post the flag of these lines; returns whether any answer stayed out."""
        doubt, start = False, 0
        while start < len(drafts):
            batch = drafts[start : start + self._batch.rows]
            began = time.monotonic()
            try:
                self._client.post(CONSUMPTION.post_path, [self._marked(draft) for draft in batch])
            except TooLargeError:
                if len(batch) == 1:
                    raise
                self._batch.failed(len(batch))
                continue
            except OutcomeUnknownError as error:
                doubt = True
                if error.status in TOO_SLOW:
                    self._batch.unanswered(len(batch), timedelta(seconds=time.monotonic() - began))
            else:
                self._batch.answered(len(batch), self._client.answered_after)
            start += len(batch)
            self._progress("marking lines", start, len(drafts))
        return doubt

    def _marked(self, draft: Draft) -> dict[str, object]:
        """The whole body, because whether HaloPSA keeps what an update leaves out is not documented."""
        return {"id": self._lines.book.rows[draft.key].halo_id, **self._lines.body(draft), "isbilled": True}

    def _mark_documents(self, drafts: Sequence[Draft]) -> bool:
        rows = [
            {INVOICE.id_property: self._documents.ids[draft.key], **draft.body, "mark_as_billed": True}
            for draft in drafts
        ]
        try:
            self._client.post(INVOICE.post_path, rows)
        except OutcomeUnknownError:
            return False
        return True

    def _billed_documents(self, drafts: Sequence[Draft]) -> set[str]:
        wanted = {self._documents.ids[draft.key]: draft.key for draft in drafts}
        billed = set()
        for row in self._client.newest_first(INVOICE.post_path, INVOICE.id_property):
            key = wanted.pop(row[INVOICE.id_property], None)
            if key is not None and is_billed(row):
                billed.add(key)
            if not wanted:
                break
        return billed
