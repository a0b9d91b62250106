"""Whom HaloPSA bills: which tenants no client is known for, and which invoices are one client's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import pyarrow as pa

from transforms.findings import Finding
from transforms.grouping import distinct_cases

#: A customer's id and name, by the id in lower case.
Customers = dict[str, tuple[str, str]]


def customers_of(lines: pa.Table) -> Customers:
    """The customers that lines name; of several spellings the last in the order of texts."""
    _, cases = distinct_cases(lines, ("customer_id", "customer_name"))
    named = [(case["customer_id"] or "", case["customer_name"] or "") for case in cases]
    return merged_customers({customer_id.lower(): (customer_id, name)} for customer_id, name in named)


def merged_customers(parts: Iterable[Customers]) -> Customers:
    """The customers of several parts."""
    merged: Customers = {}
    for part in parts:
        for tenant, (customer_id, name) in part.items():
            known = merged.get(tenant, ("", ""))
            merged[tenant] = (max(known[0], customer_id), max(known[1], name))
    return merged


def check_mapping(customers: Customers, mapped: frozenset[str]) -> list[Finding]:
    """CUSTOMER_UNMAPPED for each customer with lines whose tenant no HaloPSA client is known for.

    Only where a mapping is kept at all: without one nothing is billed by client, and every customer would be named.

    Args:
        customers: those that the period's lines name.
        mapped: tenants (customer ids, in lower case) that a HaloPSA client is known for.
    """
    if not mapped:
        return []
    unmapped = [known for tenant, known in customers.items() if tenant not in mapped]
    message = "No HaloPSA client is known for the tenant: add it with `csp-billing customers import`."
    return [
        Finding("CUSTOMER_UNMAPPED", message, customer_id=customer_id, customer_name=name)
        for customer_id, name in sorted(unmapped)
    ]


def clients_of_invoices(charged: pa.Table, clients: Mapping[str, int]) -> dict[str, int]:
    """The client of each invoice whose lines are all of one known client; the others are several clients'.

    Args:
        charged: `invoice_number` and `customer_id` of all reconciliation and usage lines, each pair once.
        clients: HaloPSA's client by tenant (customer id in lower case).
    """
    found: dict[str, set[int | None]] = defaultdict(set)
    for row in charged.to_pylist():
        if row["invoice_number"]:
            found[row["invoice_number"]].add(clients.get((row["customer_id"] or "").lower()))
    single = {invoice: next(iter(own)) for invoice, own in found.items() if len(own) == 1}
    return {invoice: client for invoice, client in single.items() if client is not None}
