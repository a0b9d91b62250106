"""HaloPSA's records of orders and integrations as rows of the warehouse, and what differs between two copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa

from transforms.columns import Column, Kind, Table
from transforms.errors import RemoteError
from transforms.tables.commerce import COMMERCE_INTEGRATIONS, ECOMMERCE_ORDERS, HISTORY_NAMES

Row = dict[str, Any]
Key = tuple[Any, ...]

#: How the shops spell an order that will not be delivered. Whole words: a cancellation that is only asked for, or of
#: some items, leaves an order that somebody has to work on.
CANCELLED_STATUSES = frozenset({"cancelled", "canceled", "void", "voided"})

#: A day, after which an integration counts as not synced.
SYNC_OVERDUE = timedelta(days=1)

#: HaloPSA writes an empty date as the first day of its database or of .NET.
_FIRST_YEAR = 1902


def order_row(record: Mapping[str, Any], halo_url: str) -> Row:
    """One order as a row of ECOMMERCE_ORDERS, without its history.

    Raises:
        RemoteError: a value that is not of its property's type.
    """
    row = _row(ECOMMERCE_ORDERS, record, halo_url, f"order {record.get('id')}")
    statuses = {(row[name] or "").strip().casefold() for name in ("status", "status2")}
    # 0 and -1 are HaloPSA's "no ticket".
    row["ticket_id"] = row["ticket_id"] if (row["ticket_id"] or 0) > 0 else None
    row["linked_ticket_ids"] = ",".join(map(str, linked_tickets(record))) or None
    row["month"] = f"{row['ordered_at']:%Y-%m}" if row["ordered_at"] else None
    row["is_cancelled"] = bool(statuses & CANCELLED_STATUSES)
    return row


def linked_tickets(record: Mapping[str, Any]) -> list[int]:
    """Every ticket that HaloPSA's record of an order names, ascending."""
    named = [record.get("ticket_id"), *(link.get("ticket_id") for link in record.get("linked_tickets") or ())]
    return sorted({ticket for ticket in named if isinstance(ticket, int) and ticket > 0})


def integration_row(kind: str, record: Mapping[str, Any], halo_url: str) -> Row:
    """The state of one integration as a row of COMMERCE_INTEGRATIONS, without its history.

    Raises:
        RemoteError: a value that is not of its property's type.
    """
    return {**_row(COMMERCE_INTEGRATIONS, record, halo_url, f"{kind} integration {record.get('id')}"), "kind": kind}


def integration_problems(row: Mapping[str, Any], now: datetime) -> list[str]:
    """What is wrong with an integration, as far as HaloPSA tells of its kind: disabled, not authorised, not synced."""
    problems = []
    if row["is_enabled"] is False:
        problems.append("disabled")
    if row["is_authorized"] is False:
        problems.append("not authorised")
    if row["kind"] in ("adobe", "datto"):
        synced_at = row["last_synced_at"]
        if synced_at is None:
            problems.append("never synced")
        elif now - synced_at > SYNC_OVERDUE:
            problems.append(f"not synced since {synced_at:%Y-%m-%d %H:%M} UTC")
    return problems


@dataclass(frozen=True)
class Changes:
    """What a new copy of a table changes.

    Attributes:
        new, changed, deleted: whole rows to be written; a row that is back again counts as changed.
        unchanged: how many rows are as before.
    """

    new: tuple[Row, ...]
    changed: tuple[Row, ...]
    deleted: tuple[Row, ...]
    unchanged: int

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {
            "new": len(self.new),
            "changed": len(self.changed),
            "deleted": len(self.deleted),
            "unchanged": self.unchanged,
        }


def content_table(table: Table, rows: Iterable[Row]) -> pa.Table:
    """Rows without history as an Arrow table."""
    schema = pa.schema([field for field in table.schema if field.name not in HISTORY_NAMES])
    return pa.Table.from_pylist(list(rows), schema)


def key_of(table: Table, row: Mapping[str, Any]) -> Key:
    """The values of a table's key in a row."""
    return tuple(row[name] for name in table.key)


def missing(table: Table, stored: Iterable[Row], found: Iterable[Row]) -> list[Row]:
    """Stored rows that were not found again and are not known as deleted, by their key."""
    seen = {key_of(table, row) for row in found}
    gone = [row for row in stored if row["deleted_at"] is None and key_of(table, row) not in seen]
    return sorted(gone, key=lambda row: key_of(table, row))


def compare(
    table: Table, stored: Iterable[Row], found: Sequence[Row], deleted: Iterable[Key], at: datetime
) -> Changes:
    """What of a table is to be written so that it is the copy of what was found.

    Args:
        table: one of the tables with a history.
        stored: its rows.
        found: rows as HaloPSA has them now, without history.
        deleted: keys of rows that are known to be gone; rows that were neither found nor named here stay.
        at: now, UTC.
    """
    known = {key_of(table, row): row for row in stored}
    content = [name for name in table.names if name not in HISTORY_NAMES]
    new, changed, unchanged = [], [], 0
    found_by_key = {key_of(table, row): row for row in found}
    for key, row in found_by_key.items():
        before = known.get(key)
        if before is None:
            new.append({**row, "first_seen_at": at, "changed_at": at, "deleted_at": None})
        elif before["deleted_at"] is not None or any(before[name] != row[name] for name in content):
            changed.append({**row, "first_seen_at": before["first_seen_at"], "changed_at": at, "deleted_at": None})
        else:
            unchanged += 1
    gone = [known[key] for key in deleted if key in known and key not in found_by_key]
    left = [{**row, "changed_at": at, "deleted_at": at} for row in gone if row["deleted_at"] is None]
    return Changes(tuple(new), tuple(changed), tuple(left), unchanged)


def parse_time(value: Any) -> datetime | None:
    """HaloPSA's date and time in UTC, which it means where it names no zone; None for its empty dates.

    Raises:
        ValueError: no date.
    """
    if value in (None, ""):
        return None
    time = datetime.fromisoformat(str(value))
    if time.year < _FIRST_YEAR:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _row(table: Table, record: Mapping[str, Any], halo_url: str, what: str) -> Row:
    row: Row = {"halo_url": halo_url}
    for column in table.columns:
        if column.name in HISTORY_NAMES or column.name == "halo_url":
            continue
        value = next((record[name] for name in column.halo if record.get(name) is not None), None)
        try:
            row[column.name] = _value(column, value)
        except ValueError:
            # The value itself is not quoted: it may be anything that stands where it should not.
            expected = {Kind.TIMESTAMP: "date"}.get(column.kind, column.kind.value)
            raise RemoteError(f"HaloPSA's {what} has a {'/'.join(column.halo)} that is no {expected}") from None
    return row


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is Kind.TIMESTAMP:
        return parse_time(value)
    if column.kind is Kind.TEXT:
        # PostgreSQL keeps no NUL character.
        text = str(value).replace("\0", "")
        return (without_login(text) if column.name.endswith("url") else text) or None
    wanted = bool if column.kind is Kind.BOOLEAN else int
    if type(value) is not wanted:
        raise ValueError
    return value


def without_login(url: str) -> str:
    """The address without user name and password; a text that is no address as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
