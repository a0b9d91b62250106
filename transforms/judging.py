"""Some lines of a period judged by themselves: identity, price, sums, and what they add to the whole.

The lines come in parts, each of one file, in any order and any number: what a part of them concludes does not depend
on the others. What does is left as sums and small records in the tally, and concluded when all parts are in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.categories import Categories, categorise, unknown_charge_types
from transforms.charge_checks import check_terms
from transforms.conservation import check_conservation, sums_of_source
from transforms.currency_checks import check_currencies, count_rates
from transforms.customer_checks import customers_of
from transforms.customer_rules import LineRules
from transforms.digests import identities
from transforms.documents import voided_invoices, without_voided
from transforms.findings import Finding, findings_table
from transforms.integers import Mask
from transforms.line_checks import check_margin, check_price_found, check_sums, check_unit_price
from transforms.line_identity import charge_keys
from transforms.line_numbers import LineNumbers
from transforms.line_reader import LineReader
from transforms.lines import recon_lines, usage_lines
from transforms.policy import Policy
from transforms.pricing import Pricer
from transforms.records import CHARGE
from transforms.rounding import RoundingResult, explain_subtotals, explain_usage
from transforms.standing import seat_records
from transforms.tally import Tally
from transforms.texts import only
from transforms.usage_checks import (
    billed_charges,
    check_partner_earned_credit,
    used_charges,
    without_earned_credit,
)


@dataclass(frozen=True)
class Judge:
    """Judges the lines of one period; threads may share it.

    Attributes:
        period: YYYY-MM.
        policy: by what they are judged.
        invoices: the period's invoice documents.
        pricer: prices the lines.
        has_previous: whether the period before was reconciled, so that subscriptions can be compared.
    """

    period: str
    policy: Policy
    invoices: pa.Table
    pricer: Pricer
    has_previous: bool = True
    voided: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "voided", voided_invoices(self.invoices))

    def judge(self, rows: pa.Table, kind: str, file: int, asked: Mask | None = None) -> Judged:
        """Judge lines of one file.

        Args:
            rows: lines of the period as the export's table has them, without line_id and period.
            kind: `invoice_recon` or `daily_usage`.
            file: the place of their file among the period's files.
            asked: which of them are asked for; the others only count in what all lines together conclude. Those that
                share a charge must all be asked for or none of them (see `charge_keys`).
        """
        keys = charge_keys(rows, kind)
        rows = rows.append_column("line_id", identities(*keys))
        tally = Tally(sums=sums_of_source(rows, kind), rates=count_rates(rows, kind), customers=customers_of(rows))
        tally.charges = np.zeros(rows.num_rows, dtype=CHARGE)
        for name, column in (("key", keys[0]), ("file", file), ("row", np.asarray(rows.column("source_row")))):
            tally.charges[name] = column
        own, sums = rows, tally.sums
        if asked is not None:
            own, tally.charges = only(rows, asked), tally.charges[asked]
            sums = sums_of_source(own, kind)
        if kind == "invoice_recon":
            categories = self._tally_recon(rows, tally, file)
            lines, findings = self._recon(own, categories if own is rows else categorise(own))
        else:
            self._tally_usage(rows, tally, file)
            lines, findings = self._usage(own, tally)
        check_conservation(sums, lines)
        kept = rows if kind == "invoice_recon" else own
        return Judged(kind, kept, lines, findings_table(findings, self.policy), tally)

    def _tally_recon(self, recon: pa.Table, tally: Tally, file: int) -> Categories:
        """Tally what all lines conclude together; gives their categories."""
        categories = categorise(recon)
        tally.charge_types.update(unknown_charge_types(recon))
        standing = without_voided(recon, self.voided)
        own = categories if standing is recon else categorise(standing)
        tally.billed = billed_charges(standing, own)
        tally.seats = self._seats(standing, own, file)
        return categories

    def _tally_usage(self, usage: pa.Table, tally: Tally, file: int) -> None:
        tally.used, tally.meter_days = used_charges(without_voided(usage, self.voided))
        if usage.column("partner_earned_credit_percentage").null_count < usage.num_rows:
            tally.told_files.add(file)

    def _recon(self, recon: pa.Table, categories: Categories) -> tuple[pa.Table, list[Finding]]:
        pricing, numbers = self.pricer.price_lines(recon, categories), LineNumbers.of_recon(recon)
        rules = LineRules(self.policy, recon.column("customer_id"))
        rounding, reader = _explain(categories, numbers, rules), LineReader(recon)
        findings = [
            *check_sums(reader, rounding, numbers),
            *check_price_found(reader, pricing),
            *check_unit_price(reader, pricing, numbers, recon.column("promotion_id")),
            *check_margin(reader, pricing, numbers, rules),
            *check_terms(reader, recon, categories),
            *check_currencies(recon, "currency", self.invoices),
        ]
        return recon_lines(recon, pricing, rounding, numbers), findings

    def _seats(self, recon: pa.Table, categories: Categories, file: int) -> Any:
        records = seat_records(recon, categories, np.full(recon.num_rows, file, dtype=np.uint32))
        return records if self.has_previous else records[records["flags"] > 0]

    def _usage(self, usage: pa.Table, tally: Tally) -> tuple[pa.Table, list[Finding]]:
        pricing, numbers = self.pricer.price_usage(usage), LineNumbers.of_usage(usage)
        rounding, reader = explain_usage(numbers), LineReader(usage, "billing_currency")
        missing, untold = without_earned_credit(usage)
        if tally.told_files:
            missing |= untold
        else:
            tally.untold = tally.charges[untold]
        findings = [
            *check_price_found(reader, pricing),
            *check_unit_price(reader, pricing, numbers, None),
            *check_currencies(usage, "billing_currency", self.invoices),
            *check_partner_earned_credit(usage, missing),
        ]
        return usage_lines(usage, pricing, rounding), findings


#: Where a line and its price were delivered, which says nothing about what was concluded.
PROVENANCE = ("source_file", "source_row", "price_file_sha256", "price_source_file", "price_source_row")


@dataclass(frozen=True)
class Judged:
    """What became of some lines.

    Attributes:
        kind: `invoice_recon` or `daily_usage`.
        rows: lines as delivered, with their identity (of equal charges all the same one for now): what is asked for,
            and all reconciliation lines, since a subscription is charged on several invoices.
        lines: rows of the lines table without run_id and period, of what is asked for.
        findings: rows of the findings table without run_id and period, of what is asked for.
        tally: what all lines add to the whole.
    """

    kind: str
    rows: pa.Table
    lines: pa.Table
    findings: pa.Table
    tally: Tally


def _explain(categories: Categories, numbers: LineNumbers, rules: LineRules) -> RoundingResult:
    """Rounding rules of the subtotals; a customer credit is explained by its magnitude.

    A credit carries the quantity of the charge it credits and may print its unit price without the sign.
    """
    price, quantity = numbers.effective, numbers.quantity
    if categories.credit.any():
        negative = numbers.subtotal.sign() < 0
        magnitude = price.abs().where(~negative, -price.abs())
        price = magnitude.where(categories.credit, price)
        quantity = quantity.abs().where(categories.credit, quantity)
    return explain_subtotals(price, quantity, numbers.rate, numbers.subtotal, numbers.coins, rules)
