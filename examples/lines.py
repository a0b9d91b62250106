"""One row of each line export, typed; the writers print it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from examples.catalogue import PriceRow
from examples.customers import Customer
from examples.numbers import ONE, ZERO


@dataclass(frozen=True)
class Product:
    """The product columns of a line."""

    product_id: str
    sku_id: str
    availability_id: str
    sku_name: str
    product_name: str
    publisher_name: str
    publisher_id: str = ""
    category: str = ""


@dataclass
class ReconLine:
    """One line of the invoice reconciliation.

    Attributes:
        unit_price, effective_unit_price: as printed, in the pricing currency.
        subtotal, tax_total, total: in the currency of the customer's market.
        price_row: what a licence line was priced by; not printed.
        currency: billing currency, where it is not the market's.
        is_full_cycle: whether a whole charge cycle at the list price is charged; not printed.
        is_last: whether it is the last charge of a term that is not renewed; not printed.
        damage: texts that replace printed values; `cut_after` ends the row after so many fields.
    """

    customer: Customer
    invoice_number: str
    order_id: str
    order_date: datetime
    product: Product
    charge_type: str
    unit_price: Decimal
    effective_unit_price: Decimal
    billable_quantity: Decimal
    quantity: Decimal
    subtotal: Decimal
    tax_total: Decimal
    total: Decimal
    subscription_id: str
    description: str
    charge_start: date
    charge_end: date
    subscription_start: date | None = None
    subscription_end: date | None = None
    term_text: str = ""
    frequency: str = ""
    adjustment: str = ""
    unit_type: str = ""
    pricing_currency: str = ""
    rate: Decimal = ONE
    rate_date: date | None = None
    meter: str = ""
    reservation_order_id: str = ""
    credit_reason: str = ""
    reference_id: str = ""
    qualifiers: str = ""
    promotion_id: str = ""
    price_row: PriceRow | None = None
    is_full_cycle: bool = False
    is_last: bool = False
    currency: str = ""
    damage: dict[str, str] = field(default_factory=dict)
    cut_after: int = 0

    @property
    def is_readable(self) -> bool:
        """Whether a reader can take the row."""
        return not self.damage and not self.cut_after

    def set_subtotal(self, subtotal: Decimal, tax_total: Decimal) -> None:
        """Replace the amounts, keeping Total = Subtotal + TaxTotal."""
        self.subtotal, self.tax_total, self.total = subtotal, tax_total, subtotal + tax_total


@dataclass
class UsageRow:
    """One row of the daily rated usage.

    Attributes:
        line_key: names the reconciliation line that the row is summed into.
        currency: billing currency, where it is not the market's.
    """

    customer: Customer
    invoice_number: str
    product: Product
    subscription_id: str
    charge_start: date
    charge_end: date
    usage_date: date
    meter_type: str
    meter_category: str
    meter_id: str
    meter_sub_category: str
    meter_name: str
    meter_region: str
    unit: str
    location: str
    service: str
    resource_group: str
    resource_uri: str
    unit_price: Decimal
    effective_unit_price: Decimal
    quantity: Decimal
    rate: Decimal
    rate_date: date
    entitlement_id: str
    entitlement_name: str
    credit_percentage: Decimal | None
    earned_credit: Decimal | None
    credit_type: str
    tags: str
    additional_info: str
    line_key: tuple[str, ...]
    billing_total: Decimal = ZERO
    pricing_total: Decimal = ZERO
    currency: str = ""
    damage: dict[str, str] = field(default_factory=dict)
