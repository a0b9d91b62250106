"""A generated month of daily rated usage: `daily_usage.csv`, the price list, the Azure-plan lines and the invoices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.documents import (
    AZURE_HEADER,
    BOM,
    OPEN,
    RECON_HEADER,
    USAGE_HEADER,
    Planted,
    cents,
    planted_rows,
    write_documents,
)
from benchmarks.texts import Ints, as_usage_prints, exchanged, joined, plain, put, taken
from benchmarks.usage_world import (
    CHANGE_DAY,
    CUSTOMERS,
    EXPIRED,
    LAST_PRICED_DAY,
    MARKETS,
    METERS,
    METERS_OF_RESOURCE,
    SERIES,
    SLOTS,
    UNLISTED,
    World,
    build,
)

#: Three series of 31 days and one day of them twice, as real files have it (1.1 % of the lines).
_BLOCK, _DAYS = 94, 31
_CHUNK = 2_000 * _BLOCK
_CHARGED, _COVERED, _UNCREDITED = 0, 2, 3
_STATES = 4
_KINDS = (
    "USAGE_MISMATCH", "PEC_MISSING", "EXCHANGE_RATE_MISMATCH", "UNIT_PRICE_MISMATCH", "PRICE_NOT_FOUND",
    "PRICE_NOT_EFFECTIVE", "CURRENCY_MISMATCH",
)  # fmt: skip
#: What a planted charge, list price and rate is off by: 50 in the billing currency, 0.01 dollars, and 0.00001.
_CHARGE_OFF, _PRICE_OFF, _RATE_OFF = 50 * 10**10, 100, 10_000
_CREDITS = (
    "15,15,Partner Earned Credit Applied,,,Charge\r\n", ",,Credit Not Applied,,,Charge\r\n",
    ",,Credit Not Applied,5f7d2c1e-8a43-4b1f-9c55-2d7e3f9a6b10,3e0f2d8c-77b1-4d55-8a0e-91c6f5b7d2aa,Reservation\r\n",
)  # fmt: skip


def write_usage_month(lines: int, folder: Path, seed: int) -> Planted:
    """Write a month of so many usage lines into the folder; returns what was planted."""
    world, planted = build(seed), Planted()
    printed = _Prices(world)
    sums = np.zeros((CUSTOMERS * SLOTS * 2 * _STATES, 2), dtype=np.int64)
    spots = planted_rows(lines, len(_KINDS), 5, _BLOCK)
    groups: set[tuple[int, str, str]] = set()
    with (folder / "daily_usage.csv").open("wb") as file:
        file.write(BOM + USAGE_HEADER.encode())
        for start in range(0, lines, _CHUNK):
            chunk = _Rows(world, seed, start, min(start + _CHUNK, lines))
            own = [(row - start, kind) for row, kind in spots if start <= row < start + chunk.count]
            chunk.plant(own)
            for row, kind in own:
                meter = int(world.pools[chunk.customers[row], chunk.slots[row]])
                if kind:
                    planted.findings[_KINDS[kind]] += 1
                else:
                    group = (int(chunk.customers[row]), world.meters.product_ids[meter], world.meters.sku_ids[meter])
                    groups.add(group)
                    planted.unexplained += 1
            np.add.at(sums, chunk.keys, np.stack([chunk.quantities, np.ones(chunk.count, np.int64)], axis=1))
            put(file, chunk.text(printed))
    planted.findings["USAGE_MISMATCH"] += len(groups)
    _write_prices(folder / "azure_plan_2026-10.csv", world)
    totals = _write_lines(folder / "invoice_recon.csv", world, sums, planted)
    totals[-1] += 100
    planted.findings["INVOICE_TOTAL_MISMATCH"] += 1
    billed = zip(MARKETS, totals, strict=True)
    write_documents(folder / "invoices.json", [(m.invoice, m.currency, m.symbol, total) for m, total in billed])
    return planted


class _Prices:
    """Prices as they are printed, by their number: list prices, those off by a cent, and effective ones."""

    def __init__(self, world: World) -> None:
        prices = world.meters.prices
        third_party = np.repeat(world.meters.third_party, 2)
        self.effective = np.concatenate([prices * np.where(third_party, 100, 85), prices * 0, prices * 100])
        self.lists = as_usage_prints(np.concatenate([prices, prices + _PRICE_OFF]), 4)
        self.effective_texts = as_usage_prints(self.effective, 6)
        rates = np.array([market.rate for market in MARKETS])
        self.rates = np.concatenate([rates, rates + _RATE_OFF])
        self.rate_texts = joined(",", plain(self.rates, 9), ",10/01/2026,")


class _Rows:
    """A part of the usage lines, as columns of numbers."""

    def __init__(self, world: World, seed: int, start: int, stop: int) -> None:
        rows = np.arange(start, stop)
        random = np.random.default_rng([seed, start])
        place = rows % _BLOCK
        which = np.minimum(place // _DAYS, 2)
        series = world.order[(rows // _BLOCK * 3 + which) % SERIES]
        self.world, self.count = world, len(rows)
        self.days = np.minimum(place - which * _DAYS, _DAYS - 1)
        self.resources = series // METERS_OF_RESOURCE
        self.customers = world.owners[self.resources]
        self.slots = world.slots[self.resources, series % METERS_OF_RESOURCE]
        self.states = world.states[series]
        self.quantities = _quantities(random, series)
        self.price_off = np.zeros(self.count, dtype=np.int64)
        self.rate_off = np.zeros(self.count, dtype=np.int64)
        self.charge_off = np.zeros(self.count, dtype=np.int64)
        self.foreign = np.zeros(self.count, dtype=np.bool_)

    def plant(self, spots: list[tuple[int, int]]) -> None:
        """Make rows wrong, each in one way."""
        for row, kind in spots:
            self.slots[row], self.states[row] = 0, _CHARGED
            name = _KINDS[kind]
            if name == "USAGE_MISMATCH":
                self.charge_off[row] = _CHARGE_OFF
            elif name == "PEC_MISSING":
                self.states[row] = _UNCREDITED
            elif name == "EXCHANGE_RATE_MISMATCH":
                self.rate_off[row] = len(MARKETS)
            elif name == "UNIT_PRICE_MISMATCH":
                self.price_off[row] = len(self.world.meters.prices)
            elif name == "PRICE_NOT_FOUND":
                self.slots[row] = UNLISTED[row % len(UNLISTED)]
            elif name == "PRICE_NOT_EFFECTIVE":
                self.slots[row], self.days[row] = EXPIRED[row % len(EXPIRED)], LAST_PRICED_DAY + 11
            else:
                self.foreign[row] = True

    @property
    def meters(self) -> Ints:
        meters: Ints = self.world.pools[self.customers, self.slots]
        return meters

    @property
    def second_price(self) -> Ints:
        second: Ints = (self.world.meters.changes[self.meters] & (self.days >= CHANGE_DAY)).astype(np.int64)
        return second

    @property
    def keys(self) -> Ints:
        """The Azure-plan line that each row is the detail of, by number."""
        return ((self.customers * SLOTS + self.slots) * 2 + self.second_price) * _STATES + self.states

    def text(self, printed: _Prices) -> pa.Array:
        """The rows as they are printed."""
        world, meters = self.world, self.meters
        markets = world.markets[self.customers]
        prices = meters * 2 + self.second_price
        effective = prices + np.array([0, 1, 1, 2])[self.states] * len(world.meters.prices)
        rates = markets + self.rate_off
        # Exact at twelve decimals; printed, as documented, with ten.
        products = printed.effective[effective] * self.quantities
        billing = exchanged(products, 12, printed.rates[rates], 9, 10) + self.charge_off
        currencies = np.where(self.foreign, len(MARKETS), markets)
        credit = np.where(self.states == _COVERED, 2, (self.states == _UNCREDITED) | world.meters.third_party[meters])
        units, meter_texts = pa.array(world.meters.units), world.meters.meter_texts
        return joined(
            taken(world.customer_texts, self.customers), taken(world.meters.product_texts, meters),
            taken(world.subscription_texts, self.customers), taken(_DAY_TEXTS, self.days), taken(meter_texts, meters),
            taken(world.resource_texts, self.resources), taken(printed.lists, prices + self.price_off), ",",
            plain(self.quantities, 6), ",", taken(units, meters), ",", as_usage_prints(billing, 10),
            taken(_CURRENCY_TEXTS, currencies), as_usage_prints((products + 50) // 100, 10), ",USD,,,",
            taken(world.tag_texts, self.resources), taken(printed.effective_texts, effective),
            taken(printed.rate_texts, rates), taken(world.entitlement_texts, self.resources),
            taken(pa.array(_CREDITS), credit),
        )  # fmt: skip


_DAY_TEXTS = pa.array([f"10/{day + 1:02d}/2026," for day in range(_DAYS)])
_CURRENCY_TEXTS = pa.array([f",{currency}," for currency in (*(market.currency for market in MARKETS), "CHF")])


def _quantities(random: np.random.Generator, series: Ints) -> Ints:
    """Units of six decimals: hours, gigabytes, or tiny counts, by the kind of series."""
    count = len(series)
    hours = np.where(random.integers(0, 10, count) < 7, 24, random.integers(1, 25, count)) * 10**6
    bytes_ = random.integers(1, 100_000, count) * 10 ** random.integers(0, 4, count)
    tiny = np.where(random.integers(0, 10, count) < 5, 33_336, random.integers(1, 20_000_000, count))
    return np.choose(series % 3, [hours, bytes_, tiny])


def _write_prices(path: Path, world: World) -> None:
    """The Azure plan price list of every market; a changed price has a row for each of its two spans."""
    meters, (first, last) = world.meters, (f"2026-10-{CHANGE_DAY + 1:02d}", f"2026-10-{CHANGE_DAY:02d}")
    spans = [(0, "2026-10-01T00:00:00.0000000Z", f"{last}T23:59:59.0000000Z"), (1, f"{first}T00:00:00.0000000Z", OPEN)]
    texts = plain(meters.prices, 4).to_pylist()
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(AZURE_HEADER)
        for market in MARKETS:
            for meter in (*range(METERS), *(METERS + place for place in range(len(UNLISTED), SLOTS - UNLISTED.start))):
                own = spans if meters.changes[meter] else [(0, spans[0][1], OPEN)]
                if meter >= METERS:
                    own = [(0, spans[0][1], f"2026-10-{LAST_PRICED_DAY + 1:02d}T23:59:59.0000000Z")]
                common = (
                    f"{meters.products[meter]},{meters.product_ids[meter]},{meters.sku_ids[meter]},"
                    f"{meters.skus[meter]},{meters.publishers[meter].split(',')[0]},{meters.names[meter]},"
                    f"{meters.units[meter]},,{market.country},USD"
                )
                for number, starts, ends in own:
                    file.write(f"{common},{texts[2 * meter + number]},,,{starts},{ends},{meters.ids[meter]},"
                               f"{meters.types[meter]},Azure\n")  # fmt: skip


def _write_lines(path: Path, world: World, sums: Ints, planted: Planted) -> list[int]:
    """The Azure-plan lines that the usage adds up to; returns the totals of the invoices in cents."""
    totals = [0] * len(MARKETS)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(RECON_HEADER)
        for key in np.flatnonzero(sums[:, 1]):
            market, total, text = _line(world, int(key), int(sums[key, 0]), int(sums[key, 1]))
            totals[market] += total
            file.write(text)
            planted.findings["PRICE_NOT_FOUND"] += int(key) // (2 * _STATES) % SLOTS in UNLISTED
    return totals


def _line(world: World, key: int, quantity: int, days: int) -> tuple[int, int, str]:
    """One Azure-plan line: its market, its total in cents, and how it is printed."""
    rest, state = divmod(key, _STATES)
    rest, second = divmod(rest, 2)
    customer, slot = divmod(rest, SLOTS)
    meters, meter = world.meters, int(world.pools[customer, slot])
    market = MARKETS[int(world.markets[customer])]
    price = int(meters.prices[2 * meter + second])
    credited = not meters.third_party[meter] and state == _CHARGED
    effective = price * (85 if credited else 100) if state in (_CHARGED, _UNCREDITED) else 0
    if days < 10:
        # What cutting takes away may be more than the usage of so few days may differ by.
        subtotal = (2 * effective * quantity * market.rate + 10**19) // (2 * 10**19)
    else:
        subtotal = effective * quantity // 10**10 * market.rate // 10**9
    tax = (2 * subtotal * market.tax + 100) // 200
    who = world.customer_texts[customer].as_py().split(",")
    adjustment = '"[""15.0% Partner earned credit for services managed""]"' if credited else ""
    fields: list[Any] = [
        who[0], who[2], who[3], who[4], market.country, market.invoice, "", "", f"{customer:08d}-azure",
        "2025-03-04T09:12:44.1204000Z", meters.product_ids[meter], meters.sku_ids[meter],
        meters.availability_ids[meter], meters.skus[meter], meters.products[meter], "cycleCharge",
        _plain(price, 4), 1, cents(subtotal), cents(tax), cents(subtotal + tax), market.currency, adjustment,
        *([*meters.publishers[meter].split(","), ""][:2]), "Azure plan", world.subscription_ids[customer],
        "10/1/2026", "10/31/2026", meters.types[meter], _plain(effective, 6), meters.units[meter],
        f"{customer:08d}-azure", _plain(quantity, 6), "Monthly", "USD", _plain(market.rate, 9), "10/1/2026",
        meters.names[meter], "", "", "", "", f"{customer:08d}-{meter:05d}", "", "", "Azure",
    ]  # fmt: skip
    return int(world.markets[customer]), subtotal + tax, ",".join(map(str, fields)) + "\r\n"


def _plain(units: int, places: int) -> str:
    return f"{units // 10**places}.{units % 10**places:0{places}d}".rstrip("0").rstrip(".")
