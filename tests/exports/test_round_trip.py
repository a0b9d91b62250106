"""Any typed table, written in any of the shapes, reads back equal; and no bytes at all lead to a traceback."""

from __future__ import annotations

import csv
import gzip
import json
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.exports.identify import identify
from tests.exports.written import RECON_LINE, csv_text, gzipped, json_lines, read_delivery, zipped
from transforms.columns import Column, Kind, Table
from transforms.errors import InputError
from transforms.normalise import CURRENCIES, is_identifying
from transforms.tables import EXPORT_TABLES

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters='\n"'), min_size=1, max_size=12
).filter(lambda text: text.strip(" ") not in ("", "\\N"))
_ID = st.text("ABCdef0123456789:-{}", min_size=4, max_size=12)


_STYLES: list[Callable[[str], str]] = [
    str, str.upper, str.lower, lambda name: name[0].lower() + name[1:], lambda name: f" {name}",
]  # fmt: skip
_PACKINGS: list[Callable[[bytes], bytes]] = [
    bytes, gzip.compress, lambda raw: zipped({"x": raw}),
    lambda raw: gzipped(raw[: len(raw) // 2], raw[len(raw) // 2 :]),
]  # fmt: skip


def _value(column: Column) -> st.SearchStrategy[Any]:
    """Values of a column in the form in which they read back."""
    kind = column.kind
    if kind.is_decimal:
        width = kind.arrow_type
        digits = 10 ** min(width.precision, 30) - 1
        value: st.SearchStrategy[Any] = st.integers(-digits, digits).map(
            lambda units: Decimal(units).scaleb(-width.scale, Context(prec=60))
        )
    elif kind is Kind.DATE:
        value = st.dates(date(1753, 1, 1), date(9999, 11, 30))
    elif kind is Kind.TIMESTAMP:
        value = st.datetimes(datetime(1753, 1, 1), datetime(9999, 11, 30), timezones=st.just(UTC))
    elif column.name == "sku_id" or column.name in CURRENCIES:
        value = _ID.map(str.upper)
    else:
        value = _ID if is_identifying(column) or column.required else _TEXT
    may_be_empty = column.nullable and not column.required
    return st.none() | value if may_be_empty else value


@st.composite
def _tables(draw: st.DrawFn) -> tuple[str, list[str], list[dict[str, Any]]]:
    kind = draw(st.sampled_from(sorted(EXPORT_TABLES)))
    columns = [column for column in EXPORT_TABLES[kind].columns if column.sources]
    optional = [column.name for column in columns if not column.required]
    left_out = set(draw(st.lists(st.sampled_from(optional), max_size=4))) if optional else set()
    columns = draw(st.permutations([column for column in columns if column.name not in left_out]))
    rows = draw(st.lists(st.fixed_dictionaries({c.name: _value(c) for c in columns}), min_size=1, max_size=4))
    return kind, [column.name for column in columns], rows


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]], bytes]:
    """A table of some kind and its bytes in some container, encoding, delimiter, quoting and column style."""
    kind, names, rows = draw(_tables())
    table = EXPORT_TABLES[kind]
    style = draw(st.sampled_from(_STYLES))
    source = {name: style(draw(st.sampled_from(_plain_sources(table, name)))) for name in names}
    day_style = draw(st.sampled_from(["iso", "us", "us padded"]))
    texts = [{source[n]: _written(table[n], row[n], day_style) for n in names} for row in rows]
    form = draw(st.sampled_from(["csv", "json", "json lines"]))
    if form == "csv":
        delimiter = draw(st.sampled_from([",", ";", "\t"]))
        text = csv_text(
            [{n: "" if v is None else v for n, v in row.items()} for row in texts], list(source.values()),
            delimiter=delimiter, newline=draw(st.sampled_from(["\r\n", "\n"])),
            quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])),
        )  # fmt: skip
        data = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    elif form == "json":
        data = json.dumps({"items": texts}, indent=draw(st.sampled_from([None, 2]))).encode()
    else:
        data = json_lines([{n: v for n, v in row.items() if v is not None} for row in texts]).encode()
    pack = draw(st.sampled_from(_PACKINGS))
    return kind, rows, pack(data)


def _plain_sources(table: Table, name: str) -> list[str]:
    column = table[name]
    return [source for source in column.sources if source not in column.fraction_sources]


def _written(column: Column, value: Any, day_style: str) -> str | None:
    if value is None:
        return None
    if column.kind is Kind.TIMESTAMP:
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond:06d}7Z".rjust(28, "0")
    if column.kind is Kind.DATE:
        day: date = value
        if day_style == "iso":
            return day.isoformat()
        padded = day_style == "us padded"
        return f"{day.month:0{2 if padded else 1}d}/{day.day:0{2 if padded else 1}d}/{day.year:04d}"
    return str(value)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(_files())
def test_a_table_reads_back_equal(made: tuple[str, list[dict[str, Any]], bytes]) -> None:
    kind, rows, data = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_bytes(data)
        delivery = read_delivery(path)
        (found,) = identify(path)
    assert delivery.rejected.to_pylist() == []
    assert (found.kind, found.rows, found.problem) == (kind, len(rows), None)
    with localcontext(Context(prec=60)):
        table = delivery.tables[kind]
        schema = pa.schema([table.schema.field(name) for name in rows[0]])
        assert table.select(schema.names).to_pylist() == pa.Table.from_pylist(rows, schema=schema).to_pylist()


_WHOLE = csv_text([RECON_LINE, RECON_LINE]).encode()
_STARTS = (
    b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"PAR1", b"PK\x03\x04", b"\x1f\x8b\x08", b"{", b"[", b"HTTP/",
    b'{"items":[', _WHOLE[:900], zipped({"x": _WHOLE})[:400], gzip.compress(_WHOLE)[:300],
    json_lines([RECON_LINE] * 2).encode(),
)  # fmt: skip


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A sound file with some bytes replaced, cut out or put in."""
    rows = [RECON_LINE] * 2
    sound = [_WHOLE, gzip.compress(_WHOLE), zipped({"x": _WHOLE}), json_lines(rows).encode(), json.dumps(rows).encode()]
    data = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


@settings(max_examples=400)
@given(st.builds(bytes.__add__, st.sampled_from(_STARTS), st.binary(max_size=200)) | _damaged())
@example(b'a,b\n1,"')
@example(b"\xff\xfe\x00\xd8")
@example(b'{"a":"\\ud800"}\n{"a":1}\n')
def test_no_bytes_lead_to_a_traceback(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_bytes(data)
        for found in identify(path):
            assert found.kind in ("unknown", *EXPORT_TABLES)
        refusal = ""
        try:
            delivery = read_delivery(path)
        except InputError as error:
            refusal = str(error)
        if refusal:
            assert re.fullmatch(r"[^\n]*\bexport\b[^\n]+", refusal), refusal
        else:
            assert delivery.rejected.column("reason").null_count == 0
