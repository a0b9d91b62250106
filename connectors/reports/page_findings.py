"""The findings as the page's script takes them: columns of distinct texts, and which of them each finding has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from connectors.reports.amounts import amount_text
from connectors.reports.contents import ReportContents

#: Findings that the page holds, the blocking ones first; the workbook has all of them.
HELD_FINDINGS = 50_000

_TEXTS = ("severity", "code", "customer_id", "invoice_number", "subscription_id", "product_id", "sku_id", "sku_name",
          "line_id", "source_file", "message", "finding_id", "waived_by", "waiver_reason")  # fmt: skip
_AMOUNTS = {"expected_amount": "currency", "actual_amount": "currency", "difference_amount": "currency",
            "leak_amount": "leak_currency", "line_amount": "line_currency"}  # fmt: skip


def findings_document(contents: ReportContents, labels: dict[str | None, str]) -> dict[str, Any]:
    """The findings, blocking ones first, by column.

    Args:
        contents: the run.
        labels: what a customer is called, by customer id.

    Returns:
        `count`, and `columns` by name, those of REPORT_FINDINGS, `customer`, what it is called, and `standing`, the
        severity or that a waiver is in force: `values`, the distinct texts, and `codes`, for each finding the place of
        its text among them, -1 for none. Where `ordered` is true the values stand in their order, as amounts do: by
        currency, then exactly by size.
    """
    rows = contents.findings.slice(0, HELD_FINDINGS)
    given = {name: rows[name].to_pylist() for name in rows.column_names}
    columns = {name: _texts(given[name]) for name in _TEXTS}
    columns["customer"] = _texts([labels.get(customer) for customer in given["customer_id"]])
    columns["currency"] = _texts(given["currency"])
    columns["standing"] = _texts(
        "waived" if waived_by else severity
        for waived_by, severity in zip(given["waived_by"], given["severity"], strict=True)
    )
    columns["waived_until"] = _texts(None if day is None else str(day) for day in given["waived_until"])
    columns["source_row"] = _texts(None if row is None else str(row) for row in given["source_row"])
    for name, currency in _AMOUNTS.items():
        columns[name] = _amounts(given[name], given[currency])
    return {"count": rows.num_rows, "columns": columns}


def customer_labels(contents: ReportContents) -> dict[str | None, str]:
    """What each customer of a report is called, by customer id: the name, and the id where that is not clear."""
    names: dict[str | None, str] = {}
    for table in (contents.customers, contents.margins, contents.changes):
        pairs = zip(table["customer_id"].to_pylist(), table["customer_name"].to_pylist(), strict=True)
        names.update((customer, names.get(customer) or name or customer) for customer, name in pairs if customer)
    short, long = (_told_apart(names, length) for length in (8, None))
    return short if len(set(short.values())) == len(short) else long


def _told_apart(names: dict[str | None, str], length: int | None) -> dict[str | None, str]:
    """Names, with the beginning of the id where several customers have the same."""
    used = Counter(names.values())
    return {
        customer: name if used[name] == 1 else f"{name} ({(customer or '')[:length]})"
        for customer, name in names.items()
    }


def _texts(values: Iterable[str | None]) -> dict[str, Any]:
    places: dict[str, int] = {}
    codes = [-1 if not value else places.setdefault(value, len(places)) for value in values]
    return {"values": list(places), "codes": codes}


def _amounts(amounts: Sequence[Decimal | None], currencies: Sequence[str | None]) -> dict[str, Any]:
    pairs = [None if amount is None else (currency or "", amount)
             for amount, currency in zip(amounts, currencies, strict=True)]  # fmt: skip
    places = {pair: place for place, pair in enumerate(sorted({pair for pair in pairs if pair}))}
    return {
        "values": [_with_currency(amount, currency) for currency, amount in places],
        "codes": [-1 if pair is None else places[pair] for pair in pairs],
        "ordered": True,
    }


def _with_currency(amount: Decimal, currency: str) -> str:
    return f"{amount_text(amount, currency)} {currency}".rstrip()
