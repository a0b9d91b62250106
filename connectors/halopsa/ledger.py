"""The posting ledger: what is, or is about to be, in one HaloPSA.

HaloPSA has no unique index and no idempotency key, so this table is what makes every row land exactly once. Each
write here is one short transaction, committed before the request it announces, or after the answer it records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from connectors.halopsa.bodies import Draft
from connectors.warehouse.schema import sql_table
from transforms.tables.loading import HALO_POSTINGS

INTENDED, POSTED, BILLED, REJECTED = "intended", "posted", "billed", "rejected"

_TABLE = sql_table(HALO_POSTINGS)
_ROWS_PER_STATEMENT = 500
#: By how much the clocks of two machines may differ.
CLOCKS_DIFFER = timedelta(minutes=10)


class Transactions(Protocol):
    """What the ledger needs of the warehouse: transactions whose connection is closed at their end."""

    def begin(self) -> AbstractContextManager[sa.Connection]: ...

    def read(self) -> AbstractContextManager[sa.Connection]: ...


@dataclass(frozen=True, slots=True)
class Posting:
    """One row of the ledger; the fields are the columns of HALO_POSTINGS."""

    halo_url: str
    entity: str
    natural_key: str
    parent_key: str | None
    run_id: str
    period: str
    state: str
    content_hash: str
    halo_id: int | None
    attempts: int
    last_error: str | None
    intended_at: datetime
    settled_at: datetime | None


_NAMES = [field.name for field in fields(Posting)]
_COLUMNS = [_TABLE.c[name] for name in _NAMES]
#: Of which each row has another one.
_OWN = frozenset({"natural_key", "content_hash", "halo_id"})
#: What no address or key is.
_ANY = "*"
_PRICE = "price"
_DOUBT = sa.and_(_TABLE.c.entity == _PRICE, _TABLE.c.natural_key == _ANY)


class Ledger:
    """The ledger of one HaloPSA.

    Args:
        warehouse: gives transactions.
        halo_url: base URL, as `client.normal_base_url` writes it.
        clock: the time in UTC.
    """

    def __init__(
        self, warehouse: Transactions, halo_url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.warehouse = warehouse
        self.halo_url = halo_url
        self.clock = clock
        self._latest = datetime.min.replace(tzinfo=UTC)

    def catch_up(self) -> None:
        """Let `now` go on from whatever was written here last, by whichever machine."""
        query = sa.select(sa.func.max(_TABLE.c.intended_at), sa.func.max(_TABLE.c.settled_at))
        with self.warehouse.read() as connection:
            times = connection.execute(query.where(_TABLE.c.halo_url == self.halo_url)).one()
        self._latest = max([self._latest, *(each for each in times if each is not None)])

    def now(self) -> datetime:
        """The time in UTC, later than any that was written here before.

        What was settled before an attempt bounds how far back the attempt is looked for. Were the clock of another
        machine behind, that bound would hide a record, and the record would be sent twice.
        """
        self._latest = max(self.clock(), self._latest + timedelta(microseconds=1))
        return self._latest

    def postings(self, entity: str, parents: Iterable[str] | None = None) -> dict[str, Posting]:
        """What the ledger knows of an entity, by natural key; of lines only those of the given invoices."""
        query = sa.select(*_COLUMNS).where(_TABLE.c.halo_url == self.halo_url, _TABLE.c.entity == entity)
        if parents is not None:
            query = query.where(_TABLE.c.parent_key.in_(sorted(parents)))
        # A load holds as many as a month has lines: what most of them share is held once.
        shared: dict[Any, Any] = {}
        with self.warehouse.read() as connection:
            rows = (
                Posting(*(value if name in _OWN else shared.setdefault(value, value)
                          for name, value in zip(_NAMES, row, strict=True)))
                for row in connection.execute(query)
            )  # fmt: skip
            return {row.natural_key: row for row in rows}

    def count_lines(self, period: str) -> list[tuple[str, int, int]]:
        """By invoice of a period: its number, how many lines of it are in HaloPSA, and how many of these are billed."""
        lines, billed = sa.func.count(), sa.func.count().filter(_TABLE.c.state == BILLED)
        query = (
            sa.select(_TABLE.c.parent_key, lines, billed)
            .where(_TABLE.c.halo_url == self.halo_url, _TABLE.c.entity == "line", _TABLE.c.period == period)
            .where(_TABLE.c.halo_id.is_not(None))
            .group_by(_TABLE.c.parent_key)
            .order_by(_TABLE.c.parent_key)
        )
        with self.warehouse.read() as connection:
            return [(number, count, done) for number, count, done in connection.execute(query)]

    def highest_line_id(self, settled_before: datetime) -> int | None:
        """The highest HaloPSA id of a line that was known by then: whatever was inserted later has a higher one."""
        query = sa.select(sa.func.max(_TABLE.c.halo_id)).where(
            _TABLE.c.halo_url == self.halo_url, _TABLE.c.entity == "line", _TABLE.c.settled_at < settled_before
        )
        with self.warehouse.read() as connection:
            return connection.execute(query).scalar()

    def doubts_prices(self) -> bool:
        """Whether prices that this ledger does not know may be in HaloPSA: see `doubt_prices`."""
        with self.warehouse.read() as connection:
            return connection.execute(sa.select(_TABLE.c.entity).where(self._doubts())).first() is not None

    def doubt_prices(self, why: str) -> None:
        """Write down that it may be so; see the function of that name."""
        with self.warehouse.begin() as connection:
            doubt_prices(connection, self.now(), why, self.halo_url)

    def trust_prices(self) -> None:
        """End the doubt."""
        with self.warehouse.begin() as connection:
            connection.execute(sa.delete(_TABLE).where(self._doubts()))

    def _doubts(self) -> sa.ColumnElement[bool]:
        return sa.and_(_DOUBT, _TABLE.c.halo_url.in_([self.halo_url, _ANY]))

    def write(self, postings: Sequence[Posting]) -> None:
        """Insert or replace rows, all in one transaction."""
        if not postings:
            return
        with self.warehouse.begin() as connection:
            connection.execute(_UPSERT, {name: [getattr(row, name) for row in postings] for name in _NAMES})

    def forget(self, postings: Sequence[Posting]) -> None:
        """Delete rows of one entity, which stand for something that is certainly not in HaloPSA."""
        if not postings:
            return
        keys = [posting.natural_key for posting in postings]
        with self.warehouse.begin() as connection:
            for start in range(0, len(keys), _ROWS_PER_STATEMENT):
                connection.execute(
                    sa.delete(_TABLE).where(
                        _TABLE.c.halo_url == self.halo_url,
                        _TABLE.c.entity == postings[0].entity,
                        _TABLE.c.natural_key.in_(keys[start : start + _ROWS_PER_STATEMENT]),
                    )
                )


def doubt_prices(connection: sa.Connection, since: datetime, why: str, halo_url: str = "*") -> None:
    """Write down that prices which the ledger does not know may be in a HaloPSA, or in any.

    Invoices and lines that a ledger does not know are found in HaloPSA's lists; prices are in none. So after a
    ledger was lost, or an older one has been restored, they are not sent until somebody says so.
    """
    doubt = Posting(halo_url, _PRICE, _ANY, None, "", "", INTENDED, "", None, 0, why, since, None)
    connection.execute(sa.delete(_TABLE).where(_DOUBT, _TABLE.c.halo_url == halo_url))
    connection.execute(_TABLE.insert(), [{name: getattr(doubt, name) for name in _NAMES}])


class Book:
    """One entity's postings during a load: the ledger's rows in memory, changed together with the warehouse's.

    Args:
        ledger: where they are kept.
        entity: price, invoice or line.
        run_id, period: written to every row that changes.
        parents: for lines, the invoices that are loaded.
    """

    def __init__(
        self, ledger: Ledger, entity: str, run_id: str, period: str, parents: Iterable[str] | None = None
    ) -> None:
        self._ledger = ledger
        self._entity = entity
        self._run_id = run_id
        self._period = period
        self.rows = ledger.postings(entity, parents)
        self.claimed = {row.halo_id for row in self.rows.values() if row.halo_id is not None}

    def intend(self, drafts: Sequence[Draft]) -> dict[str, Posting | None]:
        """Write down that these are about to be sent; returns what was there before, for `withdraw`."""
        now = self._ledger.now()
        before = {draft.key: self.rows.get(draft.key) for draft in drafts}
        self._write(
            [
                replace(
                    self._row(draft, INTENDED, now),
                    halo_id=draft.halo_id,
                    attempts=(old.attempts if (old := before[draft.key]) else 0) + 1,
                )
                for draft in drafts
            ]
        )
        return before

    def settle(self, ids: dict[str, int | None], billed: Iterable[str] = ()) -> None:
        """Write down that these are in HaloPSA, with their ids where HaloPSA tells them."""
        now, done = self._ledger.now(), set(billed)
        self._write(
            [
                replace(
                    self.rows[key],
                    run_id=self._run_id,
                    state=BILLED if key in done else POSTED,
                    halo_id=halo_id,
                    last_error=None,
                    settled_at=now,
                )
                for key, halo_id in ids.items()
            ]
        )

    def adopt(self, found: Sequence[tuple[Draft, int, str, bool]]) -> None:
        """Write down records that HaloPSA already has: draft, id, digest of what is there, and whether billed."""
        now = self._ledger.now()
        self._write(
            [
                replace(
                    self._row(draft, BILLED if billed else POSTED, now),
                    content_hash=digest,
                    halo_id=halo_id,
                    settled_at=now,
                )
                for draft, halo_id, digest, billed in found
            ]
        )

    def reject(self, reasons: Sequence[tuple[Draft, str]]) -> None:
        """Write down that these were refused; what stands in HaloPSA under an older content stays known."""
        now = self._ledger.now()
        rows = []
        for draft, reason in reasons:
            old = self.rows.get(draft.key)
            if old is not None and old.halo_id is not None:
                rows.append(replace(old, last_error=reason))
            else:
                attempts = old.attempts if old else 0
                row = self._row(draft, REJECTED, now)
                rows.append(replace(row, attempts=attempts, last_error=reason, settled_at=now))
        self._write(rows)

    def note(self, keys: Iterable[str], message: str) -> None:
        """Keep the rows as they are, with why the last attempt is in doubt."""
        self._write([replace(self.rows[key], last_error=message) for key in keys])

    def withdraw(self, before: dict[str, Posting | None]) -> None:
        """Take an intent back whose request certainly changed nothing."""
        self._write([row for row in before.values() if row is not None])
        self.forget([key for key, row in before.items() if row is None])

    def forget(self, keys: Iterable[str]) -> None:
        """Drop rows of things that are certainly not in HaloPSA."""
        self._ledger.forget([self.rows.pop(key) for key in keys])

    def mark_billed(self, keys: Iterable[str]) -> None:
        """Write down that these were read back as billed."""
        now = self._ledger.now()
        self._write(
            [replace(self.rows[key], run_id=self._run_id, state=BILLED, settled_at=now) for key in keys]
        )

    def open_for(self, keys: Iterable[str], grace_seconds: float) -> float:
        """Seconds to wait until none of these intents can still take effect: their requests may be at work.

        Another machine's clock may be wrong by minutes, so an age is believed only when it is beyond that.
        """
        youngest = max((self.rows[key].intended_at for key in keys), default=None)
        if youngest is None or self._ledger.now() - youngest > CLOCKS_DIFFER + timedelta(seconds=grace_seconds):
            return 0
        return grace_seconds

    def _row(self, draft: Draft, state: str, now: datetime) -> Posting:
        return Posting(
            halo_url=self._ledger.halo_url,
            entity=self._entity,
            natural_key=draft.key,
            parent_key=draft.parent_key,
            run_id=self._run_id,
            period=self._period,
            state=state,
            content_hash=draft.content_hash,
            halo_id=None,
            attempts=0,
            last_error=None,
            intended_at=now,
            settled_at=None,
        )

    def _write(self, rows: Sequence[Posting]) -> None:
        self._ledger.write(rows)
        for row in rows:
            self.rows[row.natural_key] = row
            if row.halo_id is not None:
                self.claimed.add(row.halo_id)


def _make_upsert() -> Any:
    """Insert or replace rows that are given as one list for each column.

    Both databases take PostgreSQL's form of it. The lists keep the statement the same for any number of rows, so that
    it is compiled once; a row of values for each posting cost more than the rest of a transaction.
    """
    lists = [sa.ARRAY(column.type) for column in _COLUMNS]
    values = [
        sa.func.unnest(sa.cast(sa.bindparam(column.name, type_=kind), kind))
        for column, kind in zip(_COLUMNS, lists, strict=True)
    ]
    statement = insert(_TABLE).from_select(_COLUMNS, sa.select(*values))
    changed = {c.name: statement.excluded[c.name] for c in _COLUMNS if c.name not in HALO_POSTINGS.key}
    return statement.on_conflict_do_update(index_elements=list(HALO_POSTINGS.key), set_=changed)


_UPSERT = _make_upsert()
