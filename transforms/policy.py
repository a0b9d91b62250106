"""The reconciliation policy: what counts as a finding, how severe it is, and what is tolerated.

One frozen object, read from a JSON or TOML file that names only what differs from the built-in policy. Its digest
is stored with every run, so that two runs of a period can be compared knowing whether they were judged alike.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from transforms.errors import SettingsError

Severity = Literal["block", "warn", "info"]
Segment = Literal["Commercial", "Education", "Charity", "Government"]

#: By weight.
SEVERITY_ORDER: tuple[Severity, ...] = ("block", "warn", "info")

#: Every finding code and its severity unless the policy says otherwise (contract, Findings).
SEVERITIES: dict[str, Severity] = {
    "SUBTOTAL_MISMATCH": "block",
    "TOTAL_MISMATCH": "block",
    "PRICE_NOT_FOUND": "warn",
    "PRICE_NOT_EFFECTIVE": "warn",
    "UNIT_PRICE_MISMATCH": "block",
    "ABOVE_ERP": "block",
    "MARGIN_BELOW_FLOOR": "warn",
    "INVOICE_TOTAL_MISMATCH": "block",
    "INVOICE_NOT_FOUND": "block",
    "INVOICE_WITHOUT_LINES": "block",
    "PEC_MISSING": "warn",
    "USAGE_MISMATCH": "warn",
    "EXCHANGE_RATE_MISMATCH": "block",
    "CURRENCY_MISMATCH": "block",
    "CHARGE_OUTSIDE_TERM": "warn",
    "OVERLAPPING_CHARGE": "block",
    "SUBSCRIPTION_DROPPED": "warn",
    "QUANTITY_CHANGED": "warn",
    "CUSTOMER_UNMAPPED": "warn",
    "BILLED_LINE_CHANGED": "block",
    "ROW_REJECTED": "block",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CustomerPolicy(_Frozen):
    """What differs for one customer (by customer id); what is left out is the policy's."""

    segment: Segment | None = None
    margin_floor: Decimal | None = Field(default=None, ge=0, lt=1)
    print_tolerance: Decimal | None = Field(default=None, ge=0)
    print_tolerance_per_unit: Decimal | None = Field(default=None, ge=0)
    price_tolerance: Decimal | None = Field(default=None, ge=0, lt=1)


class CustomerRules(NamedTuple):
    """What one customer's lines are judged by; the segment is None where the policy does not know it."""

    segment: str | None
    margin_floor: Decimal
    print_tolerance: Decimal
    print_tolerance_per_unit: Decimal
    price_tolerance: Decimal


class Policy(_Frozen):
    """The whole policy.

    Attributes:
        margin_floor: least share of the ERP price that must remain as margin, as a fraction (0.05 = 5 %).
        print_tolerance: what a subtotal may differ by when its unit price is printed with two decimals, in
            hundredths of the currency (documented examples; reference §2.1).
        print_tolerance_per_unit: what is added to it for each billed unit.
        price_tolerance: what a UnitPrice may differ by from the list price, as a fraction of it; European markets
            differ by up to 0.001 (documented as a known limitation; reference §1e).
        tax_rates: tax rates as fractions; a remainder of an invoice that equals one of them is not a mismatch.
        default_segment: segment of a customer that names none and whose prices do not tell it.
        severities: severity of a finding code, where it differs from the contract's.
        customers: what differs for a customer, by customer id.
    """

    margin_floor: Decimal = Field(default=Decimal("0.05"), ge=0, lt=1)
    print_tolerance: Decimal = Field(default=Decimal("0.01"), ge=0)
    print_tolerance_per_unit: Decimal = Field(default=Decimal("0.005"), ge=0)
    price_tolerance: Decimal = Field(default=Decimal(0), ge=0, lt=1)
    tax_rates: tuple[Decimal, ...] = ()
    default_segment: Segment = "Commercial"
    severities: dict[str, Severity] = Field(default_factory=dict)
    customers: dict[str, CustomerPolicy] = Field(default_factory=dict)

    @field_validator("severities")
    @classmethod
    def _known_codes(cls, severities: dict[str, Severity]) -> dict[str, Severity]:
        unknown = sorted(set(severities) - set(SEVERITIES))
        if unknown:
            raise ValueError(f"unknown finding code {', '.join(unknown)}; known: {', '.join(sorted(SEVERITIES))}")
        return severities

    @field_validator("customers")
    @classmethod
    def _lower_ids(cls, customers: dict[str, CustomerPolicy]) -> dict[str, CustomerPolicy]:
        return {customer_id.lower(): customer for customer_id, customer in customers.items()}

    def severity(self, code: str) -> Severity:
        """Severity of a finding code."""
        return self.severities.get(code, SEVERITIES[code])

    def of(self, customer_id: str | None) -> CustomerRules:
        """What a customer's lines are judged by."""
        own = self.customers.get((customer_id or "").lower(), _NOTHING_OWN)
        values = {name: getattr(own, name) for name in CustomerRules._fields}
        common = {name: getattr(self, name) for name in CustomerRules._fields if name != "segment"}
        return CustomerRules(**{**values, **{name: value for name, value in common.items() if values[name] is None}})

    def of_each(self, customer_ids: Sequence[str | None]) -> list[CustomerRules]:
        """What the lines of each of these customers are judged by."""
        common = self.of(None)
        return [
            self.of(customer_id) if (customer_id or "").lower() in self.customers else common
            for customer_id in customer_ids
        ]

    def to_json(self) -> str:
        """The policy as JSON with sorted keys, what the digest is taken of."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the policy."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


_NOTHING_OWN = CustomerPolicy()


def parse_policy(text: str, name: str) -> Policy:
    """Read a policy from JSON or TOML text.

    Args:
        text: the file's text; decimals may be numbers or texts.
        name: the file's name, for errors.

    Raises:
        SettingsError: the text is neither, or names an unknown or impossible setting.
    """
    try:
        if text.lstrip().startswith("{"):
            content = json.loads(text, parse_float=Decimal)
        else:
            content = tomllib.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise SettingsError(f"policy {name} is neither JSON nor TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"policy {name} is nested too deeply: settings are names and values") from None
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "policy"
        raise SettingsError(f"policy {name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
