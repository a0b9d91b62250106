"""What an ad hoc reconciliation is limited to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError
from transforms.integers import Mask
from transforms.policy import SEVERITIES
from transforms.texts import where

#: How many customers of a name are named.
_NAMED = 10


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

    def asked(self, lines: pa.Table) -> Mask | None:
        """Which lines are of the customers and invoices, None for all; of codes only the findings tell the lines."""
        asked: Mask | None = None
        for name, wanted in (("customer_id", self.customers), ("invoice_number", self.invoices)):
            if wanted and name in lines.column_names:
                own = _is_in(lines, name, wanted)
                asked = own if asked is None else asked & own
        return asked

    def limit_findings(self, findings: pa.Table) -> pa.Table:
        """Findings of the customers, invoices and codes."""
        own = self._own(findings)
        return own.filter(pa.array(_is_in(own, "code", self.codes))) if self.codes else own

    def limit_tieout(self, tieout: pa.Table) -> pa.Table:
        """The tie-out of the invoices, and nobody's where only customers or codes are asked for."""
        return tieout.slice(0, 0) if self.customers or self.codes else self._own(tieout)

    def check_customers(self, known: Iterable[tuple[str, str]]) -> None:
        """Raise InputError where a customer is given by name; names the tenants of the customers so called.

        Args:
            known: tenant (in lower case) and name of each customer.
        """
        customers = list(known)
        tenants = {tenant for tenant, _ in customers}
        for given in self.customers:
            if given.lower() in tenants:
                continue
            wanted = given.strip().casefold()
            meant = [f"{tenant} ({name})" for tenant, name in customers if wanted and wanted in name.casefold()]
            if meant:
                more = f" and {len(meant) - _NAMED} more" if len(meant) > _NAMED else ""
                raise InputError(
                    f"--customer {given}: it takes the customer's tenant id; so named are {', '.join(meant[:_NAMED])}"
                    f"{more}"
                )

    def _own(self, table: pa.Table) -> pa.Table:
        asked = self.asked(table)
        return table if asked is None else table.filter(pa.array(asked))


def part_of(run: Mapping[str, Any]) -> str:
    """Which part of its period a run (columns of RUNS) was limited to, in words; empty for all of it."""
    if run["scope"] is None:
        return ""
    scope = Scope(**{name: tuple(values) for name, values in json.loads(run["scope"]).items()})
    kinds = (("customer", scope.customers), ("invoice", scope.invoices), ("code", scope.codes))
    return " and ".join(
        f"{kind if len(values) == 1 else f'{kind}s'} {', '.join(values)}" for kind, values in kinds if values
    )


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


def _is_in(table: pa.Table, name: str, wanted: Sequence[str]) -> Mask:
    """Whether a column has one of the values, whatever their case."""
    lower = pa.array([value.lower() for value in wanted], pa.string())
    return where(table.column(name), lambda values: pc.is_in(pc.utf8_lower(values), lower))
