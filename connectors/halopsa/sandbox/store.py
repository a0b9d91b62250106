"""What the sandbox holds: three tables without unique indexes, like HaloPSA's, so that a double posting shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.halopsa.fingerprint import round_number
from connectors.halopsa.properties import CONSUMPTION, INVOICE, PRICING, Entity, Type
from connectors.halopsa.sandbox.model_state import truncated
from connectors.halopsa.sandbox.options import Options

Row = dict[str, Any]

_NOT_NULL = {CONSUMPTION.name: ("parentid", "type"), INVOICE.name: ("id", "tenantid"), PRICING.name: ()}
#: Commands and computed properties: taken, and not kept.
_NOT_KEPT = frozenset(
    {"mark_as_billed", "update_billed_state", "isfullybilled", "haslines", "_isimport", "_warning"}
    | {"taxreceipts", "invoicedetails", "links", "attributes"}
)


class DatabaseError(Exception):
    """What HaloPSA's database refuses; answered 400 with a message and no path."""


class MissingRecordError(Exception):
    """An id that does not exist."""


class Store:
    """The records, by entity and id.

    Attributes:
        rule: a business rule: what is wrong with a row, or an empty text.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.rule: Callable[[Mapping[str, Any]], str] | None = None
        self._rows: dict[str, dict[int, Row]] = {}
        self._last: dict[str, int] = {}
        self.clear()

    def save(self, entity: Entity, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Create records without an id and update those with one.

        Raises:
            DatabaseError, MissingRecordError: none was saved, or those before the bad one (see `Options`).
        """
        table = self._rows[entity.name]
        for number, row in enumerate(rows):
            try:
                self._check(entity, row, table)
            except DatabaseError:
                if self._options.refusal_saves_rows_before:
                    self.save(entity, rows[:number])
                raise
        saved = []
        for row in rows:
            halo_id = row.get(entity.id_property) or self._next_id(entity)
            kept = {name: _stored(entity, name, value) for name, value in row.items() if name not in _NOT_KEPT}
            table[halo_id] = {**table.get(halo_id, {}), **kept, entity.id_property: halo_id}
            if entity is INVOICE and row.get("mark_as_billed"):
                self._mark(halo_id)
            saved.append(halo_id)
        return [self.get(entity, halo_id) for halo_id in saved]

    def get(self, entity: Entity, halo_id: int) -> Row:
        """One record as it is answered; raises MissingRecordError."""
        try:
            row = self._rows[entity.name][halo_id]
        except KeyError:
            raise MissingRecordError from None
        shown = {name: value for name, value in row.items() if value is not None}
        return {**shown, **self._billed_state(halo_id)} if entity is INVOICE else shown

    def all(self, entity: Entity) -> list[Row]:
        """Every record by ascending id."""
        return [self.get(entity, halo_id) for halo_id in sorted(self._rows[entity.name])]

    def ids(self, entity: Entity) -> list[int]:
        """Every id, ascending."""
        return sorted(self._rows[entity.name])

    def delete(self, entity: Entity, halo_id: int) -> None:
        """Delete one record; raises MissingRecordError."""
        if self._rows[entity.name].pop(halo_id, None) is None:
            raise MissingRecordError

    def delete_lines_of(self, parent_id: int) -> None:
        """Delete all lines of an invoice."""
        for halo_id in [row["id"] for row in self._lines_of(parent_id)]:
            self.delete(CONSUMPTION, halo_id)

    def clear(self) -> None:
        """Forget everything; ids begin at 1 again."""
        self._rows = {each.name: {} for each in (CONSUMPTION, INVOICE, PRICING)}
        self._last = {}

    def summary(self) -> dict[str, int]:
        """How much there is, and how much of it is billed."""
        invoices = self.all(INVOICE)
        lines = self._rows[CONSUMPTION.name].values()
        return {
            "prices": len(self._rows[PRICING.name]),
            "invoices": len(invoices),
            "invoices_billed": sum(1 for row in invoices if row["isfullybilled"]),
            "lines": len(lines),
            "lines_billed": sum(1 for row in lines if row.get("isbilled")),
        }

    def _check(self, entity: Entity, row: Mapping[str, Any], table: Mapping[int, Row]) -> None:
        halo_id = row.get(entity.id_property) or 0
        if halo_id and halo_id not in table:
            raise MissingRecordError
        full = {**table.get(halo_id, {}), **row}
        for name in _NOT_NULL[entity.name]:
            if full.get(name) is None:
                raise DatabaseError(f"Cannot insert the value NULL into column '{name}'; column does not allow nulls.")
        message = truncated(entity, row) or (self.rule(full) if self.rule else "")
        if message:
            raise DatabaseError(message)

    def _next_id(self, entity: Entity) -> int:
        self._last[entity.name] = self._last.get(entity.name, 0) + 1
        return self._last[entity.name]

    def _lines_of(self, parent_id: int) -> list[Row]:
        return [row for row in self._rows[CONSUMPTION.name].values() if row.get("parentid") == parent_id]

    def _mark(self, halo_id: int) -> None:
        self._rows[INVOICE.name][halo_id]["isbilled"] = True
        if self._options.cascades:
            for row in self._lines_of(halo_id):
                row["isbilled"] = True

    def _billed_state(self, halo_id: int) -> Row:
        lines = self._lines_of(halo_id)
        if self._options.invoice_flag == "stored":
            marked = bool(self._rows[INVOICE.name][halo_id].get("isbilled"))
            return {"haslines": bool(lines), "isbilled": marked, "isfullybilled": marked}
        billed = [bool(row.get("isbilled")) for row in lines]
        return {"haslines": bool(lines), "isbilled": any(billed), "isfullybilled": bool(lines) and all(billed)}


def _stored(entity: Entity, name: str, value: Any) -> Any:
    """The value as the column keeps it: numbers with its decimals, dates without a zone."""
    prop = entity.properties.get(name)
    if prop is None or value is None:
        return value
    if prop.type is Type.NUMBER:
        return round_number(Decimal(value), prop)
    if prop.type is Type.DATE:
        return datetime.fromisoformat(value).replace(tzinfo=None).isoformat(timespec="seconds")
    return value
