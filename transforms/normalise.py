"""From the texts of an export to typed columns, and which rows cannot be read.

A row is refused, never repaired and never guessed, when a declared column holds something that is no number or no
date, or when it lacks what a charge cannot do without. In reconciliation and usage lines that is the customer, the
currency, and every required amount but tax, price, quantity and date; other ids may be empty, because credits and
perpetual licences come without some of them. In price lists and invoices it is what `transforms.tables` says may not
be empty, and the same for required amounts and dates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns import Column, Kind, Table
from transforms.dates import DayOrder, parse_dates
from transforms.headers import HeaderMatch, is_fraction, match_headers
from transforms.money import parse_decimals
from transforms.texts import ENCODED, encoded, with_values

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

_NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_SHOWN = 60
_NULLS = pa.array(["", "\\N"])
_NO_TEXT = pa.scalar(None, pa.string())

#: Text columns that name a currency.
CURRENCIES = frozenset({"currency", "billing_currency", "pricing_currency", "currency_code"})
#: Text columns that identify something besides those named `…_id`: spaces around them and an apostrophe guard go.
_IDENTIFYING = CURRENCIES | {
    "invoice_number", "amends_of", "market", "customer_country", "term_duration", "billing_plan", "segment",
}  # fmt: skip
#: A tenant's id as the API's first version writes some; where nothing follows there is no id to be had.
_PREFIXED_TENANT, _TENANT = "(?i)^org:(.)", r"\1"
_NEVER_EMPTY = frozenset({"customer_id", "currency", "billing_currency"})
#: No tax is no value, as Microsoft leaves taxes out of the lines of some invoices (documented).
_MAY_BE_EMPTY = frozenset({"tax_total"})


@dataclass
class Normalised:
    """What one batch of rows became.

    Attributes:
        rows: the good rows: the table's source columns and `extra_columns`, texts dictionary-encoded, decimals at a
            scale that holds them.
        positions: each good row's position in the batch.
        refused: the refused rows in the same columns, null where a value could not be read.
        refused_positions: their positions in the batch.
        reasons: for each refused row what is wrong with it and how to mend it.
        day_order: how the batch writes slashed dates.
    """

    rows: pa.Table
    positions: Positions
    refused: pa.Table
    refused_positions: Positions
    reasons: list[str]
    day_order: DayOrder


@dataclass
class _Faults:
    """Why rows are refused, by position."""

    reasons: dict[int, list[str]] = field(default_factory=dict)

    def add(self, bad: Mask, texts: pa.Array | None, why: Callable[[str | None], str]) -> None:
        for position in np.flatnonzero(bad).tolist():
            text = texts[position].as_py() if texts is not None else None
            self.reasons.setdefault(position, []).append(why(text))


def normalise(
    texts: pa.Table, table: Table, *, decimal_comma: bool = False, absent_is_null: bool = False
) -> Normalised:
    """Type the rows of an export.

    Args:
        texts: delivered column names to string columns; absent values are null, empty or `\\N`. A column may also
            have another type whose text is exact; a decimal of the declared type is taken as it is.
        table: a table of `transforms.tables.EXPORT_TABLES`; its required columns must be in the file (`match_headers`).
        decimal_comma: whether the file writes 1,5 for one and a half.
        absent_is_null: whether a column that is not there has no value in any of these rows; else nobody asked for it.

    Returns:
        Typed rows and refused rows. Text stays as delivered, except that ids, currencies and the like lose spaces
        around them and an apostrophe guard, that currencies are in upper case, that a CustomerId is the tenant's id
        without `org:`, and that SkuId gets its canonical form; percentages that the API gives as a fraction become
        percent.
    """
    match = match_headers(texts.column_names, table)
    faults = _Faults()
    order = DayOrder()
    arrays: list[pa.Array] = []
    columns = [column for column in table.columns if column.sources]
    for column in columns:
        names = match.found.get(column.name, ())
        array, column_order = _column(texts, column, names, faults, decimal_comma)
        if array.null_count and needs_value(column) and (names or absent_is_null):
            faults.add(_are_empty(texts, names, column.kind), None, _empty(names or column.sources))
        arrays.append(array)
        order += column_order
    declared = [*(column.name for column in columns), "extra_columns"]
    typed = pa.Table.from_arrays([*arrays, encoded(_extra_columns(texts, match))], names=declared)
    refused_positions = np.array(sorted(faults.reasons), dtype=np.int64)
    good = np.ones(texts.num_rows, dtype=np.bool_)
    good[refused_positions] = False
    return Normalised(
        rows=typed if good.all() else typed.filter(pa.array(good)),
        positions=np.flatnonzero(good),
        refused=typed.take(pa.array(refused_positions)),
        refused_positions=refused_positions,
        reasons=["; ".join(faults.reasons[position]) for position in refused_positions.tolist()],
        day_order=order,
    )


def uses_decimal_comma(texts: pa.Table, table: Table) -> bool | None:
    """Whether the numbers of a batch have a decimal comma: some do and none has a dot; None when none has either."""
    match = match_headers(texts.column_names, table)
    comma = False
    for column in table.columns:
        if not column.kind.is_decimal:
            continue
        for name in match.found.get(column.name, ()):
            values = texts.column(name)
            if pc.any(pc.match_substring(values, ".")).as_py():
                return False
            comma = comma or bool(pc.any(pc.match_substring(values, ",")).as_py())
    return True if comma else None


def is_identifying(column: Column) -> bool:
    """Whether a text column identifies something, so that spaces and an apostrophe around its value mean nothing."""
    return column.name.endswith(("_id", "_ids")) or column.name in _IDENTIFYING


def _column(
    texts: pa.Table, column: Column, names: Sequence[str], faults: _Faults, decimal_comma: bool
) -> tuple[pa.Array, DayOrder]:
    """One declared column from its delivered ones: the newest name first, an older one where it is empty."""
    result: pa.Array | None = None
    order = DayOrder()
    for name in names:
        array, seen = _typed(texts, column, name, faults, decimal_comma)
        result = array if result is None else _filled_from(result, array, column)
        order += seen
    if result is None:
        result = pa.nulls(texts.num_rows, ENCODED if column.kind is Kind.TEXT else column.kind.arrow_type)
    return result, order


def _are_empty(texts: pa.Table, names: Sequence[str], kind: Kind) -> Mask:
    """The rows that have no value in any of these delivered columns."""
    empty = np.ones(texts.num_rows, dtype=np.bool_)
    for name in names:
        empty &= np.asarray(_is_empty(_flat(texts, name), kind))
    return empty


def _empty(names: Sequence[str]) -> Callable[[str | None], str]:
    return lambda _: (
        f"{names[0]} is empty; a row cannot be used without it: have the file exported again, or fill the value in"
    )


def _filled_from(newer: pa.Array, older: pa.Array, column: Column) -> pa.Array:
    """The values of one column, and those of another where it has none."""
    if not newer.null_count:
        return newer
    kind = column.kind.arrow_type
    filled = pc.coalesce(newer.cast(kind), older.cast(kind))
    return encoded(filled) if column.kind is Kind.TEXT else filled


def _typed(
    texts: pa.Table, column: Column, name: str, faults: _Faults, decimal_comma: bool
) -> tuple[pa.Array, DayOrder]:
    """One delivered column with the declared type; what cannot be read joins the faults."""
    as_fraction = is_fraction(column, name)
    if column.kind.is_decimal and texts.schema.field(name).type == column.kind.arrow_type and not as_fraction:
        return texts.column(name).combine_chunks(), DayOrder()
    if column.kind is Kind.TEXT:
        # Encoded first and joined then, so that it is the codes that are copied.
        return with_values(texts.column(name), lambda values: cleaned(values, column)), DayOrder()
    delivered = _flat(texts, name)
    if column.kind.is_decimal:
        numbers = _as_percent(delivered) if as_fraction else delivered
        array, bad = parse_decimals(numbers, column.kind, decimal_comma=decimal_comma)
        faults.add(bad, delivered, lambda text: _bad_number(name, text, column.kind, decimal_comma))
        return array, DayOrder()
    array, bad, order = parse_dates(delivered, column.kind)
    faults.add(bad, delivered, lambda text: _bad_date(name, text))
    return array, order


def needs_value(column: Column) -> bool:
    """Whether a row cannot be used without a value in this column."""
    if column.name in _MAY_BE_EMPTY:
        return False
    if not column.nullable or column.name in _NEVER_EMPTY:
        return True
    return column.required and column.kind is not Kind.TEXT


def _is_empty(texts: pa.Array, kind: Kind) -> pa.Array:
    """Where a delivered text says that there is no value; for dates also the year 1."""
    trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(texts), characters="'")
    empty = pc.is_in(trimmed, value_set=_NULLS)
    if kind in (Kind.DATE, Kind.TIMESTAMP):
        empty = pc.or_(empty, pc.match_substring_regex(trimmed, r"^0001-|^0?1/0?1/0001").fill_null(False))
    return pc.or_(empty, pc.is_null(texts))


def cleaned(texts: pa.Array, column: Column) -> pa.Array:
    """Delivered texts of a text column as they are stored, null where they say that there is none; see `normalise`."""
    if is_identifying(column):
        texts = pc.utf8_ltrim(pc.utf8_trim_whitespace(texts), characters="'")
    if column.name in CURRENCIES:
        texts = pc.utf8_upper(texts)
    if column.name == "customer_id":
        texts = pc.replace_substring_regex(texts, _PREFIXED_TENANT, _TENANT)
    if column.name == "sku_id":
        upper = pc.utf8_upper(texts)
        texts = pc.if_else(pc.is_in(upper, value_set=_NULLS), _NO_TEXT, pc.utf8_lpad(upper, 4, "0"))
    empty = pc.is_in(texts, value_set=_NULLS)
    return pc.if_else(empty, _NO_TEXT, texts) if pc.any(empty).as_py() else texts


def _as_percent(texts: pa.Array) -> pa.Array:
    """A hundred times each number, as exact text; what is no number stays as it is."""
    encoded = texts.dictionary_encode()
    hundredfold = pa.array([_hundredfold(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return hundredfold.take(encoded.indices)


def _hundredfold(text: str) -> str:
    number = text.strip().lstrip("'")
    if not _NUMBER.fullmatch(number) or "," in number:
        return text
    parts = Decimal(number).as_tuple()
    if not isinstance(parts.exponent, int):
        return text
    return str(Decimal((parts.sign, parts.digits, parts.exponent + 2)))


def _extra_columns(texts: pa.Table, match: HeaderMatch) -> pa.Array:
    """The columns that are not declared, as one JSON object of texts a row; null where a row has none."""
    members: list[pa.Array] = []
    for name in match.extra:
        values = _flat(texts, name)
        if values.null_count == len(values):
            continue
        distinct = values.dictionary_encode()
        written = pa.array(
            [f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(value, ensure_ascii=False)}," if value else ""
             for value in distinct.dictionary.to_pylist()],
            pa.string(),
        )  # fmt: skip
        members.append(written.take(distinct.indices).fill_null(""))
    if not members:
        return pa.nulls(texts.num_rows, pa.string())
    joined = pc.utf8_rtrim(pc.binary_join_element_wise(*members, ""), characters=",")
    return pc.if_else(pc.equal(joined, ""), _NO_TEXT, pc.binary_join_element_wise("{", joined, "}", ""))


def _flat(texts: pa.Table, name: str) -> pa.Array:
    column = texts.column(name)
    if column.type != pa.string():
        column = column.cast(pa.string())
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _shown(text: str | None) -> str:
    """A value in a message: shortened, on one line."""
    value = text or ""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")


def _bad_number(name: str, text: str | None, kind: Kind, decimal_comma: bool) -> str:
    number = (text or "").strip().lstrip("'")
    right, wrong = (",", ".") if decimal_comma else (".", ",")
    if _NUMBER.fullmatch(number) and wrong not in number:
        width = kind.arrow_type
        # Other kinds are rounded to their decimals.
        after = f" and {width.scale} after" if kind is Kind.AMOUNT else ""
        return (
            f"{name}: {_shown(text)} does not fit: at most {width.precision - width.scale} digits before{after} the "
            "decimal point; correct the value in the file"
        )
    if wrong in number:
        return (
            f"{name}: {_shown(text)} is not a number; write it without thousands separators and with "
            f"'{right}' before the decimals, as in the rest of the file"
        )
    return f"{name}: {_shown(text)} is not a number; correct the value in the file"


def _bad_date(name: str, text: str | None) -> str:
    return (
        f"{name}: {_shown(text)} is not a date; write it as month/day/year (11/30/2025) or as 2025-11-30, "
        "with a time after it if there is one"
    )
