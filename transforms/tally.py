"""What parts of a period's lines add up to, and the small records they leave; parts are merged in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.conservation import Sums, added
from transforms.currency_checks import Rates
from transforms.customer_checks import Customers, merged_customers
from transforms.records import CHARGE, METER_DAY, SEATS, Array, MemoryRecords, Records
from transforms.usage_checks import CHARGES, merged_charges

#: At least how many parts' charges are kept before they are summed up.
_PARTS = 32


@dataclass
class Tally:
    """One part's share.

    Attributes:
        sums: rows and amounts by invoice and currency.
        rates: how many lines carry which exchange rate.
        customers: the customers that are named.
        charge_types: how many lines have a charge type that is not known, by it.
        billed, used: charges of Azure-plan lines and of usage by group (CHARGES).
        charges, seats, meter_days: records (CHARGE, SEATS, METER_DAY).
        untold: records (CHARGE) of usage lines whose file has to tell whether they carry partner earned credit.
        told_files: places of files that have percentages of partner earned credit.
    """

    sums: Sums = field(default_factory=dict)
    rates: Rates = field(default_factory=Counter)
    customers: Customers = field(default_factory=dict)
    charge_types: Counter[str] = field(default_factory=Counter)
    billed: pa.Table = field(default_factory=CHARGES.empty_table)
    used: pa.Table = field(default_factory=CHARGES.empty_table)
    charges: Array = field(default_factory=lambda: np.zeros(0, dtype=CHARGE))
    seats: Array = field(default_factory=lambda: np.zeros(0, dtype=SEATS))
    meter_days: Array = field(default_factory=lambda: np.zeros(0, dtype=METER_DAY))
    untold: Array = field(default_factory=lambda: np.zeros(0, dtype=CHARGE))
    told_files: set[int] = field(default_factory=set)


class Total:
    """The tallies of all parts; `keep` makes the records' place, in memory unless another one is given."""

    def __init__(self, keep: Callable[[np.dtype[Any]], Records] = MemoryRecords) -> None:
        self.sums: Sums = {}
        self.rates: Rates = Counter()
        self.customers: Customers = {}
        self.charge_types: Counter[str] = Counter()
        self.charges, self.seats, self.meter_days = keep(CHARGE), keep(SEATS), keep(METER_DAY)
        self.untold = keep(CHARGE)
        self.told_files: set[int] = set()
        self._groups: dict[str, list[pa.Table]] = {"billed": [], "used": []}

    def add(self, tally: Tally) -> None:
        """Count one more part."""
        self.sums = added(self.sums, tally.sums)
        self.rates.update(tally.rates)
        self.customers = merged_customers([self.customers, tally.customers])
        self.charge_types.update(tally.charge_types)
        self.told_files |= tally.told_files
        for records, array in ((self.charges, tally.charges), (self.seats, tally.seats),
                               (self.meter_days, tally.meter_days), (self.untold, tally.untold)):  # fmt: skip
            records.add(array)
        for name, parts in self._groups.items():
            parts.append(getattr(tally, name))
            # Not before they are as many as what is summed up already, which would cost more and more.
            if len(parts) > _PARTS and sum(part.num_rows for part in parts[1:]) > parts[0].num_rows:
                parts[:] = [merged_charges(parts)]

    @property
    def billed(self) -> pa.Table:
        """Charges of Azure-plan lines by group (CHARGES)."""
        return merged_charges(self._groups["billed"])

    @property
    def used(self) -> pa.Table:
        """Charges of daily usage by group (CHARGES)."""
        return merged_charges(self._groups["used"])

    @property
    def invoices(self) -> set[str]:
        """Invoices that reconciliation lines name."""
        return {account.invoice_number for account in self.sums if account.kind == "invoice_recon"}
