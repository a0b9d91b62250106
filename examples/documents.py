"""The invoice documents of a month and their numbers: one invoice per billing currency, and a credit note."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random

from examples.customers import MARKETS, UNITED_STATES, Market
from examples.dates import Span, add_months, seven_digits
from examples.lines import ReconLine
from examples.numbers import ZERO, plain


@dataclass(frozen=True)
class InvoiceNumbers:
    """The invoice numbers of a month; the last two are only used for planted discrepancies."""

    by_currency: dict[str, str]
    credit_note: str
    unknown: str
    without_lines: str

    def of(self, market: Market) -> str:
        """The invoice that a market's customers are billed on."""
        return self.by_currency[market.currency]


@dataclass(frozen=True)
class InvoiceDocument:
    """One document: an `invoice`, or an `adjustment_note` that amends one. Totals include tax and are positive."""

    number: str
    currency: str
    symbol: str
    total: Decimal
    document_type: str = "invoice"
    amends: str = ""


def invoice_numbers(random: Random, month: Span) -> InvoiceNumbers:
    """Numbers that rise from month to month."""
    months = month.start.year * 12 + month.start.month
    base = 127_000_000 + (months - 24_300) * 10_000 + random.randrange(9_000)
    numbers = [f"G{base + step:09d}" for step in (0, 17, 42, 61, 88, 95)]
    currencies = {market.currency: number for market, number in zip(MARKETS, numbers, strict=False)}
    return InvoiceNumbers(currencies, *numbers[len(MARKETS) :])


def invoice_documents(
    lines: Iterable[ReconLine], numbers: InvoiceNumbers, surplus: dict[str, Decimal]
) -> list[InvoiceDocument]:
    """The documents that the lines add up to.

    The credit note's lines are negative, its total positive, as in Microsoft's example. `surplus` is added to the
    totals of the invoices it names.
    """
    totals: dict[str, Decimal] = {}
    for line in lines:
        totals[line.invoice_number] = totals.get(line.invoice_number, ZERO) + line.total
    documents = [
        InvoiceDocument(number, market.currency, market.symbol, totals[number] + surplus.get(number, ZERO))
        for market in MARKETS
        if (number := numbers.of(market)) in totals
    ]
    note = InvoiceDocument(
        numbers.credit_note, UNITED_STATES.currency, UNITED_STATES.symbol, -totals[numbers.credit_note],
        "adjustment_note", numbers.of(UNITED_STATES),
    )  # fmt: skip
    return [*documents, note]


def as_json(documents: list[InvoiceDocument], month: Span) -> str:
    """The collection of invoices as the v1 API answers it; totals are JSON numbers with the decimal's own digits."""
    answer = {
        "totalCount": len(documents),
        "items": [_item(document, month) for document in documents],
        "links": {"self": {"uri": f"/invoices?size={len(documents)}&offset=0", "method": "GET", "headers": []}},
        "attributes": {"objectType": "Collection"},
    }
    return re.sub(r'"number:(-?[0-9.]+)"', r"\1", json.dumps(answer, indent=4, ensure_ascii=False)) + "\n"


def _item(document: InvoiceDocument, month: Span) -> dict[str, object]:
    issued = datetime.combine(add_months(month.start, 1) + timedelta(days=7), time(1, 22, 47, 603895))
    uri = f"/invoices/OneTime-{document.number}"
    item: dict[str, object] = {
        "id": document.number,
        "invoiceDate": seven_digits(issued),
        "billingPeriodStartDate": seven_digits(datetime.combine(month.start, time())),
        "billingPeriodEndDate": seven_digits(datetime.combine(month.end, time(23, 59, 59))),
        "totalCharges": f"number:{plain(document.total)}",
        "paidAmount": 0,
        "currencyCode": document.currency,
        "currencySymbol": document.symbol,
        "pdfDownloadLink": f"/invoices/{document.number}/documents/statement",
        "taxReceipts": [
            {
                "id": document.number[1:],
                "taxReceiptPdfDownloadLink": f"/invoices/{document.number}/receipts/{document.number[1:]}"
                "/documents/statement",
            }
        ],
        "invoiceDetails": [
            _detail(uri, "billing_line_items", "one_time", "OneTime/BillingLineItems"),
            _detail(uri, "usage_line_items", "marketplace", "Marketplace/UsageLineItems"),
        ],
        "documentType": document.document_type,
        "invoiceType": "OneTime",
        "links": {"self": {"uri": uri, "method": "GET", "headers": []}},
        "attributes": {"objectType": "Invoice"},
    }
    if document.amends:
        item["amendsOf"] = document.amends
    return item


def _detail(uri: str, line_type: str, provider: str, path: str) -> dict[str, object]:
    return {
        "invoiceLineItemType": line_type,
        "billingProvider": provider,
        "links": {"self": {"uri": f"{uri}/lineitems/{path}", "method": "GET", "headers": []}},
        "attributes": {"objectType": "InvoiceDetail"},
    }
