"""What every contender answers, so that they can be compared: one JSON document on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

#: The findings that all of them look for.
CODES = (
    "SUBTOTAL_MISMATCH", "TOTAL_MISMATCH", "PRICE_NOT_FOUND", "PRICE_NOT_EFFECTIVE", "UNIT_PRICE_MISMATCH", "ABOVE_ERP",
    "MARGIN_BELOW_FLOOR", "PEC_MISSING", "EXCHANGE_RATE_MISMATCH", "CURRENCY_MISMATCH", "INVOICE_TOTAL_MISMATCH",
    "USAGE_MISMATCH",
)  # fmt: skip


def answer(
    lines: int, findings: Mapping[str, int], unexplained: int | None, sums: Mapping[str, tuple[Decimal, Decimal]]
) -> str:
    """The answer as JSON.

    Args:
        lines: reconciliation and usage lines together.
        findings: how many there are of each code.
        unexplained: usage lines that are not price × quantity × rate; None where that is not told.
        sums: by invoice the total of its reconciliation lines, and of its usage.
    """
    document: dict[str, Any] = {
        "lines": lines,
        "findings": {code: findings[code] for code in sorted(findings) if findings[code]},
        "usage_unexplained": unexplained,
        "sums": {invoice: [_digits(amount) for amount in sums[invoice]] for invoice in sorted(sums)},
    }
    return json.dumps(document)


def _digits(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
