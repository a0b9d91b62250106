"""From the warehouse's tables to HaloPSA's bodies.

Which column becomes which property is declared with the columns (`Column.halo`); types and limits are those of
`connectors.halopsa.properties`. A body never holds a null: a property without a value is left out, because HaloPSA
has columns that take none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.halopsa import wire
from connectors.halopsa.fingerprint import content_hash, round_number
from connectors.halopsa.limits import too_large, too_long
from connectors.halopsa.properties import CONSUMPTION, INVOICE, PRICING, Entity, PostedProperty, TooLong, Type
from transforms.columns import Table
from transforms.money import tidy
from transforms.tables import INVOICES, PRICE_LIST

_RECORDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Draft:
    """One record to be sent.

    Attributes:
        key: natural key, as the ledger has it.
        parent_key: for a line, its invoice's number.
        text: the body as JSON, which takes less memory: all records of a month are held until they are sent.
        content_hash: digest of the body (see `connectors.halopsa.fingerprint`).
        source: file and row it comes from, for messages.
        problem: why it cannot be sent; empty when it can.
        cut: properties that were cut to their limit or left out for it.
        rounded: numbers that were rounded to the decimals HaloPSA keeps.
        halo_id: HaloPSA's id, where the record exists there and is to be updated.
    """

    key: str
    parent_key: str | None
    text: bytes
    content_hash: str
    source: str
    problem: str = ""
    cut: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()
    halo_id: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What is sent, without HaloPSA's own id and without `parentid`; made anew each time."""
        body: dict[str, Any] = wire.decode(self.text)
        return body

    def at(self, halo_id: int | None) -> Draft:
        """The same draft as an update of that record."""
        return replace(self, halo_id=halo_id)


@dataclass(frozen=True, slots=True)
class Alteration:
    """One value that HaloPSA is sent otherwise than it was delivered.

    Attributes:
        what: `cut` to HaloPSA's limit, `left_out` for it, or `rounded` to the decimals that it keeps.
        entity: price, invoice or line.
        line_id, invoice_number: whose value it is, where it has one.
        source: file and row.
        property: HaloPSA's name of it.
        delivered, sent: the value as text; None is sent for nothing.
    """

    what: str
    entity: str
    line_id: str | None
    invoice_number: str | None
    source: str
    property: str
    delivered: str
    sent: str | None


def line_drafts(rows: pa.Table, declared: Table, line_type: int) -> list[Draft]:
    """Bodies of CSPConsumptionData, one per row.

    Args:
        rows: with the columns of `declared`.
        declared: INVOICE_RECON or DAILY_USAGE.
        line_type: the integer written to `type`.

    `quantity` is what was charged for; where a reconciliation line leaves that empty, what was bought (documented).
    """

    def finish(record: dict[str, Any], body: dict[str, Any]) -> None:
        if "quantity" not in body and record.get("quantity") is not None:
            body["quantity"] = round_number(record["quantity"], CONSUMPTION.properties["quantity"])
        body["type"] = line_type

    return _drafts(rows, declared, CONSUMPTION, lambda record: (record["line_id"], record["invoice_number"]), finish)


def invoice_drafts(rows: pa.Table, tenant_id: int, clients: Mapping[str, int]) -> list[Draft]:
    """Bodies of CSPInvoice, one per row of INVOICES.

    Args:
        rows: with the columns of INVOICES.
        tenant_id: written to `tenantid`.
        clients: written to `client_id`, by invoice number; an invoice of several clients has none.
    """

    def finish(record: dict[str, Any], body: dict[str, Any]) -> None:
        body["tenantid"] = tenant_id
        if record["invoice_number"] in clients:
            body["client_id"] = clients[record["invoice_number"]]
        if "taxreceipts" in body:
            body["taxreceipts"] = _lower_keys(body["taxreceipts"])

    return _drafts(rows, INVOICES, INVOICE, lambda record: (record["invoice_number"], None), finish)


def price_drafts(rows: pa.Table, products: set[str] | None) -> list[Draft]:
    """Bodies of CSPSubscriptionPricing, one per distinct row of PRICE_LIST.

    Args:
        rows: with the columns of PRICE_LIST; of lists that repeat a row, the later one's counts.
        products: product ids that are wanted; None for all.

    The natural key is the list's: product, SKU, term, plan, market, currency, segment, first unit of the tier,
    effective start, and the occurrence of these within one file (real lists have repeats).
    """
    if products is not None:
        wanted = pa.array(sorted(products), pa.string())
        rows = rows.filter(pc.is_in(rows.column("product_id"), value_set=wanted))
    occurrences: Counter[tuple[str, ...]] = Counter()

    def key(record: dict[str, Any]) -> tuple[str, None]:
        parts = [_text(record[name]) for name in _PRICE_KEY]
        counted = (record["file_sha256"], record["source_file"], *parts)
        occurrences[counted] += 1
        return "|".join([*parts, str(occurrences[counted])]), None

    drafts = _drafts(rows, PRICE_LIST, PRICING, key, lambda record, body: None)
    return list({draft.key: draft for draft in drafts}.values())


_PRICE_KEY = (
    "product_id",
    "sku_id",
    "term_duration",
    "billing_plan",
    "market",
    "currency",
    "segment",
    "pricing_tier_range_min",
    "effective_start_date",
)


