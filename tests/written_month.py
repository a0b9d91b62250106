"""What is in a written example month and what is wrong with it, told from its text alone.

Shares no code with the generator: plain decimals over the printed fields, by the rules of the exports.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from examples.truth import Truth

TERMS = {"One-Month": ("P1M", 1), "One-Year": ("P1Y", 12), "Three-3 Years": ("P3Y", 36)}
PLAN_MONTHS = {"Monthly": 1, "Annual": 12, "Triennial": 36}
CENT = Decimal("0.01")
Row = dict[str, str]


@dataclass(frozen=True)
class Month:
    """A generated month as text; rows by their number in the file."""

    folder: Path
    truth: Truth
    recon_header: list[str]
    recon: dict[int, list[str]]
    usage_header: list[str]
    usage: dict[int, list[str]]
    prices: list[Row]
    invoices: list[dict[str, object]]

    def recon_rows(self) -> dict[int, Row]:
        """The reconciliation rows that can be read."""
        rows = {n: dict(zip(self.recon_header, f, strict=True)) for n, f in self.recon.items() if len(f) == 47}
        return {number: row for number, row in rows.items() if _is_number(row["Subtotal"])}

    def usage_rows(self) -> dict[int, Row]:
        """The usage rows that can be read."""
        rows = {n: dict(zip(self.usage_header, f, strict=True)) for n, f in self.usage.items()}
        return {number: row for number, row in rows.items() if _is_usage_date(row["UsageDate"])}


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _is_usage_date(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, "%m/%d/%Y"))
    except ValueError:
        return False


def read_table(content: bytes, line_end: str) -> tuple[list[str], dict[int, list[str]]]:
    text = content.decode("utf-8-sig")
    assert content.startswith(b"\xef\xbb\xbf")
    assert text.endswith(line_end)
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert len(rows) + 1 == text.count(line_end)
    return header, dict(enumerate(rows, start=2))


def read_month(folder: Path, truth: Truth) -> Month:
    recon_header, recon = read_table(next(folder.glob("*Reconciliation*.csv")).read_bytes(), "\r\n")
    usage_header, usage = read_table(gzip.decompress(next(folder.glob("*Usage*.csv.gz")).read_bytes()), "\r\n")
    prices: list[Row] = []
    for path in sorted(folder.glob("*_NCE_LicenseBasedPL_GA_*")):
        header, rows = read_table(_price_list(path), "\n")
        prices += [dict(zip(header, row, strict=True)) for row in rows.values()]
    document = json.loads(next(folder.glob("invoices*.json")).read_text("utf-8"), parse_float=Decimal)
    assert document["totalCount"] == len(document["items"])
    return Month(folder, truth, recon_header, recon, usage_header, usage, prices, document["items"])


def _price_list(path: Path) -> bytes:
    if path.suffix == ".csv":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return archive.read(member)


def day_of(text: str) -> date:
    month, day, year = map(int, text.split("/"))
    return date(year, month, day)


def _cut(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_DOWN)


def findings_in(month: Month) -> Counter[tuple[str, str, str]]:
    """(code, invoice, row) of everything that is wrong in the written text, by the rules of the reference."""
    found: Counter[tuple[str, str, str]] = Counter()
    readable = month.recon_rows()
    usable = month.usage_rows()
    for number in (month.recon.keys() - readable.keys()) | (month.usage.keys() - usable.keys()):
        found["ROW_REJECTED", "", str(number)] += 1
    lines_by_invoice: dict[str, Decimal] = defaultdict(Decimal)
    for number, row in readable.items():
        lines_by_invoice[row["InvoiceNumber"]] += Decimal(row["Total"])
        for code in _line_codes(row, month.prices):
            found[code, row["InvoiceNumber"], str(number)] += 1
    documents = {str(item["id"]): item for item in month.invoices}
    for invoice in lines_by_invoice.keys() - documents.keys():
        found["INVOICE_NOT_FOUND", invoice, ""] += 1
    for invoice, item in documents.items():
        sign = -1 if item["documentType"] == "adjustment_note" else 1
        if invoice not in lines_by_invoice:
            found["INVOICE_WITHOUT_LINES", invoice, ""] += 1
        elif lines_by_invoice[invoice] != sign * Decimal(str(item["totalCharges"])):
            found["INVOICE_TOTAL_MISMATCH", invoice, ""] += 1
    return found


def _line_codes(row: Row, prices: list[Row]) -> Iterator[str]:
    price, quantity = Decimal(row["EffectiveUnitPrice"]), Decimal(row["BillableQuantity"])
    rate, subtotal = Decimal(row["PCToBCExchangeRate"]), Decimal(row["Subtotal"])
    rules = (
        _cut(_cut(price * quantity) * rate),
        _cut(price * rate) * quantity,
        (price * quantity * rate).quantize(CENT, ROUND_HALF_UP),
    )
    two_places = "." not in row["EffectiveUnitPrice"] or len(row["EffectiveUnitPrice"].split(".")[1]) <= 2
    tolerance = CENT + abs(quantity) * Decimal("0.005") if two_places else Decimal(0)
    if all(abs(subtotal - rule) > tolerance for rule in rules):
        yield "SUBTOTAL_MISMATCH"
    if Decimal(row["Total"]) != subtotal + Decimal(row["TaxTotal"]):
        yield "TOTAL_MISMATCH"
    if "commitment" in row["TermAndBillingCycle"] and "trial" not in row["TermAndBillingCycle"]:
        yield from _price_codes(row, prices)


def _price_codes(row: Row, prices: list[Row]) -> Iterator[str]:
    if row["ChargeType"] == "customerCredit":
        return
    term, months = next(value for text, value in TERMS.items() if row["TermAndBillingCycle"].startswith(text))
    cycles = months // PLAN_MONTHS[row["BillingFrequency"]]
    sold_in = (term, row["BillingFrequency"], row["CustomerCountry"], row["PricingCurrency"])
    listed = [
        p for p in prices
        if (p["ProductId"], p["SkuId"].zfill(4)) == (row["ProductId"], row["SkuId"])
        and (p["TermDuration"], p["BillingPlan"], p["Market"], p["Currency"]) == sold_in
    ]  # fmt: skip
    if not listed:
        yield "PRICE_NOT_FOUND"
        return
    instant = f"{day_of(row['SubscriptionStartDate']).isoformat()}T00:00:00.0000000Z"
    covering = [p for p in listed if p["EffectiveStartDate"] <= instant <= p["EffectiveEndDate"]]
    if not covering:
        yield "PRICE_NOT_EFFECTIVE"
        return
    by_segment = {p["Segment"]: p for p in sorted(covering, key=lambda p: p["EffectiveEndDate"], reverse=True)}
    unit_price = Decimal(row["UnitPrice"])
    matching = [p for p in by_segment.values() if Decimal(p["UnitPrice"]) / cycles == unit_price]
    if len(matching) != 1:
        yield "UNIT_PRICE_MISMATCH"
    applied = matching[0] if matching else next(iter(by_segment.values()))
    erp, paid = Decimal(applied["ERP Price"]) / cycles, _full_cycle_price(row)
    if paid > erp:
        yield "ABOVE_ERP"
    elif (erp - paid) / erp < Decimal("0.05"):
        yield "MARGIN_BELOW_FLOOR"


def _full_cycle_price(row: Row) -> Decimal:
    """The effective price; for a prorated line the list price, once the proration is seen to be one by days."""
    paid, unit_price = Decimal(row["EffectiveUnitPrice"]), Decimal(row["UnitPrice"])
    days = (day_of(row["ChargeEndDate"]) - day_of(row["ChargeStartDate"])).days + 1
    ends_whole = (day_of(row["ChargeEndDate"]) + timedelta(days=1)).day
    is_event = row["ChargeType"] not in ("new", "renew", "cycleCharge") and paid != unit_price
    is_stub = row["ChargeType"] == "new" and day_of(row["ChargeStartDate"]).day != ends_whole
    if not (is_event or is_stub):
        return paid
    if row["ChargeType"] == "changeBillingPlan":
        shares = [Decimal(months) / 12 for months in range(1, 12)]
    else:
        shares = [Decimal(days) / cycle_days for cycle_days in (28, 29, 30, 31, 365, 366)]
    assert any(abs(abs(paid) - unit_price * share) < CENT for share in shares), row
    return unit_price
