"""Which export a file is, told from its column names alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.columns import Column
from transforms.headers import fold, match_headers
from transforms.tables import EXPORT_TABLES

UNKNOWN = "unknown"

#: What tells the kinds apart; at least two of a kind's marks and half of its required columns make a file one of it.
_MARKS = {
    "invoice_recon": ("TermAndBillingCycle", "BillableQuantity", "TaxTotal", "Subtotal", "AlternateId"),
    "daily_usage": ("UsageDate", "BillingPreTaxTotal", "PricingPreTaxTotal", "MeterId", "EntitlementId"),
    "price_list": ("EffectiveStartDate", "EffectiveEndDate", "SkuTitle", "ProductTitle", "Market"),
    "invoices": ("InvoiceDate", "TotalCharges", "PaidAmount", "CurrencyCode", "DocumentType"),
}

_LEGACY = (
    "legacy {} reconciliation (invoices D…), not new commerce: it is not read; take it out of the exports and "
    "deliver the new-commerce reconciliation (invoices G…)"
)


@dataclass(frozen=True)
class _Other:
    """A known file that is no export of ours: all columns of one of the sets; refused when it holds charges."""

    marks: tuple[frozenset[str], ...]
    what: str
    is_refused: bool = False


def _other(what: str, *marks: str, is_refused: bool = False) -> _Other:
    return _Other(tuple(frozenset(fold(name) for name in mark.split(",")) for mark in marks), what, is_refused)


_OTHERS = (
    _other(
        _LEGACY.format("licence-based"), "DurableOfferId,SubscriptionId", "SyndicationPartnerSubscriptionNumber",
        is_refused=True,
    ),
    _other(
        _LEGACY.format("usage-based"), "PretaxCharges,PostTaxTotal", "ResourceGuid,OverageQuantity",
        "PartnerBillableAccountId", is_refused=True,
    ),
    _other(
        "billed usage aggregated reconciliation: it repeats charges of the daily usage and is not read",
        "PriceBenefits,PartnerPrice",
    ),
    _other(
        "the manifest of a Graph export, not its data: deliver the files that its blobs name", "RootDirectory,Blobs"
    ),
    _other(
        "the state of a Graph export operation, not data: deliver the files of its manifest",
        "LastActionDateTime,Status",
    ),
    _other(
        "a summary of invoice balances, not invoices: deliver the answer of /v1/invoices",
        "BalanceAmount,LatestInvoiceDate", "BalanceAmount,AccountingDate",
    ),
    _other("a list of exchange rates: the exports carry the rates they used", "CurrencyCode,USDPerUnit"),
    _other("an offer matrix: it has no prices", "ProvisioningId,AssetOwnershipLimit"),
    _other("a list of Azure credit balances: the exports carry the credits they used", "CreditName,BalanceAmount"),
)  # fmt: skip


@dataclass(frozen=True)
class Recognition:
    """What column names say.

    Attributes:
        kind: a kind of `EXPORT_TABLES`, or `unknown`.
        missing: required columns that an otherwise recognised export lacks.
        problem: what the file is instead, in a sentence.
        is_refused: whether the file holds charges that cannot be read, so that leaving it out would lose them.
    """

    kind: str
    missing: tuple[Column, ...] = ()
    problem: str | None = None
    is_refused: bool = False


def recognise(names: Sequence[str]) -> Recognition:
    """Tell the kind of export from delivered column names."""
    folded = {fold(name) for name in names}
    for other in _OTHERS:
        if any(marks <= folded for marks in other.marks):
            return Recognition(UNKNOWN, problem=other.what, is_refused=other.is_refused)
    best = Recognition(UNKNOWN)
    best_share = 0.5
    for kind, marks in _MARKS.items():
        if sum(fold(mark) in folded for mark in marks) < 2:
            continue
        missing = match_headers(names, EXPORT_TABLES[kind]).missing
        required = sum(column.required for column in EXPORT_TABLES[kind].columns)
        share = 1 - len(missing) / required
        if share >= best_share:
            best, best_share = Recognition(kind, missing), share
    return best


def missing_sentence(kind: str, missing: Sequence[Column]) -> str:
    """Why an export that lacks required columns is refused."""
    names = ", ".join(column.sources[0] for column in missing)
    plural = "s" if len(missing) > 1 else ""
    return f"this {kind} lacks the required column{plural} {names}: export it again with all attributes"
