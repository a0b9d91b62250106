"""The partner, the markets it sells in, and its customers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from examples.numbers import ONE, ZERO, guid


@dataclass(frozen=True)
class Market:
    """A country of customers and the currency that they are priced and billed in.

    Attributes:
        level: local licence price for one US dollar of list price.
        dollar_rate: what one US dollar usually costs in billing currency, for what is priced in dollars (Azure).
        tax_rate: tax on every line of the market, as a fraction.
    """

    country: str
    currency: str
    symbol: str
    level: Decimal
    dollar_rate: Decimal
    tax_rate: Decimal


UNITED_STATES = Market("US", "USD", "$", ONE, ONE, ZERO)
UNITED_KINGDOM = Market("GB", "GBP", "£", Decimal("0.82"), Decimal("0.789312"), Decimal("0.2"))
GERMANY = Market("DE", "EUR", "€", Decimal("0.94"), Decimal("0.921475508"), ZERO)
MARKETS = (UNITED_STATES, UNITED_KINGDOM, GERMANY)


@dataclass(frozen=True)
class Partner:
    """The partner whose exports these are."""

    id: str
    name: str
    mpn_id: str


@dataclass(frozen=True)
class Customer:
    """A customer's tenant. Two customers may share a name, never an id."""

    id: str
    name: str
    domain: str
    market: Market
    segment: str
    tax_rate: Decimal
    tier2_mpn_id: str


_HOUSEHOLD: tuple[tuple[str, Market, str], ...] = (
    ("Fabrikam, Inc.", UNITED_STATES, "Commercial"),
    ("O'Brien & Sons Ltd", UNITED_KINGDOM, "Commercial"),
    ("Contoso Dental", UNITED_STATES, "Commercial"),
    ("Müller, Söhne & Co. KG", GERMANY, "Commercial"),
    ("St. Mary's School District", UNITED_STATES, "Education"),
    ("Contoso Dental", UNITED_STATES, "Commercial"),
    ("Alpine Ski House plc", UNITED_KINGDOM, "Commercial"),
    ("Fundación Niños Unidos", UNITED_STATES, "Charity"),
    ('Wingtip "Express" Couriers', UNITED_STATES, "Commercial"),
    ("Bäckerei Größe GmbH", GERMANY, "Commercial"),
    ("Tailspin Toys", UNITED_STATES, "Commercial"),
    ("Łukasz & D'Arcy Architects", UNITED_KINGDOM, "Commercial"),
)
FEWEST = 6


def make_partner(random: Random) -> Partner:
    """The partner of a seed."""
    return Partner(guid(random), "Northwind Cloud Partners", str(4_000_000 + random.randrange(1_999_999)))


def make_customers(random: Random, count: int) -> list[Customer]:
    """`count` customers; from the thirteenth on, the names are numbered."""
    customers = []
    for index in range(count):
        base, market, segment = _HOUSEHOLD[index % len(_HOUSEHOLD)]
        round_ = index // len(_HOUSEHOLD)
        name = f"{base} {round_ + 1}" if round_ else base
        # One American customer in a state that taxes software, so that tax is not a property of the invoice.
        tax_rate = Decimal("0.0825") if index % len(_HOUSEHOLD) == 2 else market.tax_rate
        tier2 = str(4_000_000 + random.randrange(1_999_999)) if index % 5 == 3 else "0"
        domain = f"{_slug(name)}{index + 1:02d}.onmicrosoft.com"
        customers.append(Customer(guid(random), name, domain, market, segment, tax_rate, tier2))
    return customers


def _slug(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in ascii_name.lower() if letter.isalnum())[:18]
