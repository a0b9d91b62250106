"""What of a run's charges is not billed, and why: the money that an approved and billed month still leaves."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from connectors.reports.amounts import counted, money_texts, sums_by_currency, verb
from connectors.warehouse.of_run import read_of, report_sql
from transforms.tables.reports import REPORT_UNBILLED

#: Reasons in the order in which they are told.
_REASONS = ("no_document", "no_invoice", "no_lines", "short", "unreadable", "refused")
#: How many invoices are named.
_NAMED = 5


@dataclass(frozen=True)
class Unbilled:
    """Charges that cannot be billed for one reason.

    Attributes:
        reason: as in REPORT_UNBILLED.
        lines: how many lines, or rows of the exports, there are.
        amounts: what they come to, by currency; empty where that is not known.
        invoices: the invoices that they are of.
    """

    reason: str
    lines: int
    amounts: dict[str | None, Decimal]
    invoices: tuple[str, ...]

    def why(self, run_id: str) -> str:
        """How much it is and why, in a sentence that says what to do or to look at."""
        lines, money = counted(self.lines, "line"), ", ".join(money_texts(self.amounts)) or "unknown amounts"
        count = len(self.invoices)
        named = f"{'invoice' if count == 1 else 'invoices'} {_listed(self.invoices)}"
        sentences = {
            "no_document": f"{lines} of {money}: the exports have no document of {named}",
            "no_invoice": f"{lines} of {money}: {verb('they', self.lines)} {'names' if self.lines == 1 else 'name'} no "
            "invoice",
            "no_lines": f"{money} of {named}: the exports have no line of {verb('them', count)}",
            "short": f"{money} of {named}: {verb('they are', count)} that much more than the lines that could be read",
            "unreadable": f"{counted(self.lines, 'row')} that could not be read, whose amounts are not known: "
            f"`csp-billing findings --run {run_id} --code ROW_REJECTED` says why",
            "refused": f"{lines} of {money}: HaloPSA or its limits refused {verb('them', self.lines)}, `csp-billing "  # noqa: S608
            "warehouse query \"select * from out_halo_load where state = 'rejected'\"` says why",
        }
        return sentences[self.reason]

    def to_dict(self, run_id: str) -> dict[str, Any]:
        """It as JSON."""
        amounts = {currency or "": amount for currency, amount in self.amounts.items()}
        invoices = list(self.invoices)
        return {
            "reason": self.reason, "lines": self.lines, "amounts": amounts, "invoices": invoices,
            "why": self.why(run_id),
        }  # fmt: skip


def read_unbilled(connection: sa.Connection, run_id: str, halo_url: str | None) -> list[Unbilled]:
    """What of a run is not billed, whatever is done in HaloPSA; what waits to be loaded or marked is not among it.

    Args:
        connection: an open transaction.
        run_id: the run.
        halo_url: the HaloPSA, as the ledger has it; None for none.
    """
    parameters = {"run_id": run_id, "halo_url": halo_url or ""}
    rows = read_of(connection, REPORT_UNBILLED, report_sql("unbilled"), parameters, {}).to_pylist()
    found = []
    for reason in _REASONS:
        own = [row for row in rows if row["reason"] == reason]
        if own:
            invoices = sorted({row["invoice_number"] for row in own if row["invoice_number"]})
            sums = sums_by_currency((row["currency"], row["total_amount"]) for row in own)
            found.append(Unbilled(reason, sum(row["line_count"] for row in own), sums, tuple(invoices)))
    return found


def _listed(invoices: tuple[str, ...]) -> str:
    more = len(invoices) - _NAMED
    return ", ".join(invoices[:_NAMED]) + (f" and {more} more" if more > 0 else "")
