"""Partner Center's invoice documents, and which of them are of a billing period.

`GET /v1/invoices` lists all of them, page by page; `GET /v1/invoices/{id}` tells one with its billing period. The
period's rule is the contract's, as `transforms.periods` has it for rows that are read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connectors.partner_center.errors import PartnerCenterError
from connectors.partner_center.http import Http, Token, failed, json_object
from transforms.periods import month_before

_PAGE = 200
_NEW_COMMERCE = re.compile(r"G\d{6,}")
_MONTH = re.compile(r"((?:19|20)\d\d-(?:0[1-9]|1[0-2]))-\d\d")
#: Addresses of documents are short-lived, and may be signed in their query.
_SIGNED = re.compile(rb'("(?:pdf|taxReceiptPdf)DownloadLink"\s*:\s*"[^"?]*)\?[^"]*"', re.I)
_LINKS = re.compile(rb'"(?:pdf|taxReceiptPdf)DownloadLink"\s*:\s*"[^"]*"', re.I)
_MENDS = {
    401: "the invoices want application and user: set CSP_BILLING_PARTNER_REFRESH_TOKEN (docs/partner-center.md)",
    403: "the user behind CSP_BILLING_PARTNER_REFRESH_TOKEN needs the role Admin Agent or Billing Admin",
}


@dataclass(frozen=True)
class Document:
    """An invoice document as it was answered, its amendments within it.

    Attributes:
        number: its number.
        currency: what it bills in.
        body: the answer, without the signatures of its links.
    """

    number: str
    currency: str
    body: bytes

    @property
    def identity(self) -> str:
        """What tells it from other versions of it; links are new with each answer."""
        return hashlib.sha256(_LINKS.sub(b"", self.body)).hexdigest()

    @property
    def numbers(self) -> list[str]:
        """Its number and those of its amendments: each has lines of its own."""
        numbers = [str(one["id"]) for one in _unfolded(json.loads(self.body))]
        return [number for number in dict.fromkeys(numbers) if _NEW_COMMERCE.fullmatch(number)]


class Invoices:
    """The invoices of a partner.

    Args:
        http: sends the requests.
        base_url: of Partner Center's API.
        token: for it.
    """

    def __init__(self, http: Http, base_url: str, token: Token) -> None:
        self._http = http
        self._base = f"{base_url.rstrip('/')}/v1/invoices"
        self._token = token

    def probe(self) -> int:
        """How many invoices there are; raises PartnerCenterError where they cannot be read."""
        return int(self._page(0, 1).get("totalCount") or 0)

    def listed(self) -> list[Mapping[str, Any]]:
        """Every document of new commerce in the list, in its order."""
        found: dict[str, Mapping[str, Any]] = {}
        offset = 0
        while True:
            page = self._page(offset, _PAGE)
            items = page.get("items")
            if not isinstance(items, list):
                raise PartnerCenterError("the list of invoices was answered without items")
            before = len(found)
            found.update((str(item.get("id")), item) for item in items if isinstance(item, Mapping))
            offset += len(items)
            if not items or offset >= int(page.get("totalCount") or 0):
                break
            if len(found) == before:
                raise PartnerCenterError("the list of invoices repeats itself; repeat the command later")
        return [one for number, one in found.items() if _NEW_COMMERCE.fullmatch(number)]

    def of_period(self, period: str, listed: Sequence[Mapping[str, Any]]) -> list[Document]:
        """The documents of a period: of its invoices, and of the credit notes that amend these."""
        documents: dict[str, Document] = {}
        periods: dict[str, str] = {}
        for item in listed:
            number = str(item["id"])
            periods[number] = told = period_of(item)
            # The list does not always tell the billing period; the date alone may be of a month later.
            is_near = told in (period, month_before(period), _after(period))
            if is_near and _month(item, "billingPeriodStartDate") is None:
                documents[number] = self.document(number)
                periods[number] = period_of(json.loads(documents[number].body))
        amended = {str(one["id"]): str(one["amendsOf"]) for item in listed for one in _unfolded(item)}
        chosen = [number for number in periods if periods[_root(number, amended, periods)] == period]
        return [documents.get(number) or self.document(number) for number in sorted(chosen)]

    def document(self, number: str) -> Document:
        """One document."""
        what = f"invoice {number}"
        answer, _ = self._http.send("GET", f"{self._base}/{quote(number)}", what, token=self._token)
        if answer.status_code != 200:
            raise failed(what, answer, _MENDS.get(answer.status_code, ""))
        invoice = json_object(answer, what)
        if str(invoice.get("id")) != number:
            raise PartnerCenterError(f"{what} was answered by something else")
        return Document(number, str(invoice.get("currencyCode") or ""), _SIGNED.sub(rb'\1"', answer.content))

    def _page(self, offset: int, size: int) -> Mapping[str, Any]:
        what = "the list of invoices"
        answer, _ = self._http.send(
            "GET", self._base, what, token=self._token, params={"size": str(size), "offset": str(offset)}
        )
        if answer.status_code != 200:
            raise failed(what, answer, _MENDS.get(answer.status_code, ""))
        return json_object(answer, what)


def period_of(invoice: Mapping[str, Any]) -> str:
    """The period of a document by itself: the month of its billing period, else the month before its date."""
    issued = _month(invoice, "invoiceDate")
    return _month(invoice, "billingPeriodStartDate") or (month_before(issued) if issued else "")


def _unfolded(invoice: Any, amends: str = "") -> Iterator[Mapping[str, Any]]:
    """A document and its amendments, each with what it amends."""
    if not isinstance(invoice, Mapping) or not invoice.get("id"):
        return
    yield {**invoice, "amendsOf": invoice.get("amendsOf") or amends}
    for amendment in invoice.get("amendments") or ():
        yield from _unfolded(amendment, str(invoice["id"]))


def _root(number: str, amended: Mapping[str, str], known: Mapping[str, str]) -> str:
    """What a document amends in the end, as far as that is known."""
    seen = {number}
    while (above := amended.get(number, "")) in known and above not in seen:
        seen.add(above)
        number = above
    return number


def _month(invoice: Mapping[str, Any], name: str) -> str | None:
    """The month of a date; None for no date, and for the year 1 that stands for none."""
    found = _MONTH.match(str(invoice.get(name) or ""))
    return found[1] if found else None


def _after(period: str) -> str:
    year, month = int(period[:4]), int(period[5:])
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"
