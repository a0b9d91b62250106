"""Discrepancies between what is metered and the Azure plan list of its month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from examples.azure import AZURE_CREDIT
from examples.azure_prices import MeterPrice
from examples.customers import Market
from examples.lines import ReconLine, UsageRow
from examples.meters import BY_ID, MICROSOFT, RESERVED, Meter
from examples.month import RenderedMonth
from examples.truth import Planted

_LATE = 10


class AzureListPlanter:
    """Plants into the list of one market and month: in turn a meter is missing, or its price begins too late."""

    def __init__(self, random: Random, index: int, month: RenderedMonth) -> None:
        self.month, self._is_missing = month, index % 4 == 0
        self._planted = self._choose(random) if index % 2 == 0 else None
        if self._planted:
            month.azure_prices[:] = [
                replace(price, start=price.start.replace(day=_LATE)) if self._is_at(price) else price
                for price in month.azure_prices
                if not (self._is_missing and self._is_at(price))
            ]

    def is_listed(self, row: ReconLine | UsageRow) -> bool:
        """Whether it is Microsoft's, and nothing is planted at the list price of a metered line or usage row."""
        planted = self._planted is not None and _place(row) == _key(*self._planted)
        return row.product.publisher_name == MICROSOFT and not planted

    def findings(self) -> Iterator[Planted]:
        """The rows that the planted list does not price."""
        if not self._planted:
            return
        meter, market = self._planted
        for row in self.month.usage:
            if _place(row) != _key(meter, market) or row.credit_type == AZURE_CREDIT:
                continue
            if self._is_missing:
                note = f"the list of {market.country} lacks the meter"
                yield Planted("PRICE_NOT_FOUND", note, row.invoice_number, row)
            elif row.usage_date.day < _LATE:
                note = f"the list's row starts on the {_LATE}th"
                yield Planted("PRICE_NOT_EFFECTIVE", note, row.invoice_number, row)
        for line in self.month.lines:
            if self._is_missing and _place(line) == _key(meter, market) and line.charge_type != "customerCredit":
                note = f"the list of {market.country} lacks the meter"
                yield Planted("PRICE_NOT_FOUND", note, line.invoice_number, line)

    def _choose(self, random: Random) -> tuple[Meter, Market] | None:
        """A meter that somebody uses, without a free tier, whose price is the same all month."""
        prices = [price.meter.id for price in self.month.azure_prices if price.market.country == "US"]
        used = {
            (row.meter_id, row.customer.market.country): (BY_ID[row.meter_id], row.customer.market)
            for row in self.month.usage
            if row.product.publisher_name == MICROSOFT and row.meter_id != RESERVED.id
            and row.customer.market.country != "US" and prices.count(row.meter_id) == 1
        }  # fmt: skip
        return used[random.choice(sorted(used))] if used else None

    def _is_at(self, price: MeterPrice) -> bool:
        return self._planted is not None and _key(price.meter, price.market) == _key(*self._planted)


def _place(row: ReconLine | UsageRow) -> tuple[str, str, str]:
    return row.product.product_id, row.product.sku_id.zfill(4), row.customer.market.country


def _key(meter: Meter, market: Market) -> tuple[str, str, str]:
    return meter.product.product_id, meter.product.sku_id.zfill(4), market.country
