"""Every table of the warehouse, declared once.

The partner exports as they were delivered are in `invoice_recon`, `daily_usage` and `sources`; `results` holds what a
run concludes from them, `approvals` what people decided about it, `loading` what was posted to HaloPSA, `customers`
whom it bills there, `commerce` the orders of its shops, `views` what analysts read. `ALL_TABLES` is the order in which
they are created.
"""

from __future__ import annotations

from transforms.columns import Table
from transforms.tables.approvals import APPROVAL_TABLES, APPROVALS, WAIVERS
from transforms.tables.commerce import COMMERCE_INTEGRATIONS, COMMERCE_SYNCS, COMMERCE_TABLES, ECOMMERCE_ORDERS
from transforms.tables.customers import CUSTOMER_CLIENTS
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.loading import HALO_POSTINGS, LOADING_TABLES, LOCKS
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RESULT_TABLES, RUN_FILES, RUNS
from transforms.tables.sources import INVOICES, PRICE_LIST, QUARANTINE, SOURCE_FILES, SOURCE_TABLES

ALL_TABLES: tuple[Table, ...] = (
    *SOURCE_TABLES, *RESULT_TABLES, *LOADING_TABLES, CUSTOMER_CLIENTS, *COMMERCE_TABLES, *APPROVAL_TABLES,
)  # fmt: skip

#: The table that each kind of export is read into, by the kind's name in the contract.
EXPORT_TABLES: dict[str, Table] = {
    "invoice_recon": INVOICE_RECON,
    "daily_usage": DAILY_USAGE,
    "price_list": PRICE_LIST,
    "invoices": INVOICES,
}

__all__ = [
    "ALL_TABLES", "APPROVALS", "COMMERCE_INTEGRATIONS", "COMMERCE_SYNCS", "CUSTOMER_CLIENTS", "DAILY_USAGE",
    "ECOMMERCE_ORDERS", "EXPORT_TABLES", "FINDINGS", "HALO_POSTINGS", "INVOICES", "INVOICE_RECON", "INVOICE_TIEOUT",
    "LINES", "LOCKS", "PRICE_LIST", "QUARANTINE", "RUNS", "RUN_FILES", "SOURCE_FILES", "WAIVERS",
]  # fmt: skip
