"""Counting what became of the records of one entity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.halopsa.bodies import Draft
from connectors.halopsa.ledger import Book
from connectors.halopsa.posting import Sent


@dataclass
class Tally:
    """Counts of one entity (see `plan.LoadCounts`).

    Attributes:
        rejected: keys that are not in HaloPSA as they should be, with the reason.
    """

    posted: int = 0
    adopted: int = 0
    cut: int = 0
    rounded: int = 0
    unknown: int = 0
    rejected: dict[str, str] = field(default_factory=dict)

    def refuse(self, book: Book, drafts: Sequence[Draft]) -> list[Draft]:
        """Write down the drafts that cannot be sent, and return the others."""
        bad = [(draft, draft.problem) for draft in drafts if draft.problem]
        # Written again only when something changed: a load that posts nothing writes nothing.
        book.reject([(draft, why) for draft, why in bad if not _is_known(book, draft, why)])
        self.rejected |= {draft.key: why for draft, why in bad}
        return [draft for draft in drafts if not draft.problem]

    def add(self, drafts: Sequence[Draft], sent: Sent) -> None:
        """Count what was sent."""
        posted = set(sent.posted)
        self.posted += len(posted)
        self.rejected |= sent.rejected
        self.cut += sum(len(draft.cut) for draft in drafts if draft.key in posted)
        self.rounded += sum(len(draft.rounded) for draft in drafts if draft.key in posted)


def _is_known(book: Book, draft: Draft, why: str) -> bool:
    row = book.rows.get(draft.key)
    return row is not None and row.last_error == why
