"""E-commerce orders and the integrations they come through, as HaloPSA has them.

A column is read from the first of its `halo` properties that a record has. What is not named here is not stored: no
secret, and nothing of a buyer's name, address or tax number, which the raw documents of the shops carry.
"""

from __future__ import annotations

from transforms.columns import Column, Kind, Table

TEXT, TIMESTAMP, INTEGER, BOOLEAN = Kind.TEXT, Kind.TIMESTAMP, Kind.INTEGER, Kind.BOOLEAN

_HALO_URL = Column("halo_url", TEXT, "The HaloPSA it is in: base URL.", nullable=False)

#: What the copy knows of a row beside its content.
_HISTORY = (
    Column("first_seen_at", TIMESTAMP, "When a sync saw it first, UTC.", nullable=False),
    Column("changed_at", TIMESTAMP, "When a sync last wrote it: new, changed, deleted or back again, UTC.",
           nullable=False),
    Column("deleted_at", TIMESTAMP, "When a sync found it deleted in HaloPSA, UTC; empty while it is there."),
)  # fmt: skip
HISTORY_NAMES = frozenset(column.name for column in _HISTORY)

ECOMMERCE_ORDERS = Table(
    "ecommerce_orders",
    "E-commerce orders of Shopify, Amazon and Adobe Commerce as HaloPSA has them; a deleted order stays. A row is "
    "written only when it changes.",
    (
        _HALO_URL,
        Column("order_id", INTEGER, "HaloPSA's id of the order.", nullable=False, halo=("id",)),
        Column("module_id", INTEGER, "HaloPSA's integration module.", halo=("moduleid",)),
        Column("integration_name", TEXT, "Integration it came through.", halo=("integration_name",)),
        Column("integration_id", INTEGER, "HaloPSA's id of the integration's configuration.", halo=("details_id",)),
        Column("shop_name", TEXT, "Shop or storefront.", halo=("shop_name",)),
        Column("third_party_id", TEXT, "The shop's id of the order.", halo=("thirdpartyid",)),
        Column("order_number", TEXT, "The order's number for people.", halo=("thirdpartyordernumber",)),
        Column("third_party_url", TEXT, "The order in the shop; a user name or password in it is left out.",
               halo=("thirdpartyurl",)),
        Column("third_party_customer_id", TEXT, "The shop's id of the buyer.", halo=("thirdpartycustomerid",)),
        Column("status", TEXT, "First status in the shop.", halo=("thirdpartystatus",)),
        Column("status2", TEXT, "Second status in the shop.", halo=("thirdpartystatus2",)),
        Column("ordered_at", TIMESTAMP, "When it was ordered, UTC.", halo=("thirdpartycreateddate",)),
        Column("month", TEXT, "Month of the order, YYYY-MM, UTC."),
        Column("ticket_id", INTEGER, "HaloPSA ticket it is linked to.", halo=("ticket_id",)),
        Column("linked_ticket_ids", TEXT, "Every ticket it is linked to, ascending, parted by commas."),
        Column("is_cancelled", BOOLEAN, "Whether one of its statuses is cancelled, canceled, void or voided.",
               nullable=False),
        *_HISTORY,
    ),
    key=("halo_url", "order_id"),
)  # fmt: skip

COMMERCE_INTEGRATIONS = Table(
    "commerce_integrations",
    "The state of HaloPSA's Shopify, Amazon, Adobe Commerce and Datto Commerce integrations, without their secrets; a "
    "deleted one stays. A row is written only when it changes.",
    (
        _HALO_URL,
        Column("kind", TEXT, "shopify, amazon, adobe or datto.", nullable=False),
        Column("integration_id", INTEGER, "HaloPSA's id of the configuration.", nullable=False, halo=("id",)),
        Column("name", TEXT, "Shop, storefront or connection.", halo=("shopname", "storefrontname", "connectionname")),
        Column("url", TEXT, "The shop's address; a user name or password in it is left out.", halo=("url", "endpoint")),
        Column("marketplace", TEXT, "Amazon's marketplace.", halo=("marketplace",)),
        Column("is_enabled", BOOLEAN, "Whether it is enabled.", halo=("enabled", "halointegratorenabled")),
        Column("is_authorized", BOOLEAN, "Whether the shop has authorised it; Shopify and Amazon say so.",
               halo=("authorized",)),
        Column("last_synced_at", TIMESTAMP, "When HaloPSA last synced with it, UTC; Adobe and Datto say so.",
               halo=("integrator_last_sync", "halointegrator_lastsync")),
        Column("last_error", TEXT, "What HaloPSA's last sync failed of; Datto says so.",
               halo=("halointegrator_lasterror",)),
        *_HISTORY,
    ),
    key=("halo_url", "kind", "integration_id"),
)  # fmt: skip

COMMERCE_SYNCS = Table(
    "commerce_syncs",
    "Each sync of orders and integrations: when the copy was true, and what it changed.",
    (
        _HALO_URL,
        Column("started_at", TIMESTAMP, "When HaloPSA was first asked, UTC.", nullable=False),
        Column("finished_at", TIMESTAMP, "When the copy was written, UTC.", nullable=False),
        *(
            Column(f"{what}_{change}", INTEGER, f"{what.capitalize()} that {meaning}.", nullable=False, unit=what)
            for what in ("orders", "integrations")
            for change, meaning in (
                ("new", "were new"),
                ("changed", "had changed, or were back again"),
                ("deleted", "were gone"),
                ("unchanged", "were as before, and not written"),
            )
        ),
    ),
    key=("halo_url", "started_at"),
)

COMMERCE_TABLES = (ECOMMERCE_ORDERS, COMMERCE_INTEGRATIONS, COMMERCE_SYNCS)
