"""What the fake serves, made from an example month: the lines of Graph's exports, invoices, price sheets."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.halopsa import wire

Lines = list[bytes]

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_NUMERIC = re.compile(r".*(Price|Quantity|Total|Subtotal|Rate|Percentage)")


@dataclass
class Month:
    """One month of a partner.

    Attributes:
        period: YYYY-MM.
        invoices: documents by number, as `/v1/invoices/{id}` tells them.
        lines: lines by dataset (`reconciliation`, `usage`) and invoice number, each as JSON.
        sheets: price sheets as text by view and market.
    """

    period: str
    invoices: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: dict[str, dict[str, Lines]] = field(default_factory=dict)
    sheets: dict[tuple[str, str], bytes] = field(default_factory=dict)


def read_month(folder: Path, period: str) -> Month:
    """Read the exports that `examples.month` has written into `folder`."""
    month = Month(period)
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json":
            items = wire.decode(path.read_bytes())["items"]
            month.invoices = {item["id"]: item for item in items}
        elif "Reconciliation" in path.name:
            month.lines["reconciliation"] = _by_invoice(path.read_bytes())
        elif "Usage" in path.name:
            month.lines["usage"] = _by_invoice(gzip.decompress(path.read_bytes()))
        else:
            view = "azure_consumption" if "AzurePlan" in path.name else "updatedlicensebased"
            month.sheets[view, path.stem.rpartition("_")[2]] = _sheet(path)
    return month


def _by_invoice(content: bytes) -> dict[str, Lines]:
    found: dict[str, Lines] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
        found[row["InvoiceNumber"]].append(json_line(row))
    return dict(found)


def json_line(row: Mapping[str, str]) -> bytes:
    """A row as Spark writes it: what is empty is left out, numbers are bare, days are instants."""
    return wire.encode({name: _value(name, text) for name, text in row.items() if text}).encode()


def _value(name: str, text: str) -> str | Decimal:
    if _NUMERIC.fullmatch(name) and _NUMBER.fullmatch(text):
        return Decimal(text)
    if day := _DAY.fullmatch(text):
        return f"{day[3]}-{int(day[1]):02d}-{int(day[2]):02d}T00:00:00Z"
    return text


def _sheet(path: Path) -> bytes:
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(archive.namelist()[0])


def zipped(name: str, content: bytes) -> bytes:
    """A ZIP archive of one member; the same content gives the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def parts_of(lines: Lines, count: int) -> list[bytes]:
    """Lines cut into that many blobs, as gzip files; the last line of a blob has its end, as Spark writes it."""
    size = max(1, -(-len(lines) // count))
    cut = [lines[start : start + size] for start in range(0, len(lines), size)]
    return [gzip.compress(b"".join(line + b"\n" for line in part), mtime=0) for part in cut]
