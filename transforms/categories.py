"""What sort of charge a reconciliation line is, and which lines have a list price to be checked against.

The order of the questions is Microsoft's (reference §2.6); the texts are those of the documented examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.integers import Mask
from transforms.texts import is_one_of, lowered, values_and_codes, where

#: Publishers of Microsoft's own products, in lower case.
FIRST_PARTY = ("microsoft", "microsoft corporation")
#: Documented charge types (reference §2.4), with those of the older API.
_CHARGE_TYPES = (
    "new", "renew", "cyclecharge", "addquantity", "removequantity", "movequantity", "cancelimmediate", "cancel",
    "convert", "changebillingplan", "customercredit", "extendterm", "purchase", "refund",
)  # fmt: skip
#: What Azure-plan charges are told by: columns of few different values, and no price.
AZURE_PLAN_COLUMNS = (
    "publisher_name", "product_id", "product_name", "sku_name", "product_category", "term_and_billing_cycle",
    "subscription_description", "charge_type", "product_qualifiers", "meter_description",
)  # fmt: skip
_COMMITMENT = r"(one|three|five|1|3|5)[ -]*(3|5)?[ -]*(month|year)s?[ -]*commitment"
_LICENCE_PRODUCT = "CFQ7TTC0"
_AZURE_PRODUCT = "DZH318Z0"


@dataclass(frozen=True)
class Categories:
    """One mask a category; a line is in at most one of `licence` and `azure_plan`.

    Attributes:
        first_party: published by Microsoft.
        licence: a first-party licence subscription, priced by the licence price list.
        azure_plan: a pay-as-you-go charge, whose detail is the daily usage.
        credit: a customer credit.
        unpriced: free, trial and credit lines, which no price list speaks of.
    """

    first_party: Mask
    licence: Mask
    azure_plan: Mask
    credit: Mask
    unpriced: Mask


def categorise(recon: pa.Table) -> Categories:
    """Sort reconciliation lines (columns of the invoice reconciliation table) into categories."""
    texts = {name: lowered(recon, name) for name in (
        "publisher_name", "product_name", "sku_name", "product_category", "term_and_billing_cycle",
        "subscription_description", "charge_type", "product_qualifiers",
    )}  # fmt: skip
    first_party = is_one_of(texts["publisher_name"], FIRST_PARTY)
    commitment_discount = _contains(texts, "reservation", "product_category", "product_name", "sku_name") | _contains(
        texts, "savings plan", "product_category", "product_name", "sku_name"
    )
    term = texts["term_and_billing_cycle"]
    product_id = recon.column("product_id")
    licence_id = where(product_id, lambda ids: pc.starts_with(pc.utf8_upper(ids), _LICENCE_PRODUCT))
    committed = where(term, lambda terms: pc.match_substring_regex(terms, _COMMITMENT))
    licence = first_party & ~commitment_discount & (licence_id | committed)
    described = is_one_of(texts["subscription_description"], ["azure plan"])
    metered = where(recon.column("meter_description"), lambda names: pc.not_equal(names, ""))
    # The basic attribute set has no meters.
    azure_id = where(product_id, lambda ids: pc.starts_with(pc.utf8_upper(ids), _AZURE_PRODUCT))
    sold_by_use = azure_id & is_one_of(term, [""])
    of_azure = sold_by_use & _contains(texts, "azure", "product_category")
    azure_plan = ~licence & ~commitment_discount & (described | metered | of_azure)
    credit = is_one_of(texts["charge_type"], ["customercredit"])
    trial = _contains(texts, "trial", "product_qualifiers", "term_and_billing_cycle")
    effective = pc.fill_null(pc.sign(recon.column("effective_unit_price")), 0)
    free = true_mask(pc.equal(pc.sign(recon.column("unit_price")), 0)) & true_mask(pc.equal(effective, 0))
    return Categories(first_party, licence, azure_plan, credit, credit | trial | free)


def metered_usage(usage: pa.Table) -> Mask:
    """Daily usage of Microsoft's own meters that is charged for by the meter.

    Not what a reservation or a savings plan covers, what an Azure credit pays for, or what is free of charge
    (columns of the daily usage table; reference §2.5).
    """
    first_party = is_one_of(lowered(usage, "publisher_name"), FIRST_PARTY)
    covered = _filled(usage, "benefit_id") | _filled(usage, "benefit_order_id")
    credited = where(lowered(usage, "credit_type"), lambda types: pc.match_substring(types, "azure credit"))
    priced, effectively_priced = (
        true_mask(pc.not_equal(pc.sign(usage.column(name)), 0)) for name in ("unit_price", "effective_unit_price")
    )
    return first_party & ~covered & ~credited & (priced | effectively_priced)


def unknown_charge_types(recon: pa.Table) -> dict[str, int]:
    """How many lines have a charge type that Microsoft does not document, by charge type as delivered."""
    values, codes = values_and_codes(recon.column("charge_type"))
    counts = np.bincount(codes, minlength=len(values)).tolist()
    named = zip(values.to_pylist(), counts, strict=False)
    return {name: count for name, count in named if name and name.strip().lower() not in _CHARGE_TYPES and count}


def true_mask(array: Any) -> Mask:
    """Where a boolean column is true; null is not."""
    return np.asarray(pc.fill_null(array, False), dtype=np.bool_)


def _contains(texts: dict[str, pa.Array], part: str, *names: str) -> Mask:
    found: Mask = np.zeros(len(texts[names[0]]), dtype=np.bool_)
    for name in names:
        found |= where(texts[name], lambda values: pc.match_substring(values, part))
    return found


def _filled(table: pa.Table, name: str) -> Mask:
    return where(table.column(name), lambda values: pc.not_equal(pc.utf8_trim_whitespace(values), ""))
