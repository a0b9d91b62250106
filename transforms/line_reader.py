"""Findings about single lines: which rows, and the context that each finding carries."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.findings import Finding
from transforms.integers import Mask

#: What every finding about a line says of it.
CONTEXT = (
    "line_id", "invoice_number", "customer_id", "customer_name", "subscription_id", "product_id", "sku_id",
    "source_file", "source_row",
)  # fmt: skip


def rows_of(mask: Mask) -> list[int]:
    """Positions of the rows that a mask holds."""
    return [int(row) for row in np.flatnonzero(mask)]


class LineReader:
    """Reads the context of single rows, for the few lines that have a finding."""

    def __init__(self, lines: pa.Table, currency: str = "currency") -> None:
        """Read from reconciliation or usage lines; `currency` is their column with the billing currency."""
        self._lines = lines.select([*CONTEXT, currency, "pricing_currency"])
        self._currency = currency

    def finding(
        self,
        row: int,
        code: str,
        message: str,
        *,
        expected: Decimal | None = None,
        actual: Decimal | None = None,
        priced: bool = False,
        counted: bool = False,
        severity: str | None = None,
    ) -> Finding:
        """A finding about one line.

        Its figures are in the billing currency, with `priced` in the pricing currency, and with `counted` in none:
        they are seats or rates.
        """
        currency = self._value("pricing_currency", row) if priced else None
        if not counted:
            currency = currency or self._value(self._currency, row)
        return Finding(
            code,
            message,
            expected_amount=expected,
            actual_amount=actual,
            currency=currency,
            severity=severity,
            **{name: self._value(name, row) for name in CONTEXT},
        )

    def _value(self, name: str, row: int) -> Any:
        return self._lines.column(name)[row].as_py()
