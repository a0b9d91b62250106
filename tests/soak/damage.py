"""Files like those that partners deliver, damaged on purpose, and what may be read of them.

A file is made as a model, rows of cells of a generated export, and only then written. What each row must or may read
as is therefore known from the model, by plain decimals, and not from any reader.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from examples.month import generate_month

#: Columns whose amounts are followed, by kind of export: as delivered, and as they are read.
AMOUNTS = {
    "invoice_recon": {
        "UnitPrice": "unit_price", "EffectiveUnitPrice": "effective_unit_price", "Subtotal": "subtotal",
        "TaxTotal": "tax_total", "Total": "total", "Quantity": "quantity", "BillableQuantity": "billable_quantity",
    },
    "daily_usage": {"UnitPrice": "unit_price", "Quantity": "quantity", "BillingPreTaxTotal": "billing_pre_tax_total"},
    "price_list": {"UnitPrice": "unit_price", "ERP Price": "erp_price"},
}  # fmt: skip

_D = Decimal
#: Unusual numbers, and the only values that they may be read as; whatever else is in a cell puts its row in quarantine.
UNUSUAL: dict[str, tuple[Decimal | None, ...]] = {
    "": (None,), "\\N": (None,), "null": (None,), "-": (), "N/A": (), "NaN": (), "nan": (), "Infinity": (), "-inf": (),
    "1,234.56": (_D("1234.56"),), "1.234,56": (_D("1234.56"),), "12,5": (_D("12.5"),), "1,234": (_D(1234), _D("1.234")),
    "(12.50)": (_D("-12.5"),), "12.50-": (_D("-12.5"),), "--1": (), "1-2": (), "1.2.3": (), "1..2": (), ".": (),
    "1e2": (_D(100),), "1E+2": (_D(100),), "3.2e-05": (_D("0.000032"),), "0E-20": (_D(0),), "1e400": (), "1e": (),
    "e5": (), "0x10": (), "1_000": (), "\u0661\u0662": (), "\uff11\uff12": (), "1\u00a0000": (_D(1000),),
    "1 000": (_D(1000),), "\u22125": (_D(-5),), "$5": (_D(5),), "5%": (), "=1+1": (), "true": (), "'22.00": (_D(22),),
    " 7.10 ": (_D("7.1"),), "+3": (_D(3),), ".5": (_D("0.5"),), "5.": (_D(5),), "-0": (_D(0),), "-0.00": (_D(0),),
    "9" * 60: (), "0." + "0" * 40 + "1": (_D(0),), "0" * 50 + "7": (_D(7),), "12.50\n": (_D("12.5"),), "1\x002": (),
}  # fmt: skip
_HOSTILE = (
    "", "a,b", 'say "hi"', '"', "a;b\tc", "two\nlines", "two\r\nlines", "\r", "=cmd|' /C calc'!A0", "\u202eevil",
    "\x00", "\x1b[31m", "\ufeff", "\u2028", "é" * 300, "'; drop table lines; --", "\\", "\\N", "x" * 70_000,
)  # fmt: skip
_TEXTS = {
    "invoice_recon": ("CustomerName", "ProductName", "SkuName", "SubscriptionDescription"),
    "daily_usage": ("CustomerName", "ProductName", "Tags", "AdditionalInfo"),
    "price_list": ("ProductTitle", "SkuTitle", "Tags"),
}  # fmt: skip

Row = list[str]


@dataclass(frozen=True)
class Damaged:
    """A damaged file.

    Attributes:
        kind: of export.
        data: its bytes.
        expected: by row number, for each followed column what it may read as; no entry for a row that is no row.
        sound: rows that must be read.
        broken: rows that must be in quarantine.
    """

    kind: str
    data: bytes
    expected: dict[int, dict[str, tuple[Decimal | None, ...]]]
    sound: frozenset[int]
    broken: frozenset[int]


@cache
def examples() -> dict[str, tuple[Row, list[Row]]]:
    """Header and rows of a generated month, by kind."""
    with TemporaryDirectory() as folder:
        month = Path(folder) / "exports"
        generate_month(month, plant=False)
        found = {}
        for kind, pattern in (
            ("invoice_recon", "*Reconciliation*.csv"), ("daily_usage", "*Usage*.csv.gz"), ("price_list", "*GA_US.csv"),
        ):  # fmt: skip
            data = next(month.glob(pattern)).read_bytes()
            text = (gzip.decompress(data) if pattern.endswith("gz") else data).decode("utf-8-sig")
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            found[kind] = (header, rows)
        return found


@st.composite
def damaged_files(draw: st.DrawFn) -> Damaged:
    """Some rows of an export, with unusual numbers and texts, rows too short or too long, in any shape."""
    kind = draw(st.sampled_from(sorted(AMOUNTS)))
    header, rows = examples()[kind]
    chosen = draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, max_size=8))
    model = [list(rows[number]) for number in chosen]
    unusual: dict[int, dict[str, str]] = {}
    hostile: set[int] = set()
    for at, row in enumerate(model):
        for name in draw(st.lists(st.sampled_from(sorted(AMOUNTS[kind])), max_size=2, unique=True)):
            row[header.index(name)] = unusual.setdefault(at, {})[name] = draw(st.sampled_from(sorted(UNUSUAL)))
        names = [name for name in _TEXTS[kind] if name in header]
        for name in draw(st.lists(st.sampled_from(names), max_size=1)):
            row[header.index(name)] = draw(st.sampled_from(_HOSTILE))
            hostile.add(at)
    order = draw(st.permutations(range(len(header))))
    header, model = [header[place] for place in order], [[row[place] for place in order] for row in model]
    form = draw(st.sampled_from(sorted(_FORMS)))
    broken = set()
    if form in _DELIMITERS:
        for at in draw(st.lists(st.sampled_from(range(len(model))), max_size=1)):
            model[at] = draw(st.sampled_from([model[at][:-3], [*model[at], "more", "and more"]]))
            broken.add(at)
    first = 2 if form in _DELIMITERS else 1  # a header is row 1
    data = draw(st.sampled_from(_PACKINGS))(draw(st.sampled_from(_ENCODINGS[form]))(_FORMS[form](header, model)))
    expected = {
        at + first: {read: _allowed(model[at][header.index(name)]) for name, read in AMOUNTS[kind].items()}
        for at in range(len(model)) if at not in broken
    }  # fmt: skip
    touched = {*unusual, *hostile, *broken}
    numbers = [text for row in unusual.values() for text in row.values()]
    may_turn_to_commas = form in ("semicolons", "tabs") and any("," in text for text in numbers)
    sound = () if may_turn_to_commas else (at + first for at in range(len(model)) if at not in touched)
    return Damaged(kind, data, expected, frozenset(sound), frozenset(at + first for at in broken))


def _allowed(text: str) -> tuple[Decimal | None, ...]:
    """What a cell may be read as."""
    return UNUSUAL[text] if text in UNUSUAL else (Decimal(text),)


def _delimited(delimiter: str, quoting: int) -> Callable[[Row, Sequence[Row]], str]:
    def write(header: Row, rows: Sequence[Row]) -> str:
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n", quoting=quoting)  # type: ignore[arg-type]
        writer.writerows([header, *rows])
        return out.getvalue()

    return write


def _json_lines(header: Row, rows: Sequence[Row]) -> str:
    return "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)


def _json_document(header: Row, rows: Sequence[Row]) -> str:
    return json.dumps({"items": [dict(zip(header, row, strict=True)) for row in rows]}, indent=1)


def _parquet(header: Row, rows: Sequence[Row]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: [row[place] for row in rows] for place, name in enumerate(header)}), out)
    return out.getvalue()


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export", data)
    return out.getvalue()


_DELIMITERS = ("commas", "semicolons", "tabs", "quoted")
_FORMS: dict[str, Callable[[Row, Sequence[Row]], str | bytes]] = {
    "commas": _delimited(",", csv.QUOTE_MINIMAL),
    "semicolons": _delimited(";", csv.QUOTE_MINIMAL),
    "tabs": _delimited("\t", csv.QUOTE_MINIMAL),
    "quoted": _delimited(",", csv.QUOTE_ALL),
    "JSON lines": _json_lines,
    "JSON": _json_document,
    "Parquet": _parquet,
}


def _encoder(encoding: str) -> Callable[[str], bytes]:
    return lambda text: text.encode(encoding)


_UTF8 = _encoder("utf-8")
_ENCODINGS: dict[str, list[Callable[..., bytes]]] = {
    **{form: [_UTF8, _encoder("utf-8-sig"), _encoder("utf-16")] for form in _DELIMITERS},
    "JSON lines": [_UTF8],
    "JSON": [_UTF8],
    "Parquet": [bytes],
}
_PACKINGS: list[Callable[[bytes], bytes]] = [
    bytes, gzip.compress, _zipped, lambda data: _zipped(gzip.compress(data)), lambda data: _zipped(_zipped(data)),
    lambda data: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
]  # fmt: skip
