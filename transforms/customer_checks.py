"""Whom HaloPSA bills: which tenants no client is known for, and which invoices are one client's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa

from transforms.findings import Finding


def check_mapping(recon: pa.Table, usage: pa.Table, mapped: frozenset[str]) -> list[Finding]:
    """CUSTOMER_UNMAPPED for each customer with lines whose tenant no HaloPSA client is known for.

    Only where a mapping is kept at all: without one nothing is billed by client, and every customer would be named.

    Args:
        recon: reconciliation lines.
        usage: usage lines.
        mapped: tenants (customer ids, in lower case) that a HaloPSA client is known for.
    """
    if not mapped:
        return []
    unmapped: dict[str, tuple[str, str]] = {}
    for table in (recon, usage):
        customers = table.select(["customer_id", "customer_name"]).group_by(["customer_id", "customer_name"])
        for row in customers.aggregate([]).to_pylist():
            customer_id, name = row["customer_id"] or "", row["customer_name"] or ""
            if customer_id.lower() not in mapped:
                known = unmapped.get(customer_id.lower(), ("", ""))
                unmapped[customer_id.lower()] = (max(known[0], customer_id), max(known[1], name))
    message = "No HaloPSA client is known for the tenant: add it with `csp-billing customers import`."
    return [
        Finding("CUSTOMER_UNMAPPED", message, customer_id=customer_id, customer_name=name)
        for customer_id, name in sorted(unmapped.values())
    ]


def clients_of_invoices(recon: pa.Table, usage: pa.Table, clients: Mapping[str, int]) -> dict[str, int]:
    """The client of each invoice whose lines are all of one known client; the others are several clients'.

    Args:
        recon: reconciliation lines.
        usage: usage lines.
        clients: HaloPSA's client by tenant (customer id in lower case).
    """
    found: dict[str, set[int | None]] = defaultdict(set)
    for table in (recon, usage):
        pairs = table.group_by(["invoice_number", "customer_id"]).aggregate([])
        for row in pairs.to_pylist():
            if row["invoice_number"]:
                found[row["invoice_number"]].add(clients.get((row["customer_id"] or "").lower()))
    single = {invoice: next(iter(own)) for invoice, own in found.items() if len(own) == 1}
    return {invoice: client for invoice, client in single.items() if client is not None}
