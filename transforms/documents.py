"""Invoice documents and what corrects them: credit notes, void notes, and the invoices that these leave void.

Microsoft's examples have the document types `adjustment_note` and `void_note`, its prose has "Credit Note"; a note
names the document that it corrects in `amendsOf`, and an invoice that is billed again is voided (reference §1d, §2.8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: Spellings of document types and states, in lower case without spaces, hyphens and underscores.
_CREDIT_NOTES = ("adjustmentnote", "creditnote")
_VOID = ("voidnote", "void", "voided", "voidinvoice", "voidedinvoice")


def is_credit_note(document: Mapping[str, Any]) -> bool:
    """Whether an invoice document takes back a part of another one."""
    return _folded(document["document_type"]) in _CREDIT_NOTES


def is_void_note(document: Mapping[str, Any]) -> bool:
    """Whether an invoice document says that it, or the one it amends, is void."""
    return _folded(document["document_type"]) in _VOID


def amended_invoices(invoices: pa.Table) -> dict[str, str]:
    """The invoice that each note corrects, where both are among the documents; of a note on a note the last one."""
    documents = {document["invoice_number"]: document for document in _documents(invoices)}
    amends = {
        number: document["amends_of"]
        for number, document in documents.items()
        if document["amends_of"] in documents and (is_credit_note(document) or is_void_note(document))
    }
    return {number: _root(number, amends) for number in amends}


def voided_invoices(invoices: pa.Table) -> frozenset[str]:
    """Numbers of the documents that are void.

    By their own type or state, by a void note for them, or because they are notes on a document that is void.
    """
    voided: set[str] = set()
    notes: list[tuple[str, str]] = []
    for document in _documents(invoices):
        number, amends = document["invoice_number"], document["amends_of"]
        if is_void_note(document) or _folded(document["state"]) in _VOID:
            voided.add(number)
        if amends and is_void_note(document):
            voided.add(amends)
        elif amends and is_credit_note(document):
            notes.append((number, amends))
    while more := {number for number, amends in notes if amends in voided} - voided:
        voided |= more
    return frozenset(voided)


def without_voided(lines: pa.Table, voided: frozenset[str]) -> pa.Table:
    """The lines whose invoice is not void; the rebill charges them again."""
    if not voided:
        return lines
    return lines.filter(pc.invert(pc.is_in(lines.column("invoice_number"), pa.array(sorted(voided), pa.string()))))


def _documents(invoices: pa.Table) -> list[dict[str, Any]]:
    names = ["invoice_number", "document_type", "state", "amends_of"]
    documents: list[dict[str, Any]] = invoices.select(names).to_pylist()
    return documents


def _root(number: str, amends: Mapping[str, str]) -> str:
    seen = {number}
    while (number := amends.get(number, number)) not in seen:
        seen.add(number)
    return number


def _folded(text: str | None) -> str:
    return re.sub(r"[\s_-]+", "", text or "").lower()