def _lower_keys(value: Any) -> Any:
    """HaloPSA names the parts of a tax receipt in lower case, Partner Center in camel case."""
    if isinstance(value, list):
        return [_lower_keys(item) for item in value]
    return {key.lower(): item for key, item in value.items()} if isinstance(value, dict) else value


def _drafts(
    rows: pa.Table,
    declared: Table,
    entity: Entity,
    key: Callable[[dict[str, Any]], tuple[str, str | None]],
    finish: Callable[[dict[str, Any], dict[str, Any]], None],
) -> list[Draft]:
    mapping = _mapping(rows, declared, entity)
    drafts = []
    for record in _records(rows):
        natural_key, parent_key = key(record)
        made = _Body(entity, mapping, record)
        if not made.problem:
            finish(record, made.body)
        source = f"{record['source_file']} row {record['source_row']}"
        drafts.append(
            Draft(
                natural_key,
                parent_key,
                wire.encode(made.body).encode(),
                content_hash(entity, made.body),
                source,
                f"{source}: {made.problem}" if made.problem else "",
                tuple(made.cut),
                tuple(made.rounded),
            )
        )
    return drafts


def alterations(rows: pa.Table, declared: Table, entity: Entity) -> Iterator[Alteration]:
    """What of these rows HaloPSA is not sent as it was delivered, because it does not keep as much.

    Args:
        rows: with columns of `declared`.
        declared: INVOICE_RECON, DAILY_USAGE, INVOICES or PRICE_LIST.
        entity: what they become in HaloPSA.
    """
    mapping = _mapping(rows, declared, entity)
    for record in _records(rows):
        made = _Body(entity, mapping, record)
        if made.problem or not (made.cut or made.rounded):
            continue
        values = {prop.name: record[column] for column, prop in mapping}
        for name in made.cut + made.rounded:
            whole, sent = values[name], made.body.get(name)
            what = "rounded" if name in made.rounded else "left_out" if sent is None else "cut"
            yield Alteration(
                what, entity.name, record.get("line_id"), record.get("invoice_number"),
                f"{record['source_file']} row {record['source_row']}", name, _text(whole), None if sent is None else
                _text(sent),
            )  # fmt: skip


def _mapping(rows: pa.Table, declared: Table, entity: Entity) -> list[tuple[str, PostedProperty]]:
    """The columns that are sent, each with its property."""
    return [
        (column.name, entity.properties[name])
        for column in declared.columns
        for name in column.halo
        if column.name in rows.column_names
    ]


def _records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows one by one, of which few are Python objects at a time."""
    plain = pa.schema([
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ])  # fmt: skip
    for batch in rows.to_batches(max_chunksize=_RECORDS_AT_ONCE):
        # A text of a dictionary is made by itself, a column of texts all at once.
        yield from batch.cast(plain).to_pylist()


class _Body:
    """One body in the making, with what had to be cut, left out or rounded on the way."""

    def __init__(self, entity: Entity, mapping: Sequence[tuple[str, PostedProperty]], record: dict[str, Any]) -> None:
        self.body: dict[str, Any] = {}
        self.problem = ""
        self.cut: list[str] = []
        self.rounded: list[str] = []
        for column, prop in mapping:
            value = record[column]
            if value is not None and value != "":
                self._set(prop, value)

    def _set(self, prop: PostedProperty, value: Any) -> None:
        if prop.type is Type.NUMBER:
            self._set_number(prop, Decimal(value))
        elif prop.type is Type.DATE:
            self.body[prop.name] = _moment(value)
        elif prop.type is Type.JSON:
            self._set_json(prop, value)
        else:
            self._set_text(prop, _text(value))

    def _set_number(self, prop: PostedProperty, value: Decimal) -> None:
        number = round_number(value, prop)
        message = too_large(prop, number)
        if message:
            self._too_long(prop, f"{prop.name} {message}")
            return
        if number != value:
            self.rounded.append(prop.name)
        self.body[prop.name] = number

    def _set_text(self, prop: PostedProperty, text: str) -> None:
        message = too_long(prop, text)
        if message:
            self._too_long(prop, f"{prop.name} {message}")
            if prop.too_long is not TooLong.CUT:
                return
            text = _cut(text, prop.limit or 0)
        self.body[prop.name] = text

    def _set_json(self, prop: PostedProperty, text: str) -> None:
        try:
            self.body[prop.name] = wire.decode(text)
        except ValueError:
            self.problem = self.problem or f"{prop.name} is no JSON"

    def _too_long(self, prop: PostedProperty, message: str) -> None:
        if prop.too_long is TooLong.REFUSE:
            self.problem = self.problem or message
        else:
            self.cut.append(prop.name)


def _moment(value: date | datetime) -> str:
    """ISO 8601 in UTC; a day is its midnight."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    return f"{value.isoformat()}T00:00:00Z"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return _moment(value)
    return format(tidy(value), "f") if isinstance(value, Decimal) else str(value)


def _cut(text: str, limit: int) -> str:
    """The longest beginning of `text` within the limit; never half of a character."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * limit].decode("utf-16-le", "ignore")
