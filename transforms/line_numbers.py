"""The numeric columns of lines, as exact numbers to calculate with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.money import Fixed, Integers, currency_exponent


@dataclass(frozen=True)
class LineNumbers:
    """Numbers of reconciliation or usage lines; an absent tax is none, an absent rate 1.

    Attributes:
        unit_price: list price of the charge cycle, pricing currency.
        effective: effective unit price, pricing currency.
        quantity: billable quantity, where it is absent the purchased one.
        rate: exchange rate from pricing to billing currency.
        subtotal: charge before tax, billing currency, like tax and total.
        places: decimals of the billing currency's smallest coin.
    """

    unit_price: Fixed
    effective: Fixed
    quantity: Fixed
    rate: Fixed
    subtotal: Fixed
    tax: Fixed
    total: Fixed
    places: Integers

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
            places=_places(recon.column("currency").combine_chunks()),
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
            places=_places(usage.column("billing_currency").combine_chunks()),
        )


def _column(table: pa.Table, name: str) -> Fixed:
    return Fixed.from_arrow(table.column(name))


def _filled(table: pa.Table, name: str, value: int) -> Fixed:
    there = _column(table, name)
    return there.where(there.valid, Fixed.constant(value, len(there)))


def _places(currencies: pa.Array) -> Integers:
    encoded = currencies.dictionary_encode()
    exponents = np.array([*(currency_exponent(name) for name in encoded.dictionary.to_pylist()), 2], dtype=np.int64)
    places: Integers = exponents[np.asarray(encoded.indices.fill_null(len(exponents) - 1))]
    return places
