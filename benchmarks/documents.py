"""What every generated month has: the headers, the invoice documents, and what was planted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from examples import writers

RECON_HEADER = ",".join(writers.RECON_HEADER) + "\r\n"
USAGE_HEADER = ",".join(writers.USAGE_HEADER) + "\r\n"
LICENCE_HEADER = ",".join(writers.PRICE_HEADER) + "\n"
#: With the older name of the meter's column.
AZURE_HEADER = (
    "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,Market,Currency,UnitPrice,"
    "PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,MeterId,MeterType,Tags\n"
)
BOM = b"\xef\xbb\xbf"
#: The last day of prices that are still valid.
OPEN = "9999-11-30T23:59:59.0000000Z"


@dataclass
class Planted:
    """Discrepancies on purpose: findings by code, and usage lines that are not price × quantity × rate."""

    findings: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0

    def write(self, folder: Path) -> None:
        """Keep them beside the folder, because a month's folder holds exports alone."""
        content = {"findings": dict(sorted(self.findings.items())), "usage_unexplained": self.unexplained}
        folder.with_name(f"{folder.name}.planted.json").write_text(json.dumps(content) + "\n")


def planted_rows(lines: int, kinds: int, place: int, period: int) -> list[tuple[int, int]]:
    """Rows, spread evenly, with the discrepancy each is for: one of 5,000 lines, two of each kind at least.

    Args:
        lines: how many lines there are.
        kinds: how many discrepancies there are.
        place: at which place in a block of lines they may be planted.
        period: lines in such a block.
    """
    count = max(2 * kinds, lines // 5_000)
    rows = sorted({(lines * step // count) // period * period + place for step in range(count)})
    return [(row, number % kinds) for number, row in enumerate(row for row in rows if row < lines)]


def cents(units: int) -> str:
    """Hundredths as a number without zeros at the end."""
    sign, size = "-" if units < 0 else "", abs(units)
    return f"{sign}{size // 100}.{size % 100:02d}".rstrip("0").rstrip(".")


def write_documents(path: Path, documents: Iterable[tuple[str, str, str, int]]) -> None:
    """Write the invoices of the month as the v1 API answers them.

    Args:
        path: the file.
        documents: number, currency, its symbol, and total in hundredths of each.
    """
    items = [_item(*document) for document in documents]
    answer = {"totalCount": len(items), "items": items, "attributes": {"objectType": "Collection"}}
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    path.write_text(re.sub(r'"number:(-?[0-9.]+)"', r"\1", text) + "\n", encoding="utf-8")


def _item(number: str, currency: str, symbol: str, total: int) -> dict[str, object]:
    uri = f"/invoices/OneTime-{number}"
    return {
        "id": number,
        "invoiceDate": "2026-11-08T01:22:47.6038950Z",
        "billingPeriodStartDate": "2026-10-01T00:00:00.0000000Z",
        "billingPeriodEndDate": "2026-10-31T23:59:59.0000000Z",
        "totalCharges": f"number:{cents(total)}",
        "paidAmount": 0,
        "currencyCode": currency,
        "currencySymbol": symbol,
        "documentType": "invoice",
        "invoiceType": "OneTime",
        "links": {"self": {"uri": uri, "method": "GET", "headers": []}},
        "attributes": {"objectType": "Invoice"},
    }
