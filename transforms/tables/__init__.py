"""Every table of the warehouse, declared once.

`sources` holds the partner exports as they were delivered, `results` what a run concludes from them, `loading`
what was posted to HaloPSA. `ALL_TABLES` is the order in which they are created.
"""

from __future__ import annotations

from transforms.columns import Table
from transforms.tables.loading import LOADING_TABLES
from transforms.tables.results import RESULT_TABLES
from transforms.tables.sources import DAILY_USAGE, INVOICE_RECON, INVOICES, PRICE_LIST, SOURCE_TABLES

ALL_TABLES: tuple[Table, ...] = (*SOURCE_TABLES, *RESULT_TABLES, *LOADING_TABLES)

#: The table that each kind of export is read into, by the kind's name in the contract.
EXPORT_TABLES: dict[str, Table] = {
    "invoice_recon": INVOICE_RECON,
    "daily_usage": DAILY_USAGE,
    "price_list": PRICE_LIST,
    "invoices": INVOICES,
}
