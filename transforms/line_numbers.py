"""The numeric columns of lines, as exact numbers to calculate with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.integers import Integers
from transforms.money import Fixed, currency_exponent
from transforms.texts import values_and_codes


class Coins(NamedTuple):
    """Decimals of the smallest coin of each line's billing and pricing currency."""

    billing: Integers
    pricing: Integers

    @classmethod
    def of(cls, billing: pa.Array | pa.ChunkedArray, pricing: pa.Array | pa.ChunkedArray) -> Coins:
        """Look the currencies up (ISO 4217); without a pricing currency it is the billing currency."""
        named, own = np.asarray(pc.is_valid(pricing)), _exponents(billing)
        return cls(own, np.where(named, _exponents(pricing), own))

    def take(self, rows: Integers) -> Coins:
        """Lines by position."""
        return Coins(self.billing[rows], self.pricing[rows])


@dataclass(frozen=True)
class LineNumbers:
    """Numbers of reconciliation or usage lines; an absent tax is none, an absent rate 1.

    Attributes:
        unit_price: list price of the charge cycle, pricing currency.
        effective: effective unit price, pricing currency.
        quantity: billable quantity, where it is absent the purchased one.
        rate: exchange rate from pricing to billing currency.
        subtotal: charge before tax, billing currency, like tax and total.
        coins: the smallest coins of the currencies.
    """

    unit_price: Fixed
    effective: Fixed
    quantity: Fixed
    rate: Fixed
    subtotal: Fixed
    tax: Fixed
    total: Fixed
    coins: Coins

    @classmethod
    def of_recon(cls, recon: pa.Table) -> LineNumbers:
        """Read reconciliation lines."""
        quantity = _column(recon, "billable_quantity")
        return cls(
            unit_price=_column(recon, "unit_price"),
            effective=_column(recon, "effective_unit_price"),
            quantity=quantity.where(quantity.valid, _column(recon, "quantity")),
            rate=_filled(recon, "pc_to_bc_exchange_rate", 1),
            subtotal=_column(recon, "subtotal"),
            tax=_filled(recon, "tax_total", 0),
            total=_column(recon, "total"),
            coins=Coins.of(recon.column("currency"), recon.column("pricing_currency")),
        )

    @classmethod
    def of_usage(cls, usage: pa.Table) -> LineNumbers:
        """Read usage lines, which are charged before tax."""
        charge = _column(usage, "billing_pre_tax_total")
        return cls(
            unit_price=_column(usage, "unit_price"),
            effective=_column(usage, "effective_unit_price"),
            quantity=_column(usage, "quantity"),
            rate=_filled(usage, "pc_to_bc_exchange_rate", 1),
            subtotal=charge,
            tax=Fixed.constant(0, len(charge)),
            total=charge,
            coins=Coins.of(usage.column("billing_currency"), usage.column("pricing_currency")),
        )


def _column(table: pa.Table, name: str) -> Fixed:
    return Fixed.from_arrow(table.column(name))


def _filled(table: pa.Table, name: str, value: int) -> Fixed:
    there = _column(table, name)
    return there.where(there.valid, Fixed.constant(value, len(there)))


def _exponents(currencies: pa.Array | pa.ChunkedArray) -> Integers:
    names, codes = values_and_codes(currencies)
    exponents = np.array([currency_exponent(name) for name in [*names.to_pylist(), None]], dtype=np.int64)
    found: Integers = exponents[codes]
    return found
