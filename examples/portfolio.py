"""What the customers have: subscriptions with their terms and seat history, Azure plans, and everything else billed.

A portfolio is simulated once (`examples.stories`, `examples.year_stories`); the months are rendered from it
(`examples.licences`, `examples.azure`, `examples.others`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from examples.catalogue import Sku
from examples.customers import Customer, Partner

Plan = tuple[str, str]
UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Promotion:
    """A promotion: the fraction of the list price that is paid during the first term."""

    id: str
    share: Decimal
    text: str


@dataclass(frozen=True)
class Event:
    """Something that happens to a subscription on a day: a ChargeType, and the seats or the offer after it.

    `UNEXPLAINED` is no ChargeType: the seats differ from that cycle on, and no line says why. A `renew` on the first
    day of a term says what it is renewed as. Events of several subscriptions that belong together share a reference.
    """

    on: date
    charge_type: str
    seats: int = 0
    sku: Sku | None = None
    plan: Plan | None = None
    reference_id: str = ""


@dataclass(frozen=True)
class Subscription:
    """A licence subscription that renews itself.

    Attributes:
        start: first day of the first term.
        anchor: day that terms and cycles are counted from; earlier than `start` in a coterminous first term.
        first_charge: charge type of the very first charge.
        last_day: the term that ends on this day is not renewed; none: every term is.
        vanishes_on: first day from which the exports leave the subscription out, although it goes on.
    """

    id: str
    customer: Customer
    sku: Sku
    plan: Plan
    start: date
    seats: int
    nickname: str
    order_id: str
    anchor: date
    events: tuple[Event, ...] = ()
    promotion: Promotion | None = None
    first_charge: str = "new"
    trial_until: date | None = None
    last_day: date | None = None
    vanishes_on: date | None = None


@dataclass(frozen=True)
class AzurePlan:
    """A customer's Azure plan with its Azure subscriptions; credit pays for one of its meters.

    Attributes:
        without_access: days on which the partner has no access to the customer's resources, which earns no credit.
    """

    id: str
    customer: Customer
    order_id: str
    ordered_on: date
    entitlements: tuple[tuple[str, str], ...]
    has_credit: bool
    seed: str
    without_access: frozenset[date] = frozenset()


@dataclass(frozen=True)
class OtherPurchase:
    """A monthly charge outside the licence list: a reservation (first party) or a marketplace subscription."""

    id: str
    customer: Customer
    order_id: str
    is_reservation: bool
    start: date
    quantity: int
    reservation_order_id: str
    vanishes_on: date | None = None


@dataclass
class Portfolio:
    """Everything that is billed, of one partner."""

    partner: Partner
    customers: list[Customer]
    subscriptions: list[Subscription] = field(default_factory=list)
    azure_plans: list[AzurePlan] = field(default_factory=list)
    other_purchases: list[OtherPurchase] = field(default_factory=list)
