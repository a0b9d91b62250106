"""Every reader as a function of bytes: it returns, or raises one of `transforms.errors`; all else is a defect."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from connectors.customer_file import read_customer_file
from connectors.exports.identify import identify
from connectors.halopsa import wire
from connectors.halopsa.answers import failure
from connectors.halopsa.paging import read_page
from pipelines.settings import load_settings
from tests.exports.written import (
    INVOICE,
    PRICE_ROW,
    RECON_LINE,
    USAGE_LINE,
    csv_text,
    json_lines,
    read_delivery,
    zipped,
)

_PLAIN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def read_export(data: bytes) -> None:
    """Identify and read an export; of plain CSV also hold its totals against Python's own reader."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_bytes(data)
        identify(path)
        rows = read_delivery(path).tables["invoice_recon"].to_pylist()
    if rows and b'"' not in data and b"\r" not in data.replace(b"\r\n", b""):
        _check_totals(data, {row["source_row"]: row["total"] for row in rows})


def _check_totals(data: bytes, read: dict[int, Decimal]) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if header.count("Total") != 1:
        return
    place = header.index("Total")
    for number, row in enumerate(rows, start=2):
        if number in read and len(row) == len(header) and _PLAIN.fullmatch(row[place]):
            assert read[number] == Decimal(row[place]), (number, read[number], row[place])


def read_customers(data: bytes) -> None:
    """Read a customers file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        path.write_bytes(data)
        read_customer_file(path)


def read_policy(data: bytes) -> None:
    """Read a policy file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.toml"
        path.write_bytes(data)
        load_settings(policy=path).read_policy()


def read_answer(data: bytes) -> None:
    """Read an answer of HaloPSA: as a list, and as a failure."""
    for status in (400, 500):
        failure("POST", status, data, ("secret",))
    try:
        answer = wire.decode(data)
    except ValueError:
        return
    read_page(answer, "list")
    wire.encode(answer)


READERS: dict[str, Callable[[bytes], None]] = {
    "exports": read_export,
    "customers": read_customers,
    "policy": read_policy,
    "answers": read_answer,
}

_RECON = csv_text([RECON_LINE, RECON_LINE]).encode()
#: What each reader reads as it should be.
SAMPLES: dict[str, list[bytes]] = {
    "exports": [
        _RECON, gzip.compress(_RECON), zipped({"x": _RECON}), json_lines([RECON_LINE]).encode(),
        csv_text([USAGE_LINE], list(USAGE_LINE)).encode(), csv_text([PRICE_ROW], list(PRICE_ROW)).encode("utf-16"),
        json.dumps({"items": [INVOICE]}).encode(), json.dumps([RECON_LINE]).encode(),
    ],
    "customers": [b"customer_id,client_id,client_name\r\nt1,12,Contoso\r\nt2,13,\"Fabrikam, Inc.\"\r\n"],
    "policy": [b'margin_floor = "0.05"\n[severities]\nABOVE_ERP = "warn"\n', b'{"severities": {"ABOVE_ERP": "warn"}}'],
    "answers": [
        b'{"record_count": 1, "data": [{"id": 1, "total": 1.25, "isbilled": true}]}', b'[{"id": 1}]',
        b'{"errors": {"[0].tags": ["too long"]}}',
    ],
}  # fmt: skip
#: Pieces that break readers: put in wherever a mutation likes.
PIECES = (
    b"\x00", b'"', b'""', b"\r", b"\n", b",", b";", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04", b"PAR1",
    b"NaN", b"1e999999", b"-", b"9" * 5000, b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, "\u2028\u0085".encode(),
    b"\xed\xa0\x80", b"nan", b"inf", b"1_0", b"x" * 140_000, b"\\ud800", b"2025-02-30",
)  # fmt: skip
