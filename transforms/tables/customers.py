"""Whom HaloPSA bills: the mapping of Microsoft's tenants to HaloPSA's clients."""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

CUSTOMER_CLIENTS = Table(
    "customer_clients",
    "Which HaloPSA client a customer's tenant belongs to; several tenants may belong to one client.",
    (
        Column(
            "customer_id", Kind.TEXT, "Customer's tenant, in lower case.", required=True, nullable=False,
            sources=("customer_id", "CustomerId", "tenant_id", "TenantId"),
        ),
        Column(
            "client_id", Kind.INTEGER, "HaloPSA's client.", required=True, nullable=False,
            sources=("client_id", "ClientId"),
        ),
        Column(
            "client_name", Kind.TEXT, "The client's name, for people.", sources=("client_name", "ClientName"),
        ),
        Column("imported_at", Kind.TIMESTAMP, "When the row was imported, UTC.", nullable=False),
    ),
    key=("customer_id",),
)  # fmt: skip
