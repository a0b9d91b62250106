"""What is sold in a generated month of licences: markets, customers, products, and their price list.

A SKU has a monthly ERP price that every other price is made of: an annual term billed monthly is twelve of it, billed
at once 1/1.05 of that, a month by itself 1/1.05 × 1.2 of a twelfth, three years three times a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.documents import LICENCE_HEADER, OPEN, cents
from benchmarks.texts import ALPHABET, Ints, guids, joined, letters, plain

CUSTOMERS, SKUS = 800, 1_150
#: SKUs for planted discrepancies alone: that no list has, and whose prices ended in June.
UNLISTED, WITHDRAWN = 4, 4
ALL_SKUS = SKUS + UNLISTED + WITHDRAWN


class Market(NamedTuple):
    """A country with its prices' currency and what it is billed in, the rate between them in units of nine decimals,
    what its prices are in dollar prices in hundredths, and its tax in percent."""

    country: str
    currency: str
    billed: str
    rate: int
    level: int
    tax: int
    invoice: str


MARKETS = (
    Market("US", "USD", "USD", 1_000_000_000, 100, 0, "G146000201"),
    Market("DE", "EUR", "EUR", 1_000_000_000, 94, 19, "G146000202"),
    Market("GB", "GBP", "GBP", 1_000_000_000, 83, 20, "G146000203"),
    Market("NO", "NOK", "EUR", 85_273_418, 1_061, 25, "G146000202"),
)
INVOICES = (("G146000201", "USD", "$"), ("G146000202", "EUR", "€"), ("G146000203", "GBP", "£"))


class Offer(NamedTuple):
    """A term and plan: its names, months of the term and of a charge cycle."""

    term: str
    plan: str
    text: str
    frequency: str
    months: int
    cycle: int


ANNUAL = "One-Year commitment for monthly/yearly billing"
TRIENNIAL = "Three-3 Years commitment for monthly/3 Years/yearly billing"
OFFERS = (
    Offer("P1Y", "Monthly", ANNUAL, "Monthly", 12, 1),
    Offer("P1M", "Monthly", "One-Month commitment for monthly billing", "Monthly", 1, 1),
    Offer("P1Y", "Annual", ANNUAL, "Annual", 12, 12),
    Offer("P3Y", "Monthly", TRIENNIAL, "Monthly", 36, 1),
    Offer("P3Y", "Annual", TRIENNIAL, "Annual", 36, 12),
    Offer("P3Y", "Triennial", TRIENNIAL, "Triennial", 36, 36),
)
#: Segments with what they pay of the Commercial price in percent; a third of the SKUs has the second one.
SEGMENTS = (("Commercial", 100), ("Education", 60))
#: The day from which the second price of a SKU whose prices changed is valid, and the last one of the first.
CHANGED, BEFORE = "2026-10-01T00:00:00.0000000Z", "2026-09-30T23:59:59.0000000Z"
_SHARES = (80, 80, 80, 85, 90, 75)


@dataclass(frozen=True)
class World:
    """SKUs and customers of a generated month.

    Attributes:
        costs: partner's price per charge cycle in cents: SKU × market × segment × (old, new) × offer.
        retail: the ERP price alike.
        changes: whether a SKU's prices changed on 1 October.
        schools: whether a SKU has Education prices; whether a customer buys in that segment.
        who: texts of each customer, from the partner's id to the reseller's.
        what: texts of each SKU, from its product to the product's name.
    """

    costs: Ints
    retail: Ints
    changes: np.ndarray[tuple[int], np.dtype[np.bool_]]
    has_school: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_school: np.ndarray[tuple[int], np.dtype[np.bool_]]
    markets: Ints
    product_ids: list[str]
    sku_ids: list[str]
    names: list[str]
    who: pa.Array
    what: pa.Array


def build(seed: int) -> World:
    """The world of a seed."""
    random, number = np.random.default_rng(seed), np.arange(ALL_SKUS)
    # In twentieths of a dollar per month, so that every share of it is a whole cent.
    monthly = random.integers(2, 300, ALL_SKUS) * random.choice(np.array([1, 2, 8]), ALL_SKUS) * 20
    levels = np.array([market.level for market in MARKETS])
    pays = np.array([share for _, share in SEGMENTS])
    changes, has_school = number % 17 == 3, number % 3 == 1
    grown = np.stack([monthly, np.where(changes, monthly // 100 * 108 // 20 * 20 + 20, monthly)], axis=1)
    base = grown[:, None, None, :] * levels[:, None, None] // 100 * pays[:, None] // 100 // 20 * 20 + 20
    shares = np.array(_SHARES)[number % len(_SHARES)][:, None, None, None]
    product_ids = [f"CFQ7TTC0{letters(int(product))}" for product in number // 3]
    sku_ids = [str(place + 1) if place < 2 else f"000{ALPHABET[10 + place]}" for place in number % 3]
    names = [f"{_TITLES[product % len(_TITLES)]} {product}" for product in number // 3]
    skus = [f"{name}{_EDITIONS[place]}" for name, place in zip(names, number % 3, strict=True)]
    availabilities = [f"CFQ7TTC0{letters(400_000 + int(sku))}" for sku in number]
    markets = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3])[np.arange(CUSTOMERS) % 10]
    return World(
        _per_cycle(base * shares // 100), _per_cycle(base), changes, has_school, np.arange(CUSTOMERS) % 11 == 4,
        markets, product_ids, sku_ids, names, _who(markets),
        joined(pa.array(product_ids), ",", pa.array(sku_ids), ",", pa.array(availabilities), ",", pa.array(skus), ",",
               pa.array(names), ","),
    )  # fmt: skip


def _per_cycle(monthly: Ints) -> Ints:
    """Price per charge cycle of each offer from the monthly price of an annual term, in cents."""
    year = (2 * monthly * 1_200 + 105) // 210
    month = (2 * year * 12 + 120) // 240 if monthly.size else monthly
    prices: Ints = np.stack([monthly, month, year, monthly, year, 3 * year], axis=-1)
    return prices


def _who(markets: Ints) -> pa.Array:
    customers = np.arange(CUSTOMERS)
    number = plain(customers + 1, 0)
    return joined(
        "7a1c52f0-2f0e-4c1b-9d35-0d6f6a3b1e55,", guids(211, customers), ",Customer ", number, ",customer", number,
        ".onmicrosoft.com,", pa.array([MARKETS[market].country for market in markets]), ",",
        pa.array([MARKETS[market].invoice for market in markets]), ",1234567,0,",
    )  # fmt: skip


def write_prices(path: Path, world: World) -> None:
    """Write the licence price list: prices are for the whole term."""
    start = "2025-04-01T00:00:00.0000000Z"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(LICENCE_HEADER)
        for sku in (*range(SKUS), *range(SKUS + UNLISTED, ALL_SKUS)):
            spans = [(0, start, BEFORE), (1, CHANGED, OPEN)] if world.changes[sku] else [(0, start, OPEN)]
            if sku >= SKUS:
                spans = [(0, start, "2026-06-30T23:59:59.0000000Z")]
            title = f"{world.names[sku]}{_EDITIONS[sku % 3]}"
            head = (
                f"Unchanged,{world.names[sku]},{world.product_ids[sku]},{world.sku_ids[sku]},{title},Microsoft "
                f'Corporation,"{title}: what people need to work together, with ""{world.names[sku]}"" on every '
                'device, kept safe and up to date.",'
            )
            for place, market in enumerate(MARKETS):
                for segment in range(1 + bool(world.has_school[sku])):
                    for offer, (term, plan, _, _, months, cycle) in enumerate(OFFERS):
                        for number, starts, ends in spans:
                            at = (sku, place, segment, number, offer)
                            cost = int(world.costs[at]) * months // cycle
                            retail = int(world.retail[at]) * months // cycle
                            file.write(
                                f"{head},{term},{plan},{market.country},{market.currency},{cents(cost)},,,{starts},"
                                f"{ends},License,{cents(retail)},{SEGMENTS[segment][0]},\n"
                            )


_TITLES = (
    "Microsoft 365 Business Premium", "Microsoft 365 E3", "Microsoft 365 E5", "Exchange Online", "Power BI Pro",
    "Visio Plan", "Project Plan", "Teams Phone", "Defender for Endpoint", "Dynamics 365 Sales",
    "Windows 365 Enterprise",
)  # fmt: skip
_EDITIONS = ("", " (no Teams)", " Add-on")
