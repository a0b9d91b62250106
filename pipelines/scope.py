"""What an ad hoc reconciliation is limited to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError
from transforms.policy import SEVERITIES

if TYPE_CHECKING:
    from transforms.reconcile import Reconciliation


@dataclass(frozen=True)
class Scope:
    """Customers, invoices and finding codes; empty means everything, and several kinds must all hold."""

    customers: tuple[str, ...] = ()
    invoices: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether nothing is left out."""
        return not (self.customers or self.invoices or self.codes)

    def to_json(self) -> str | None:
        """The scope as JSON; None for a full run."""
        return None if self.is_full else json.dumps(asdict(self))

    def limit(self, result: Reconciliation) -> Reconciliation:
        """A period's results as far as they are in scope.

        Lines and findings are those of the customers and invoices; with codes, findings of these codes and the lines
        they name. The tie-out is that of the invoices, and nobody's where only customers or codes are asked for.
        """
        if self.is_full:
            return result
        findings, lines, tieout = (self._own(table) for table in (result.findings, result.lines, result.tieout))
        if self.codes:
            findings = findings.filter(_is_in(findings, "code", self.codes))
            lines = lines.filter(pc.is_in(lines.column("line_id"), findings.column("line_id").combine_chunks()))
        if self.customers or self.codes:
            tieout = tieout.slice(0, 0)
        return replace(result, lines=lines, findings=findings, tieout=tieout)

    def _own(self, table: pa.Table) -> pa.Table:
        keep = np.ones(table.num_rows, dtype=np.bool_)
        for name, wanted in (("customer_id", self.customers), ("invoice_number", self.invoices)):
            if wanted and name in table.column_names:
                keep &= np.asarray(_is_in(table, name, wanted))
        return table.filter(pa.array(keep))


def finding_codes(given: Iterable[str]) -> tuple[str, ...]:
    """Finding codes as a user typed them, in any case, as they are spelt.

    Raises:
        InputError: there is no such code; names those that there are.
    """
    codes = tuple(code.upper() for code in given)
    unknown = sorted(set(codes) - set(SEVERITIES))
    if unknown:
        known = ", ".join(sorted(SEVERITIES))
        raise InputError(f"there is no finding code {', '.join(unknown)}: the codes are {known}")
    return codes


def _is_in(table: pa.Table, name: str, wanted: Sequence[str]) -> pa.Array:
    """Whether a column has one of the values, whatever their case."""
    values = pa.array([value.lower() for value in wanted])
    found = pc.is_in(pc.utf8_lower(table.column(name)), values)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
