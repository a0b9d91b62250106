"""A generated month of licence lines: `invoice_recon.csv`, the licence price list and the invoices.

Of 25 lines 16 are regular charges in mid-term, three renewals, four new subscriptions, and two a change of seats: the
refund of the old ones and the charge for the new ones, both prorated.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.documents import BOM, RECON_HEADER, Planted, planted_rows, write_documents
from benchmarks.recon_world import (
    CUSTOMERS,
    INVOICES,
    MARKETS,
    OFFERS,
    SKUS,
    UNLISTED,
    WITHDRAWN,
    World,
    build,
    write_prices,
)
from benchmarks.texts import Ints, guids, joined, mixed, plain, put, taken

_BLOCK, _CHUNK = 25, 200_000
_REFUND, _SEATS = 23, 24
_KINDS = (
    "SUBTOTAL_MISMATCH", "TOTAL_MISMATCH", "UNIT_PRICE_MISMATCH", "ABOVE_ERP", "MARGIN_BELOW_FLOOR", "PRICE_NOT_FOUND",
    "PRICE_NOT_EFFECTIVE", "EXCHANGE_RATE_MISMATCH", "CURRENCY_MISMATCH",
)  # fmt: skip
_ONE = 10**9
#: 2025-10-01, from which terms are counted in days.
_FIRST = date(2025, 10, 1)
_DAYS = 3_000
_DATES = pa.array([f"{day.month}/{day.day}/{day.year}" for day in (_FIRST + timedelta(n) for n in range(_DAYS))])
_MONTHS = np.array([(date(2025 + (9 + n) // 12, (9 + n) % 12 + 1, 1) - _FIRST).days for n in range(72)])
#: October 2026, in months counted from the same day.
_NOW = 12
#: What of the price a promotion leaves, in percent.
_PROMOTION = 90


def write_recon_month(lines: int, folder: Path, seed: int) -> Planted:
    """Write a month of so many licence lines into the folder; returns what was planted."""
    world, planted = build(seed), Planted()
    write_prices(folder / "licence_2026-10.csv", world)
    spots = planted_rows(lines, len(_KINDS), 5, _BLOCK)
    totals = {number: 0 for number, _, _ in INVOICES}
    with (folder / "invoice_recon.csv").open("wb") as file:
        file.write(BOM + RECON_HEADER.encode())
        for start in range(0, lines, _CHUNK):
            rows = _Rows(world, seed, start, min(start + _CHUNK, lines))
            own = [(row - start, kind) for row, kind in spots if start <= row < start + rows.count]
            planted.findings.update(_KINDS[kind] for _, kind in own)
            rows.compute(own)
            for place, market in enumerate(MARKETS):
                totals[market.invoice] += int(rows.totals[rows.markets == place].sum())
            put(file, rows.text())
    totals[INVOICES[-1][0]] += 100
    planted.findings["INVOICE_TOTAL_MISMATCH"] += 1
    write_documents(folder / "invoices.json", [(*invoice, totals[invoice[0]]) for invoice in INVOICES])
    return planted


class _Rows:
    """A part of the licence lines, as columns of numbers; money is in cents."""

    def __init__(self, world: World, seed: int, start: int, stop: int) -> None:
        lines = np.arange(start, stop)
        # Drawn by block, so that the two lines of a change of seats speak of the same subscription.
        self.place = lines % _BLOCK
        self.subscriptions = np.where(self.place == _SEATS, lines - 1, lines)
        bits = mixed(seed, self.subscriptions)
        self.world, self.count, self.lines = world, len(lines), lines

        def drawn(limit: int, turn: int) -> Ints:
            picked: Ints = (mixed(turn, bits.view(np.int64)) % np.uint64(limit)).astype(np.int64)
            return picked

        self.customers = drawn(CUSTOMERS, 1)
        self.markets = world.markets[self.customers]
        self.skus = drawn(SKUS, 2)
        self.segments = (world.is_school[self.customers] & world.has_school[self.skus]).astype(np.int64)
        days = drawn(28, 3)
        regular, renewed = self.place < 16, (self.place >= 16) & (self.place < 19)
        seats = self.place >= _REFUND
        started = np.where(regular | seats, 1 + drawn(11, 4), 0)
        self.offers = np.where(regular | seats, 3 * (drawn(8, 5) == 0), drawn(len(OFFERS), 5))
        self.starts = _MONTHS[_NOW - started] + days
        months, cycles = (np.array([getattr(offer, name) for offer in OFFERS])[self.offers]
                          for name in ("months", "cycle"))  # fmt: skip
        self.ends = _MONTHS[_NOW - started + months] + days - 1
        self.charged_from, self.charged_to = _MONTHS[_NOW] + days, _MONTHS[_NOW + cycles] + days - 1
        self.full = self.charged_to - self.charged_from + 1
        self.charged_from = np.where(seats, self.charged_from + 1 + drawn(26, 6), self.charged_from)
        self.billed = self.charged_to - self.charged_from + 1
        self.kinds = np.select([regular, renewed, seats], [0, 1, 3], 2)
        self.quantities = 1 + drawn(60, 7) * (drawn(3, 8) + 1) + 3 * (self.place == _SEATS)
        self.promoted = regular & (drawn(50, 9) == 0)
        # How many decimals a prorated price is printed with.
        self.places = np.where(seats, np.array([2, 4, 6, 8])[drawn(4, 10)], 4)
        self.price_off = np.zeros(self.count, dtype=np.int64)
        self.rates = np.array([market.rate for market in MARKETS])[self.markets]
        self.foreign = np.zeros(self.count, dtype=np.bool_)

    def compute(self, spots: list[tuple[int, int]]) -> None:
        """Work out what the lines cost, and make some wrong, each in one way."""
        by_name = {name: np.array([row for row, kind in spots if _KINDS[kind] == name], dtype=np.int64)
                   for name in _KINDS}  # fmt: skip
        planted = np.array([row for row, _ in spots], dtype=np.int64)
        self.promoted[planted] = False
        for name, first, count in (("PRICE_NOT_FOUND", SKUS, UNLISTED), ("PRICE_NOT_EFFECTIVE", SKUS + UNLISTED,
                                   WITHDRAWN)):  # fmt: skip
            self.skus[by_name[name]] = first + self.lines[by_name[name]] % count
            self.segments[by_name[name]] = 0
        late = by_name["PRICE_NOT_EFFECTIVE"]
        # Bought now: terms of the withdrawn SKUs that started before July have a price.
        self.kinds[late], self.offers[late] = 2, 0
        self.starts[late] = self.charged_from[late]
        self.ends[late] = _MONTHS[_NOW + 12] + self.charged_from[late] - _MONTHS[_NOW] - 1
        second = (self.world.changes[self.skus] & (self.starts >= _MONTHS[_NOW])).astype(np.int64)
        at = (self.skus, self.markets, self.segments, second, self.offers)
        self.prices, retail = self.world.costs[at], self.world.retail[at]
        paid = self.prices * 100
        paid = np.where(self.promoted, paid * _PROMOTION // 100, paid)
        above, thin, rated = by_name["ABOVE_ERP"], by_name["MARGIN_BELOW_FLOOR"], by_name["EXCHANGE_RATE_MISMATCH"]
        paid[above], paid[thin] = retail[above] * 110, retail[thin] * 97
        self.price_off[by_name["UNIT_PRICE_MISMATCH"]] = 100
        self.rates[rated] = self.rates[rated] * 102 // 100
        self.foreign[by_name["CURRENCY_MISMATCH"]] = True
        sign = np.where(self.place == _REFUND, -1, 1)
        # Of a prorated price the exact one is charged for, and the rounded one printed.
        scale = 10 ** (self.places - 2)
        self.effective = sign * ((2 * self.prices * scale * self.billed + self.full) // (2 * self.full))
        whole = self.billed == self.full
        self.effective = np.where(whole, paid, self.effective)
        by_unit = paid * self.rates // (100 * _ONE) * self.quantities
        prorated = self.prices * self.billed * self.quantities // self.full * self.rates // _ONE
        self.subtotals = sign * np.where(whole, by_unit, prorated)
        self.subtotals[by_name["SUBTOTAL_MISMATCH"]] += 25_00
        taxes = np.array([market.tax for market in MARKETS])[self.markets]
        self.taxes = np.sign(self.subtotals) * ((2 * np.abs(self.subtotals) * taxes + 100) // 200)
        self.totals = self.subtotals + self.taxes
        self.totals[by_name["TOTAL_MISMATCH"]] += 10

    def text(self) -> pa.Array:
        """The lines as they are printed."""
        world, offers = self.world, self.offers
        orders = plain(10**11 + self.subscriptions, 0)
        charge_types = np.where(self.place == _REFUND, 4, self.kinds)
        currencies = np.where(self.foreign, len(MARKETS), self.markets)
        ordered = taken(_ISO, np.where(self.place >= _REFUND, self.charged_from, self.starts))
        titles = joined(pa.array(world.names), ",")
        price = plain(self.prices + self.price_off, 2)
        return joined(
            taken(world.who, self.customers), orders, ",", ordered, "T09:12:44.1204000Z,", taken(world.what, self.skus),
            taken(_CHARGE_TYPES, charge_types), price, ",", plain(self.quantities, 0), ",", plain(self.subtotals, 2),
            ",", plain(self.taxes, 2), ",", plain(self.totals, 2), taken(_CURRENCIES, currencies),
            taken(_ADJUSTMENTS, self.promoted.astype(np.int64)), ",Microsoft Corporation,,", taken(titles, self.skus),
            guids(223, self.subscriptions), ",", taken(_DATES, self.charged_from), ",", taken(_DATES, self.charged_to),
            taken(_TERM_TEXTS, offers), self._effective_texts(), ",Licenses,", orders, ",", plain(self.quantities, 0),
            taken(_FREQUENCIES, offers), taken(_PRICED_IN, self.markets), plain(self.rates, 9), ",10/1/2026,,,,",
            taken(_DATES, self.starts), ",", taken(_DATES, self.ends), ",", guids(227, self.subscriptions), ",,",
            taken(_PROMOTIONS, self.promoted.astype(np.int64)), "Online Services\r\n",
        )  # fmt: skip

    def _effective_texts(self) -> pa.Array:
        texts: Any = plain(self.effective, 4)
        for places in (2, 6, 8):
            texts = pc.if_else(pa.array(self.places == places), plain(self.effective, places), texts)
        return texts


_ISO = pa.array([(_FIRST + timedelta(n)).isoformat() for n in range(_DAYS)])
_CHARGE_TYPES = pa.array(["cycleCharge,", "renew,", "new,", "addQuantity,", "addQuantity,"])
_CURRENCIES = pa.array([f",{currency}," for currency in (*(market.billed for market in MARKETS), "CHF")])
_PRICED_IN = pa.array([f",{market.currency}," for market in MARKETS])
_TERM_TEXTS = pa.array([f",{offer.text}," for offer in OFFERS])
_FREQUENCIES = pa.array([f",{offer.frequency}" for offer in OFFERS])
_ADJUSTMENTS = pa.array(["", '"[""10.0% Promotion""]"'])
_PROMOTIONS = pa.array([",", "39NFJQT1X0CB:0001:39NFJQT1Q5KX,"])
