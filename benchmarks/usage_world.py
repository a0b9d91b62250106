"""Who uses what in a generated month of daily usage: markets, customers, meters with their prices, resources.

The world does not grow with the number of lines: four hundred customers with two hundred meters each out of 48,000, and
60,000 resources with twelve of their customer's meters each. A series is one meter of one resource.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.texts import Ints, codes, guids, joined, letters, mixed, plain, taken

CUSTOMERS, RESOURCES, METERS = 400, 60_000, 48_000
#: Meters of a customer, and those of them that are for planted discrepancies alone: without a price, and with one that
#: ended in the month.
SLOTS, UNLISTED, EXPIRED = 208, range(200, 204), range(204, 208)
ALL_METERS = METERS + len(UNLISTED) + len(EXPIRED)
METERS_OF_RESOURCE = 12
SERIES = RESOURCES * METERS_OF_RESOURCE
#: First day, counted from 0, of a price that changed within the month; last day of an expired one.
CHANGE_DAY, LAST_PRICED_DAY = 14, 8


class Market(NamedTuple):
    """A country with its currency, the rate from dollars in units of nine decimals, and its tax in percent."""

    country: str
    currency: str
    symbol: str
    rate: int
    tax: int
    invoice: str


MARKETS = (
    Market("US", "USD", "$", 1_000_000_000, 0, "G146000101"),
    Market("DE", "EUR", "€", 846_202_666, 19, "G146000102"),
    Market("GB", "GBP", "£", 744_518_905, 20, "G146000103"),
    Market("NO", "NOK", "kr", 10_241_903_551, 25, "G146000104"),
)
_MARKET_OF: Ints = np.array([0] * 11 + [1] * 4 + [2] * 3 + [3] * 2)

_CATEGORIES = (
    ("Storage", "Blob Storage", "Microsoft.Storage", "storageAccounts", "Data Stored (GB/Month)", "1 GB/Month"),
    ("Virtual Machines", "Dv5 Series", "Microsoft.Compute", "virtualMachines", "Compute Hours", "1 Hour"),
    ("Bandwidth", "Rtn Preference: MGN", "Microsoft.Network", "publicIPAddresses", "Data Transfer (GB)", "1 GB"),
    ("Azure App Service", "Premium v3 Plan", "Microsoft.Web", "sites", "1 App Service Hour", "1 Hour"),
    ("SQL Database", "General Purpose - Compute", "Microsoft.Sql", "servers/databases", "1 vCore Hour", "1 Hour"),
    ("Log Analytics", "Log Analytics", "microsoft.operationalinsights", "workspaces", "Data Ingested (GB)", "1 GB"),
    ("Azure Monitor", "Alerts", "microsoft.insights", "metricalerts", "1 Alert Rule/Month", "1/Month"),
    ("Storage", "Standard SSD Managed Disks", "Microsoft.Compute", "disks", "1 Disk/Month", "1/Month"),
)
_REGIONS = (("EU West", "westeurope"), ("US East 2", "eastus2"), ("UK South", "uksouth"), ("AP Southeast",
            "southeastasia"), ("EU North", "northeurope"), ("Norway East", "norwayeast"))  # fmt: skip
_SKUS = ("Standard", "Hot", "E10", "P1 v3", "General Purpose", "Basic", "Premium Locally Redundant", "S1")


@dataclass(frozen=True)
class Meters:
    """Meters and their prices; a price is numbered twice the meter, and one more for its second price.

    Attributes:
        prices: unit price of each price, in units of four decimals.
        third_party: whether a publisher other than Microsoft sells it; such a meter earns no credit.
        changes: whether the meter has a second price from `CHANGE_DAY` on.
    """

    product_ids: list[str]
    sku_ids: list[str]
    ids: list[str]
    names: list[str]
    products: list[str]
    skus: list[str]
    types: list[str]
    units: list[str]
    publishers: list[str]
    availability_ids: list[str]
    prices: Ints
    third_party: np.ndarray[Any, np.dtype[np.bool_]]
    changes: np.ndarray[Any, np.dtype[np.bool_]]
    product_texts: pa.Array
    meter_texts: pa.Array


@dataclass(frozen=True)
class World:
    """Everything that a usage line takes its texts from.

    Attributes:
        markets: market of each customer.
        pools: meters of each customer, customer by slot; slot 0 is one that earns credit and has one price.
        owners: customer of each resource.
        slots: slots of each resource's meters.
        order: series in the order in which lines are made of them.
        states: state of each series: 0 charged, 1 free tier, 2 covered by a reservation.
    """

    meters: Meters
    markets: Ints
    subscription_ids: list[str]
    customer_ids: list[str]
    pools: Ints
    owners: Ints
    slots: Ints
    order: Ints
    states: Ints
    customer_texts: pa.Array
    subscription_texts: pa.Array
    resource_texts: pa.Array
    tag_texts: pa.Array
    entitlement_texts: pa.Array


def build(seed: int) -> World:
    """The world of a seed."""
    random = np.random.default_rng(seed)
    meters = _meters(random)
    markets = _MARKET_OF[np.arange(CUSTOMERS) % len(_MARKET_OF)]
    pools = _pools(random, meters)
    # A few customers have most of the resources, every one has some.
    owners = np.minimum.reduce(random.integers(0, CUSTOMERS, (2, RESOURCES)))
    owners[:CUSTOMERS] = np.arange(CUSTOMERS)
    base = random.integers(0, UNLISTED.start, RESOURCES)
    step: Ints = np.array([1, 3, 7, 9, 11, 13, 17, 19])[random.integers(0, 8, RESOURCES)]
    slots: Ints = (base[:, None] + step[:, None] * np.arange(METERS_OF_RESOURCE)) % UNLISTED.start
    states = random.choice(3, SERIES, p=[0.9, 0.09, 0.01])
    customers = np.arange(CUSTOMERS)
    customer_ids, subscription_ids = guids(101, customers), guids(103, customers)
    invoices = pa.array([MARKETS[market].invoice for market in markets])
    countries = pa.array([MARKETS[market].country for market in markets])
    numbers = plain(customers + 1, 0)
    return World(
        meters, markets, subscription_ids.to_pylist(), customer_ids.to_pylist(), pools, owners, slots,
        random.permutation(SERIES), states,
        joined("7a1c52f0-2f0e-4c1b-9d35-0d6f6a3b1e55,Example Partner,", customer_ids, ",Customer ", numbers,
               ",customer", numbers, ".onmicrosoft.com,", countries, ",,,", invoices, ","),
        joined(subscription_ids, ",10/01/2026,10/31/2026,"),
        *_resources(owners, slots, pools),
    )  # fmt: skip


def _meters(random: np.random.Generator) -> Meters:
    count = np.arange(ALL_METERS)
    products, places = count // 20, count // 2 % 10
    product_ids = [f"DZH318Z0{letters(int(product))}" for product in products]
    sku_ids = [str(place + 1) if place % 2 == 0 else f"00{letters(int(place) * 29 + 11)[2:]}" for place in places]
    kinds = [_CATEGORIES[product % len(_CATEGORIES)] for product in products]
    regions = [_REGIONS[number % len(_REGIONS)] for number in count]
    first = random.integers(1, 100, ALL_METERS) * 10 ** random.integers(0, 4, ALL_METERS)
    special = count >= METERS
    first[(count % 20 == 13) & ~special] = 0
    third_party = (products % 33 == 7) & ~special
    changes = (count % 24 == 11) & ~special & (first > 0)
    prices = np.stack([first, np.where(changes, first + first // 10 + 1, first)], axis=1).reshape(-1)
    names = [f"{kind[1]} {_SKUS[number % 8]} {number % 977}" for number, kind in enumerate(kinds)]
    titles = [f"{kind[1]} {product}" for kind, product in zip(kinds, products, strict=True)]
    skus = [_SKUS[(product + place) % 8] for product, place in zip(products, places, strict=True)]
    publishers = ["Contoso Data,66546640" if other else "Microsoft," for other in third_party]
    ids, availabilities = guids(107, count), joined("DZH318Z0", codes(109, count, 4))
    product_texts = joined(
        pa.array(product_ids), ",", pa.array(sku_ids), ",", availabilities, ",", pa.array(skus), ",",
        pa.array(titles), ",", pa.array(publishers), ",,",
    )  # fmt: skip
    types, units = [kind[4] for kind in kinds], [kind[5] for kind in kinds]
    meter_texts = joined(
        pa.array(types), ",", pa.array([kind[0] for kind in kinds]), ",", ids, ",",
        pa.array([kind[1] for kind in kinds]), ",", pa.array(names), ",",
        pa.array([region[0] if number % 3 else "" for number, region in enumerate(regions)]), ",",
        pa.array(units), ",",
    )  # fmt: skip
    return Meters(
        product_ids, sku_ids, ids.to_pylist(), names, titles, skus, types, units, publishers,
        availabilities.to_pylist(), prices, third_party, changes, product_texts, meter_texts,
    )  # fmt: skip


def _pools(random: np.random.Generator, meters: Meters) -> Ints:
    earns = ~meters.third_party & ~meters.changes & (meters.prices[0::2] > 0)
    pools = np.empty((CUSTOMERS, SLOTS), dtype=np.int64)
    for customer in range(CUSTOMERS):
        own = random.choice(METERS, UNLISTED.start, replace=False)
        place = int(np.flatnonzero(earns[own])[0])
        own[[0, place]] = own[[place, 0]]
        pools[customer, : UNLISTED.start] = own
    pools[:, UNLISTED.start :] = np.arange(METERS, ALL_METERS)
    return pools


def _resources(owners: Ints, slots: Ints, pools: Ints) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Texts of each resource: where it is and what it is called; its tags and details; its Azure subscription."""
    count = np.arange(RESOURCES)
    kinds = [_CATEGORIES[meter // 20 % len(_CATEGORIES)] for meter in pools[owners, slots[:, 0]]]
    groups = joined("rg-", codes(113, count // 6, 9))
    entitlement = guids(127, owners * 3 + count % 2)
    folder = pc_case(count % 2 == 0, "/resourceGroups/", "/resourcegroups/")
    resource = joined(
        pa.array([_REGIONS[number % len(_REGIONS)][1] for number in range(RESOURCES)]), ",",
        pa.array([kind[2] for kind in kinds]), ",", groups, ",/subscriptions/", entitlement, folder, groups,
        "/providers/", pa.array([f"{kind[2]}/{kind[3]}" for kind in kinds]), "/r", codes(131, count, 12), ",Usage,",
    )  # fmt: skip
    tags = joined(
        '"{""cost-centre"":""', codes(137, count % 900, 8), '"",""owner"":""team-', codes(139, count % 60, 10), '""}"'
    )
    details = joined(
        '"{""UsageType"":""ComputeHR"",""ImageType"":""Canonical"",""ServiceType"":""', codes(149, count % 500, 14),
        '"",""VMName"":""vm-', codes(151, count, 8), '"",""VCPUs"":', plain(1 + count % 16, 0),
        ',""AvailabilityZone"":""', plain(1 + count % 3, 0), '""}"',
    )  # fmt: skip
    bits = mixed(163, count)
    tags = taken(pa.concat_arrays([tags, pa.array([""])]), np.where(bits % np.uint64(100) < 41, count, RESOURCES))
    hidden = bits // np.uint64(100) % np.uint64(100) >= 30
    details = taken(pa.concat_arrays([details, pa.array([""])]), np.where(hidden, RESOURCES, count))
    return resource, joined(tags, ",", details, ","), joined(entitlement, ",Subscription ", plain(owners % 90, 0), ",")


def pc_case(choose: np.ndarray[Any, np.dtype[np.bool_]], yes: str, no: str) -> pa.Array:
    """One of two texts for each row."""
    return taken(pa.array([no, yes]), choose.astype(np.int64))
