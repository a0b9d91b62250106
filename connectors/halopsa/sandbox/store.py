"""What the sandbox holds: tables without unique indexes, like HaloPSA's, so that a double posting shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.halopsa.fingerprint import round_number
from connectors.halopsa.models.base import Property, Type, properties_of
from connectors.halopsa.registry import ADOBE_INTEGRATION, CONSUMPTION, INVOICES, PRICES, RESOURCES, Resource
from connectors.halopsa.sandbox.commands import obey
from connectors.halopsa.sandbox.file import StoreFile
from connectors.halopsa.sandbox.model_state import truncated
from connectors.halopsa.sandbox.options import Options

Row = dict[str, Any]

_NOT_NULL = {CONSUMPTION.name: ("parentid", "type"), INVOICES.name: ("id", "tenantid")}
#: Computed, or taken and never kept; and every property that is written only.
_NOT_KEPT = {
    INVOICES.name: frozenset({"isfullybilled", "haslines", "taxreceipts", "invoicedetails", "links", "attributes"})
}
_STATUS_ID = 1


class DatabaseError(Exception):
    """What HaloPSA's database refuses; answered 400 with a message and no path."""


class MissingRecordError(Exception):
    """An id that does not exist."""


class Store:
    """The records, by resource and id.

    Args:
        options: habits.
        file: keeps them; None to keep them in memory only.

    Attributes:
        rule: a business rule: what is wrong with a row, or an empty text.
    """

    def __init__(self, options: Options, file: StoreFile | None = None) -> None:
        self._options = options
        self._file = file
        self.rule: Callable[[Mapping[str, Any]], str] | None = None
        self._rows: dict[str, dict[int, Row]] = {each.name: {} for each in RESOURCES}
        self._last: dict[str, int] = file.newest() if file else {}
        self._changed: set[tuple[str, int]] = set()
        for name, halo_id, row in file.records() if file else ():
            self._rows[name][halo_id] = row

    def save(self, resource: Resource, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Create records without an id and update those with one.

        Raises:
            DatabaseError, MissingRecordError: none was saved, or those before the bad one (see `Options`).
        """
        for number, row in enumerate(rows):
            try:
                self._check(resource, row)
            except DatabaseError:
                if self._options.refusal_saves_rows_before:
                    self.save(resource, rows[:number])
                raise
        saved = [self._save(resource, row) for row in rows]
        self._keep()
        return [self.get(resource, halo_id) for halo_id in saved]

    def get(self, resource: Resource, halo_id: int) -> Row:
        """One record as it is answered; raises MissingRecordError."""
        try:
            row = self._rows[resource.name][halo_id]
        except KeyError:
            raise MissingRecordError from None
        shown = {name: value for name, value in row.items() if value is not None}
        return {**shown, **self._billed_state(halo_id)} if resource is INVOICES else shown

    def all(self, resource: Resource) -> list[Row]:
        """Every record by ascending id."""
        return [self.get(resource, halo_id) for halo_id in self.ids(resource)]

    def ids(self, resource: Resource) -> list[int]:
        """Every id, ascending."""
        return sorted(self._rows[resource.name])

    def delete(self, resource: Resource, halo_id: int) -> None:
        """Delete one record; raises MissingRecordError."""
        self._drop(resource, halo_id)
        self._keep()

    def delete_lines_of(self, parent_id: int) -> None:
        """Delete all lines of an invoice."""
        for halo_id in [row["id"] for row in self._lines_of(parent_id)]:
            self._drop(CONSUMPTION, halo_id)
        self._keep()

    def status(self) -> Row:
        """Whether Adobe Commerce was logged in to, and with which fields."""
        return self._rows[ADOBE_INTEGRATION.name].get(_STATUS_ID, {"authorized": False, "fields": []})

    def authorise(self, fields: Sequence[str]) -> Row:
        """Log in to Adobe Commerce; the names of the fields are kept, their values are secrets."""
        self._put(ADOBE_INTEGRATION, _STATUS_ID, {"authorized": True, "fields": list(fields)})
        self._keep()
        return self.status()

    def clear(self) -> None:
        """Forget everything; ids begin at 1 again."""
        for rows in self._rows.values():
            rows.clear()
        self._last = {}
        if self._file:
            self._file.clear()

    def summary(self) -> dict[str, int]:
        """How much there is, and how much of it is billed."""
        invoices = self.all(INVOICES)
        lines = self._rows[CONSUMPTION.name].values()
        return {
            "prices": len(self._rows[PRICES.name]),
            "invoices": len(invoices),
            "invoices_billed": sum(1 for row in invoices if row["isfullybilled"]),
            "lines": len(lines),
            "lines_billed": sum(1 for row in lines if row.get("isbilled")),
        }

    def _save(self, resource: Resource, row: Mapping[str, Any]) -> int:
        halo_id = int(row.get(resource.id_property) or self._next_id(resource))
        before = self._rows[resource.name].get(halo_id, {})
        after = {**before, **_kept(resource, row), resource.id_property: halo_id}
        self._put(resource, halo_id, obey(resource, after, row))
        if resource is INVOICES and row.get("mark_as_billed"):
            self._mark(halo_id)
        return halo_id

    def _check(self, resource: Resource, row: Mapping[str, Any]) -> None:
        table = self._rows[resource.name]
        halo_id = row.get(resource.id_property) or 0
        if halo_id and halo_id not in table:
            raise MissingRecordError
        full = {**table.get(halo_id, {}), **row}
        for name in _NOT_NULL.get(resource.name, ()):
            if full.get(name) is None:
                raise DatabaseError(f"Cannot insert the value NULL into column '{name}'; column does not allow nulls.")
        message = truncated(resource, row) or (self.rule(full) if self.rule else "")
        if message:
            raise DatabaseError(message)

    def _put(self, resource: Resource, halo_id: int, row: Row) -> None:
        self._rows[resource.name][halo_id] = row
        self._changed.add((resource.name, halo_id))

    def _drop(self, resource: Resource, halo_id: int) -> None:
        if self._rows[resource.name].pop(halo_id, None) is None:
            raise MissingRecordError
        self._changed.add((resource.name, halo_id))

    def _keep(self) -> None:
        if self._file:
            self._file.keep(((name, each, self._rows[name].get(each)) for name, each in self._changed), self._last)
        self._changed.clear()

    def _next_id(self, resource: Resource) -> int:
        self._last[resource.name] = self._last.get(resource.name, 0) + 1
        return self._last[resource.name]

    def _lines_of(self, parent_id: int) -> list[Row]:
        return [row for row in self._rows[CONSUMPTION.name].values() if row.get("parentid") == parent_id]

    def _mark(self, halo_id: int) -> None:
        self._put(INVOICES, halo_id, {**self._rows[INVOICES.name][halo_id], "isbilled": True})
        if self._options.cascades:
            for row in self._lines_of(halo_id):
                self._put(CONSUMPTION, row["id"], {**row, "isbilled": True})

    def _billed_state(self, halo_id: int) -> Row:
        lines = self._lines_of(halo_id)
        if self._options.invoice_flag == "stored":
            marked = bool(self._rows[INVOICES.name][halo_id].get("isbilled"))
            return {"haslines": bool(lines), "isbilled": marked, "isfullybilled": marked}
        billed = [bool(row.get("isbilled")) for row in lines]
        return {"haslines": bool(lines), "isbilled": any(billed), "isfullybilled": bool(lines) and all(billed)}


def _kept(resource: Resource, row: Mapping[str, Any]) -> Row:
    """What the table keeps of a record that was sent."""
    declared = properties_of(resource.model)
    left_out = _NOT_KEPT.get(resource.name, frozenset()) | {"_warning"}
    return {
        name: _stored(declared.get(name), value)
        for name, value in row.items()
        if name not in left_out and not (name in declared and declared[name].write_only)
    }


def _stored(prop: Property | None, value: Any) -> Any:
    """The value as the column keeps it: numbers with its decimals, dates without a zone."""
    if prop is None or value is None:
        return value
    if prop.type is Type.NUMBER:
        return round_number(Decimal(value), prop)
    if prop.type is Type.DATE:
        return datetime.fromisoformat(value).replace(tzinfo=None).isoformat(timespec="seconds")
    return value
