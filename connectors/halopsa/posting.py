"""Sending records so that each lands exactly once.

A batch is written to the ledger as intended, sent, and settled by what its answer proves. Where the answer proves
nothing, the records are looked up in HaloPSA, and only those that are certainly not there are sent again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connectors.halopsa.batches import TOO_SLOW, BatchSize
from connectors.halopsa.bodies import Draft
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import HaloError, NotAppliedError, OutcomeUnknownError, RefusedError, TooLargeError
from connectors.halopsa.fingerprint import content_hash, stable_part
from connectors.halopsa.ledger import Book, Posting
from connectors.halopsa.plan import HaloLoadSettings
from connectors.halopsa.properties import Entity

#: Looks drafts up in HaloPSA: the ids of those that are there, by key.
Find = Callable[[Sequence[Draft]], dict[str, int]]
Batch = list[Draft]


@dataclass
class Sent:
    """What became of the records that were sent.

    Attributes:
        posted: keys of records that are in HaloPSA now.
        rejected: keys and reasons of records that HaloPSA refused.
        unknown: keys of records whose outcome cannot be found out.
        proven: keys of records that HaloPSA's own answer shows as they were sent.
        doubted: keys of records that a request without a clear outcome carried.
    """

    posted: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    proven: set[str] = field(default_factory=set)
    doubted: set[str] = field(default_factory=set)


class Sender:
    """Sends the records of one entity.

    Args:
        client: HaloPSA.
        book: the entity's ledger rows.
        entity: where to post, and what identifies a record.
        settings: batch size, grace and attempts.
        find: looks records up; None where HaloPSA cannot list them.
        finish: completes a draft's body, with `parentid` for example.
        progress: called with the records done and to be done.
    """

    def __init__(
        self,
        client: HaloClient,
        book: Book,
        entity: Entity,
        settings: HaloLoadSettings,
        find: Find | None,
        finish: Callable[[Draft], dict[str, Any]] = lambda draft: draft.body,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._client = client
        self._book = book
        self._entity = entity
        self._settings = settings
        self._find = find
        self._finish = finish
        self._progress = progress
        self._batch = BatchSize(settings.batch_size)
        self._doubts: Counter[str] = Counter()
        self.sent = Sent()

    def send(self, drafts: Sequence[Draft]) -> Sent:
        """Send all drafts and return what became of everything sent so far.

        Raises:
            HaloError: HaloPSA cannot be worked with; what was sent is settled or can be settled by the next load.
        """
        again: deque[Batch] = deque()
        begun = 0
        left = len(drafts)
        if left:
            self._progress(0, left)
        while again or begun < len(drafts):
            rows = self._batch.rows
            if again:
                batch = again.popleft()
                if len(batch) > rows:
                    again.appendleft(batch[rows:])
                    batch = batch[:rows]
            else:
                batch = list(drafts[begun : begun + rows])
                begun += len(batch)
            repeated = self._send_batch(batch)
            again.extendleft(reversed(repeated))
            left -= len(batch) - sum(len(each) for each in repeated)
            self._progress(len(drafts) - left, len(drafts))
        return self.sent

    def _send_batch(self, batch: Batch) -> list[Batch]:
        """Send one batch; returns what has to be sent again, in the batches to send it in."""
        before = self._book.intend(batch)
        bodies = [self._body(draft) for draft in batch]
        began = time.monotonic()
        try:
            answer = self._client.post(self._entity.post_path, bodies)
        except TooLargeError as error:
            self._batch.failed(len(batch))
            self._book.withdraw(before)
            return self._split(batch, str(error))
        except RefusedError as error:
            return self._refused(batch, before, error)
        except NotAppliedError:
            self._book.withdraw(before)
            raise
        except OutcomeUnknownError as error:
            if error.status in TOO_SLOW:
                self._batch.unanswered(len(batch), timedelta(seconds=time.monotonic() - began))
            return self._in_doubt(batch, str(error))
        self._batch.answered(len(batch), self._client.answered_after)
        return self._answered(batch, bodies, answer)

    def _body(self, draft: Draft) -> dict[str, Any]:
        body = self._finish(draft)
        return body if draft.halo_id is None else {self._entity.id_property: draft.halo_id, **body}

    def _answered(self, batch: Batch, bodies: Sequence[Mapping[str, Any]], answer: Any) -> list[Batch]:
        ids = ids_in_answer(self._entity, batch, answer)
        if ids is None and self._find is None and _is_accepted(answer):
            ids = {draft.key: draft.halo_id for draft in batch}
        if ids is None:
            return self._in_doubt(batch, "HaloPSA's answer does not say what it stored")
        self._posted(ids)
        if _shows(self._entity, bodies, answer):
            self.sent.proven.update(ids)
        return []

    def _in_doubt(self, batch: Batch, message: str) -> list[Batch]:
        """Settle a batch whose outcome is not known. An update by id may be repeated, a new record may not."""
        self._book.note([draft.key for draft in batch], message)
        self.sent.doubted.update(draft.key for draft in batch)
        again = [draft for draft in batch if draft.halo_id is not None]
        new = [draft for draft in batch if draft.halo_id is None]
        if self._find is None:
            self.sent.unknown += [draft.key for draft in new]
        elif new:
            again += self._look_up(new)
        self._doubts.update(draft.key for draft in again)
        if any(self._doubts[draft.key] >= self._settings.most_attempts for draft in again):
            raise HaloError(f"{message} (tried {self._settings.most_attempts} times; nothing is lost, repeat it later)")
        return [again] if again else []

    def _look_up(self, drafts: Batch) -> Batch:
        """Settle what is in HaloPSA; returns what is certainly not. The request may still be at work: look twice."""
        assert self._find is not None
        found = self._find(drafts)
        if len(found) < len(drafts):
            self._client.wait(self._settings.settle_grace_seconds)
            found = self._find(drafts)
        self._posted(dict(found))
        return [draft for draft in drafts if draft.key not in found]

    def _refused(self, batch: Batch, before: Mapping[str, Posting | None], error: RefusedError) -> list[Batch]:
        """A row of the batch is wrong: find it by what HaloPSA names, else by halves, while the others land.

        That a refusal applies to the whole body is not documented, so it is looked up first where that is possible.
        """
        self.sent.doubted.update(draft.key for draft in batch)
        new = [draft for draft in batch if draft.halo_id is None]
        found = self._find(new) if self._find is not None and len(batch) > 1 and new else {}
        self._posted(dict(found))
        rest = [draft for draft in batch if draft.key not in found]
        self._book.withdraw({draft.key: before[draft.key] for draft in rest})
        named = [rest[row] for row in sorted(error.rows) if row < len(rest)] if len(rest) == len(batch) else []
        if len(rest) > 1 and named and len(named) < len(rest):
            others = [draft for draft in rest if draft not in named]
            return [*([draft] for draft in named), others]
        return self._split(rest, error.rows.get(0) or str(error))

    def _split(self, batch: Batch, message: str) -> list[Batch]:
        """The batch in halves; a single record that is refused is rejected."""
        if len(batch) > 1:
            half = len(batch) // 2
            return [batch[:half], batch[half:]]
        for draft in batch:
            reason = f"{draft.source}: {message}"
            self._book.reject([(draft, reason)])
            self.sent.rejected[draft.key] = reason
        return []

    def _posted(self, ids: dict[str, int | None]) -> None:
        if ids:
            self._book.settle(ids)
            self.sent.posted += ids


def ids_in_answer(entity: Entity, batch: Sequence[Draft], answer: Any) -> dict[str, int | None] | None:
    """The ids that an answer gives to a batch, by key; None where it does not certainly tell them.

    An answer may be an array, one object, or an object around an array, and need not keep the order: an id is
    believed only when the record beside it has the identity and the money of the draft at its place.
    """
    rows = _answered_rows(entity, answer)
    if len(rows) != len(batch):
        return None
    ids: dict[str, int | None] = {}
    for draft, row in zip(batch, rows, strict=True):
        halo_id = row.get(entity.id_property)
        same = stable_part(content_hash(entity, row)) == stable_part(draft.content_hash)
        if not isinstance(halo_id, int) or halo_id <= 0 or not same or draft.halo_id not in (None, halo_id):
            return None
        ids[draft.key] = halo_id
    return ids if len(set(ids.values())) == len(batch) else None


def _shows(entity: Entity, bodies: Sequence[Mapping[str, Any]], answer: Any) -> bool:
    """Whether an answer that told the ids also shows every record below its parent and with all of its content."""
    rows = _answered_rows(entity, answer)
    return len(rows) == len(bodies) and all(
        row.get("parentid") == body.get("parentid") and content_hash(entity, row) == content_hash(entity, body)
        for row, body in zip(rows, bodies, strict=True)
    )


def _answered_rows(entity: Entity, answer: Any) -> list[Mapping[str, Any]]:
    if isinstance(answer, Mapping):
        lists = [value for value in answer.values() if isinstance(value, list)]
        answer = [answer] if entity.id_property in answer else lists[0] if len(lists) == 1 else []
    return answer if isinstance(answer, list) and all(isinstance(row, Mapping) for row in answer) else []


def _is_accepted(answer: Any) -> bool:
    """Whether a 2xx answer says nothing to the contrary; HaloPSA can send an error with status 200 (measured)."""
    return not isinstance(answer, Mapping) or any(isinstance(value, list) for value in answer.values())
