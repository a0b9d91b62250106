"""Finding lines in HaloPSA, which lists all lines of all invoices and filters nothing.

The list is walked from its newest end, and no further than to the highest id that existed before the lines in
question could have been inserted: ids grow with every insert.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from connectors.halopsa.bodies import Draft
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError, NotAppliedError
from connectors.halopsa.fingerprint import content_hash, stable_part
from connectors.halopsa.invoices import Documents
from connectors.halopsa.ledger import Book, Ledger
from connectors.halopsa.properties import CONSUMPTION, Type
from connectors.progress import Progress

Row = dict[str, Any]
Same = Callable[[Mapping[str, Any]], str]

_ID = CONSUMPTION.id_property
_PATH = str(CONSUMPTION.list_path)
#: What of a line tells whether it is there, billed and right: the rest of many lines would fill the memory.
_STATE = (_ID, "isbilled", "total")
#: At how many rows HaloPSA cuts a page, whatever size is asked for (measured).
_PAGE = 100
#: After so many listed lines the progress is told.
_TOLD_EACH = 100
#: How it answers for a line that it has not; 400 in some versions.
_NOT_THERE = frozenset({400, 404})
#: What a line is, without its amounts.
_IDENTITY = [prop for prop in CONSUMPTION.properties.values() if prop.stable and prop.type is not Type.NUMBER]


class Listing:
    """The lines of the plan's invoices as HaloPSA lists them.

    Args:
        client: HaloPSA.
        ledger: bounds how far the list has to be walked.
        book: ledger rows of the lines of these invoices.
        documents: the invoices.
        progress: is told how many lines are read.

    Attributes:
        walked: invoices whose lines were all listed, down to the oldest there can be.
    """

    def __init__(
        self, client: HaloClient, ledger: Ledger, book: Book, documents: Documents, progress: Progress
    ) -> None:
        self._client = client
        self._progress = progress
        self._ledger = ledger
        self._book = book
        self._documents = documents
        self._parents = documents.ids
        self._start: int | None = None
        self._floors: dict[str, int] = {}
        self.walked: set[str] = set()

    def start(self) -> None:
        """Note an id that no line inserted from now on can have."""
        self._start = self._ledger.highest_line_id(self._ledger.now())
        if self._start is None:
            newest = next(self._client.newest_first(_PATH, _ID), None)
            self._start = newest[_ID] if newest else None

    def all_since(self, numbers: Sequence[str], oldest: Mapping[str, int | None]) -> dict[str, list[Row]]:
        """Every line of these invoices: its `id`, `isbilled` and `total`.

        Args:
            numbers: the invoices.
            oldest: by invoice the lowest id known to belong to it, which bounds the walk where the age of the
                invoice does not.
        """
        floors: list[int | None] = []
        for number in numbers:
            known = oldest.get(number)
            bounds = [self._before_invoice(number), None if known is None else known - 1]
            floors.append(min((each for each in bounds if each is not None), default=None))
        return self._rows(numbers, _lowest(floors), keep=_STATE)

    def search(self, numbers: Sequence[str], digests: Counter[str], ids: Iterable[int]) -> dict[str, list[Row]]:
        """The lines of these invoices, until unclaimed ones with all these stable digests and all `ids` were seen."""
        wanted = set(ids)
        listed = self._rows(numbers, _lowest([self._before_invoice(number) for number in numbers]), digests, wanted)
        rows = [row for each in listed.values() for row in each]
        missing = digests - Counter(same_content(row) for row in rows if row[_ID] not in self._book.claimed)
        # Only a walk that found everything may have ended before the oldest line.
        if missing or wanted - {row[_ID] for row in rows}:
            self.walked.update(numbers)
        return listed

    def find(self, drafts: Sequence[Draft]) -> dict[str, int]:
        """Look up lines that were just sent, with whatever outcome; the ids of those that are there, by key.

        Equal lines are told apart by nothing but their number, so they are matched by count.

        Raises:
            DisagreementError: some are missing, but there are new lines below these invoices that nobody can place.
        """
        newest = max((*self._book.claimed, self._start or 0))
        for draft in drafts:
            self._floors.setdefault(draft.key, newest)
        numbers = sorted({str(draft.parent_key) for draft in drafts})
        wanted = Counter(stable_part(draft.content_hash) for draft in drafts)
        listed = self._rows(numbers, min(self._floors[draft.key] for draft in drafts), wanted)
        waiting = self.unclaimed(listed, same_content)
        ids = {}
        for draft in drafts:
            matches = waiting[str(draft.parent_key), stable_part(draft.content_hash)]
            if matches:
                ids[draft.key] = matches.popleft()[_ID]
        if len(ids) < len(drafts):
            check_recognised(waiting)
        return ids

    def billed(self, keys: Iterable[str]) -> set[str]:
        """Which of these posted lines HaloPSA calls billed."""
        return {key for key, row in self.there(keys).items() if row.get("isbilled")}

    def there(self, keys: Iterable[str]) -> dict[str, Row]:
        """These posted lines as HaloPSA has them, by key, at least their `id`, `isbilled` and `total`.

        Few ones it is asked for one by one. What is missing in its list is asked for, too, of many lines only some: to
        take a billed line for deleted would post it again.

        Raises:
            DisagreementError: many are missing in its list, and it has some of them all the same.
        """
        by_id = {halo_id: key for key in keys if (halo_id := self._book.rows[key].halo_id) is not None}
        if not by_id:
            return {}
        lowest = min(by_id)
        pages = sum(each >= lowest for each in self._book.claimed) // _PAGE
        rows = self._singly(by_id) if len(by_id) < pages else None
        if rows is None:
            listed = self._rows(list(self._parents), lowest - 1, Counter(), by_id, keep=_STATE)
            rows = [row for each in listed.values() for row in each]
        found = {by_id[row[_ID]]: row for row in rows if row[_ID] in by_id}
        missing = sorted(halo_id for halo_id, key in by_id.items() if key not in found)
        asked = {halo_id: self._one(halo_id) for halo_id in missing[:_PAGE]}
        hidden = {by_id[halo_id]: row for halo_id, row in asked.items() if row is not None}
        if hidden and len(missing) > _PAGE:
            raise DisagreementError(
                f"HaloPSA's list leaves out {len(missing)} lines, some of which it has (ids "
                f"{some(row[_ID] for row in hidden.values())}); repeat the command later"
            )
        return found | hidden

    def _singly(self, ids: Iterable[int]) -> list[Row] | None:
        """Lines by their ids; None where HaloPSA does not show each of them below an invoice of ours."""
        rows = []
        for halo_id in ids:
            try:
                row = self._one(halo_id)
            except HaloError:
                return None
            if row is None or _parent(row) not in self._parents.values():
                return None
            rows.append(row)
        return rows

    def _one(self, halo_id: int) -> Row | None:
        """A line by its id, wherever it stands; None where HaloPSA shows none. Raises HaloError where it cannot say."""
        try:
            row = self._client.get(f"{_PATH}/{halo_id}")
        except NotAppliedError as error:
            if error.status in _NOT_THERE:
                return None
            raise
        return row if isinstance(row, dict) and row.get(_ID) == halo_id else None

    def unclaimed(
        self, listed: Mapping[str, Sequence[Row]], same: Same
    ) -> defaultdict[tuple[str, str], deque[Row]]:
        """Listed lines that no ledger row stands for, oldest first, by invoice and by what `same` says of them."""
        waiting: defaultdict[tuple[str, str], deque[Row]] = defaultdict(deque)
        for number, rows in listed.items():
            for row in sorted(rows, key=lambda each: int(each[_ID])):
                if row[_ID] not in self._book.claimed:
                    waiting[number, same(row)].append(row)
        return waiting

    def _rows(
        self,
        numbers: Sequence[str],
        floor: int | None,
        digests: Counter[str] | None = None,
        ids: Iterable[int] = (),
        keep: Sequence[str] = (),
    ) -> dict[str, list[Row]]:
        """The lines of these invoices above `floor`; with `digests`, only until these and `ids` were all seen.

        They are given whole, or with the properties to `keep`.
        """
        by_parent = {self._parents[number]: number for number in numbers}
        listed: dict[str, list[Row]] = {number: [] for number in numbers}
        missing, missing_ids = Counter(digests), set(ids)
        if digests is not None and not missing and not missing_ids:
            return listed
        for count, row in enumerate(self._client.newest_first(_PATH, _ID, floor)):
            if count % _TOLD_EACH == 0:
                self._progress("reading HaloPSA's lines", count, 0)
            parent = _parent(row)
            number = None if parent is None else by_parent.get(parent)
            if number is None:
                continue
            listed[number].append({name: row.get(name) for name in keep} if keep else row)
            if digests is None:
                continue
            missing_ids.discard(row[_ID])
            if row[_ID] not in self._book.claimed:
                missing -= Counter([same_content(row)])
            if not missing and not missing_ids:
                break
        return listed

    def _before_invoice(self, number: str) -> int | None:
        """The highest line id that was known before the invoice came to be; None when that is not known."""
        if number in self._documents.fresh:
            return self._start
        row = self._documents.known_since.get(number)
        # Only the time of its first attempt says when the document came to be.
        if row is None or row.attempts != 1:
            return None
        return self._ledger.highest_line_id(row.intended_at)


def _parent(row: Row) -> int | None:
    """The invoice's id that a line says it belongs to.

    Raises:
        DisagreementError: it says something that is no id. Passed over, a line of ours would be taken for missing.
    """
    parent = row.get("parentid")
    if parent is not None and not isinstance(parent, int):
        raise DisagreementError(
            f"HaloPSA lists line {row[_ID]} with a parentid that is no number", mend="check its version"
        )
    return parent


def same_content(record: Mapping[str, Any]) -> str:
    """What a line is and what it costs: lines with the same are equal to everybody."""
    return stable_part(content_hash(CONSUMPTION, record))


def same_identity(record: Mapping[str, Any]) -> str:
    """What a line is, whatever it costs."""
    return same_content({prop.name: record.get(prop.name) for prop in _IDENTITY})


def check_recognised(waiting: Mapping[tuple[str, str], Sequence[Row]]) -> None:
    """Raise DisagreementError if lines are left that nobody can place: sending more could double them."""
    left = [(number, row[_ID]) for (number, _), rows in waiting.items() for row in rows]
    if left:
        numbers = ", ".join(sorted({number for number, _ in left}))
        raise DisagreementError(
            f"HaloPSA has {len(left)} lines of invoice {numbers} that are none of this period's "
            f"(ids {some(halo_id for _, halo_id in left)}); delete them in HaloPSA, then repeat the command"
        )


def some(ids: Iterable[int], most: int = 5) -> str:
    """The first few of a list of ids, for a message."""
    ordered = sorted(ids)
    return ", ".join(map(str, ordered[:most])) + (" …" if len(ordered) > most else "")


def _lowest(floors: Sequence[int | None]) -> int | None:
    known = [each for each in floors if each is not None]
    return min(known) if len(known) == len(floors) and known else None
