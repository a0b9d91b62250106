"""Truth tables: what was planted into written exports, row by row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from examples.lines import ReconLine, UsageRow


@dataclass(frozen=True)
class Planted:
    """One planted discrepancy: its code, and the row or the invoice that it is found at.

    Attributes:
        about: a row of the subscription and product that it is about, where it is found at no row.
        customer_id: the tenant that it is about, where it is about neither.
    """

    code: str
    note: str
    invoice_number: str
    row: ReconLine | UsageRow | None = None
    about: ReconLine | UsageRow | None = None
    customer_id: str = ""


@dataclass(frozen=True)
class TruthRow:
    """One discrepancy that a reconciliation has to find.

    Attributes:
        sku_id: canonical, four characters.
        charge_start_date: ISO.
        source_file, source_row: where it is; the header is row 1. Empty for an invoice-level discrepancy.
    """

    code: str
    invoice_number: str
    subscription_id: str = ""
    product_id: str = ""
    sku_id: str = ""
    charge_start_date: str = ""
    source_row: str = ""
    note: str = ""
    source_file: str = ""


@dataclass(frozen=True)
class YearTruthRow(TruthRow):
    """The same in one month of several."""

    period: str = ""
    customer_id: str = ""


@dataclass(frozen=True)
class WrittenMonth:
    """The files of a month: their records by name, and the place of every printed line."""

    files: dict[str, int]
    places: dict[int, tuple[str, int]] = field(repr=False)


@dataclass(frozen=True)
class Truth:
    """What was written: the planted discrepancies, where their table is, and the records of each file."""

    rows: tuple[TruthRow, ...]
    path: Path
    files: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Planted discrepancies by code."""
        return dict(sorted(Counter(row.code for row in self.rows).items()))


def truth_row(item: Planted, written: WrittenMonth) -> TruthRow:
    """Where a planted discrepancy is to be found."""
    row = item.row or item.about
    if row is None:
        return TruthRow(item.code, item.invoice_number, note=item.note)
    file, number = written.places[id(row)] if item.row is not None else ("", 0)
    return TruthRow(
        code=item.code,
        invoice_number=item.invoice_number,
        subscription_id=row.subscription_id,
        product_id=row.product.product_id,
        sku_id=row.product.sku_id.zfill(4),
        charge_start_date=row.charge_start.isoformat(),
        source_row=str(number or ""),
        note=item.note,
        source_file=file,
    )


def truth_order(row: TruthRow) -> tuple[str, str, int, str]:
    """The order of a truth table."""
    return row.code, row.source_file, int(row.source_row or 0), row.invoice_number


def write_table(path: Path, kind: type[TruthRow], rows: Sequence[TruthRow]) -> None:
    """Write a truth table as CSV, the attributes of `kind` being its columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [one.name for one in fields(kind)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)
