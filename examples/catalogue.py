"""What can be bought: products, SKUs and the price list's rows, by the rules of the real licence price sheets.

Both prices of a row are for the whole term (measured in the sheet of November 2025): the annual term billed monthly
costs 1.05 of the one billed annually and divides by 12 into exact cents, a three-year term is three annual ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal

from examples.customers import MARKETS, Market
from examples.dates import ALWAYS, FOREVER, add_months
from examples.numbers import CENT, ZERO

MONTHLY_OF_YEAR = ("P1Y", "Monthly")
ANNUAL = ("P1Y", "Annual")
MONTH = ("P1M", "Monthly")
TRIAL = ("P1M", "None")
THREE_MONTHLY, THREE_ANNUAL, TRIENNIAL = ("P3Y", "Monthly"), ("P3Y", "Annual"), ("P3Y", "Triennial")
USUAL = (MONTHLY_OF_YEAR, ANNUAL, MONTH)
LONG = (*USUAL, THREE_MONTHLY, THREE_ANNUAL, TRIENNIAL)
TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36}
CYCLE_MONTHS = {"Monthly": 1, "Annual": 12, "Triennial": 36, "None": 1}


@dataclass(frozen=True)
class Sku:
    """One SKU of a product in one segment.

    Attributes:
        erp: retail price of one month, annual term billed annually, in US dollars.
        ratio: partner's share of it: UnitPrice / ERP Price.
        plans: the (term, billing plan) pairs it is sold in.
    """

    product_id: str
    sku_id: str
    product_title: str
    title: str
    segment: str
    erp: Decimal
    ratio: Decimal
    plans: tuple[tuple[str, str], ...] = USUAL
    category: str = "Online Services"

    @property
    def padded_id(self) -> str:
        """The SKU id as the line exports print it."""
        return self.sku_id.zfill(4)


@dataclass(frozen=True)
class PriceRow:
    """One row of a price list; both prices in the market's currency, for the whole term.

    Attributes:
        change, previous: ChangeIndicator and earlier prices in the list of the month in which the row starts.
        delisted_on: first day of the month whose list lacks the row; none: every later list has it.
    """

    sku: Sku
    term: str
    plan: str
    market: Market
    unit_price: Decimal
    erp_price: Decimal
    start: datetime
    end: datetime = FOREVER
    change: str = "Unchanged"
    previous: tuple[Decimal, Decimal] | None = None
    delisted_on: date | None = None

    @property
    def cycles(self) -> int:
        """Charge cycles of the term."""
        return TERM_MONTHS[self.term] // CYCLE_MONTHS[self.plan]

    @property
    def unit_price_per_cycle(self) -> Decimal:
        """What the partner pays per seat and charge cycle; exact in cents."""
        return (self.unit_price / self.cycles).quantize(CENT)

    @property
    def erp_per_cycle(self) -> Decimal:
        """Retail price per seat and charge cycle; exact in cents."""
        return (self.erp_price / self.cycles).quantize(CENT)


def _sku(
    ids: str, title: str, erp: str, ratio: str, segment: str = "Commercial",
    plans: tuple[tuple[str, str], ...] = USUAL, product_title: str = "",
) -> Sku:
    product_id, sku_id = ids.split(":")
    return Sku(product_id, sku_id, product_title or title, title, segment, Decimal(erp), Decimal(ratio), plans)


COMMERCIAL = (
    _sku("CFQ7TTC0PB10:1", "Microsoft 365 Business Basic", "6", "0.80", plans=LONG),
    _sku("CFQ7TTC0PB11:1", "Microsoft 365 Business Standard", "12.5", "0.80"),
    _sku("CFQ7TTC0PB12:2", "Microsoft 365 Business Premium", "22", "0.80", plans=LONG),
    _sku("CFQ7TTC0PB12:000N", "Microsoft 365 Business Premium (no Teams)", "18.8", "0.80",
         product_title="Microsoft 365 Business Premium"),
    _sku("CFQ7TTC0PK20:1", "Microsoft 365 E3", "36", "0.80", plans=LONG),
    _sku("CFQ7TTC0PK21:2", "Microsoft 365 E5", "57", "0.80", plans=LONG),
    _sku("CFQ7TTC0PX30:1", "Exchange Online (Plan 1)", "4", "0.80"),
    _sku("CFQ7TTC0PX31:9", "Microsoft Intune Plan 1", "8", "0.80"),
    _sku("CFQ7TTC0PX32:2", "Microsoft Defender for Business", "3", "0.80"),
    _sku("CFQ7TTC0PD40:2", "Dynamics 365 Sales Professional", "65", "0.75", plans=LONG),
    _sku("CFQ7TTC0PD41:13", "Dynamics 365 Business Central Essentials", "70", "0.70"),
    _sku("CFQ7TTC0PV50:2", "Visio Plan 2", "15", "0.80"),
    _sku("CFQ7TTC0PW60:000P", "Windows 365 Business 2 vCPU, 8 GB, 128 GB", "40.5", "0.80"),
)
EDUCATION = (
    _sku("CFQ7TTC0PA70:000W", "Microsoft 365 A3 (Education Faculty Pricing)", "5.8", "0.80", "Education",
         product_title="Microsoft 365 A3"),
    _sku("CFQ7TTC0PV50:12", "Visio Plan 2 (Education Faculty Pricing)", "2.2", "0.80", "Education",
         product_title="Visio Plan 2"),
    _sku("CFQ7TTC0PD40:14", "Dynamics 365 Sales Professional (Education Faculty Pricing)", "35.8", "0.75", "Education",
         product_title="Dynamics 365 Sales Professional"),
)
CHARITY = (
    _sku("CFQ7TTC0PB12:000J", "Microsoft 365 Business Premium (Nonprofit Staff Pricing)", "5.5", "0.90", "Charity",
         product_title="Microsoft 365 Business Premium"),
    _sku("CFQ7TTC0PK20:001G", "Microsoft 365 E3 (Non-Profit Pricing)", "9", "0.90", "Charity",
         product_title="Microsoft 365 E3"),
    _sku("CFQ7TTC0PV50:11", "Visio Plan 2 (Non-Profit Pricing)", "6", "0.90", "Charity", product_title="Visio Plan 2"),
)
# The same SKU in two segments: only the price tells which one a line was sold in.
SHARED = (
    _sku("CFQ7TTC0PP80:1", "Power BI Pro", "14", "0.80"),
    _sku("CFQ7TTC0PP80:1", "Power BI Pro", "4.2", "0.90", "Charity"),
)
# A price that changed in mid-history, in two rows that overlap for two days.
REPRICED = _sku("CFQ7TTC0PL90:1", "Planner Plan 1", "10", "0.80")
REPRICED_BEFORE = Decimal("8.6")
WITHDRAWN = _sku("CFQ7TTC0PR91:3", "Microsoft Teams Rooms Standard", "15", "0.80")
RAISED = _sku("CFQ7TTC0PM92:4", "Microsoft Teams Phone Standard", "8", "0.80")
BEFORE_UPGRADE, AFTER_UPGRADE = COMMERCIAL[4], COMMERCIAL[5]
# Listed all the time, unless a gap in its history is planted.
PAUSED = _sku("CFQ7TTC0PS93:5", "Microsoft Entra Suite", "12", "0.80")
TRIALS = (
    _sku("CFQ7TTC0PB12:3", "Microsoft 365 Business Premium", "0", "0.80", plans=(TRIAL,)),
    _sku("CFQ7TTC0PD40:8", "Dynamics 365 Sales Professional", "0", "0.75", plans=(TRIAL,)),
)
# Listed and not sold in the example: they carry the sheet's change marks.
LISTED_ONLY = (
    _sku("CFQ7TTC0PN01:2", "Dynamics 365 Business Central Device", "45", "0.70", plans=LONG),
    _sku("CFQ7TTC0PN02:001H", "Microsoft Purview Suite for Business Premium", "10", "0.80"),
    _sku("CFQ7TTC0PN03:5", "Microsoft Entra ID P1 (Education Student Pricing)", "0.3", "0.80", "Education",
         product_title="Microsoft Entra ID P1"),
    _sku("CFQ7TTC0PN04:17", "Project Plan 3 GCC", "30", "1.00", "Government", product_title="Project Plan 3"),
)
ALL_SKUS = (
    *COMMERCIAL, *EDUCATION, *CHARITY, *SHARED, REPRICED, WITHDRAWN, RAISED, *TRIALS, *LISTED_ONLY, PAUSED,
)


class Catalogue:
    """The price rows of all markets, and the row that a term is priced by."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self.rows = list(rows)
        self._by_offer: dict[tuple[Sku, str, str, str], list[PriceRow]] = {}
        for row in self.rows:
            self._by_offer.setdefault((row.sku, row.term, row.plan, row.market.country), []).append(row)

    def price(self, sku: Sku, term: str, plan: str, market: Market, on: date) -> PriceRow:
        """The row valid at midnight UTC of that day.

        Of overlapping ones the one that ends first (documented), of those that end together the one that starts last.
        """
        moment = datetime.combine(on, time())
        rows = [r for r in self._by_offer[sku, term, plan, market.country] if r.start <= moment <= r.end]
        return min(sorted(rows, key=lambda row: row.start, reverse=True), key=lambda row: row.end)

    def list_of(self, market: Market, day: date) -> list[PriceRow]:
        """The rows of a market's price list of the month of `day`, with that list's change marks."""
        first = datetime.combine(day.replace(day=1), time())
        following = datetime.combine(add_months(first.date(), 1), time())
        listed = [
            row for row in self.rows
            if row.market == market and row.start < following
            and (row.delisted_on is None or first.date() < row.delisted_on)
        ]  # fmt: skip
        return [row if row.start >= first else replace(row, change="Unchanged", previous=None) for row in listed]


def make_catalogue(first: date) -> Catalogue:
    """Price rows whose history fits an example that starts on `first`, the first day of a month."""
    rows: list[PriceRow] = []
    for market in MARKETS:
        for index, sku in enumerate(ALL_SKUS):
            for term, plan in sku.plans:
                rows.extend(_history(sku, term, plan, market, first, index))
    return Catalogue(rows)


def _history(sku: Sku, term: str, plan: str, market: Market, first: date, index: int) -> list[PriceRow]:
    row = lasting_row(sku, term, plan, market, first, index)
    if sku is REPRICED:
        switch = repriced_on(first)
        old_unit, old_erp = prices_of(replace(sku, erp=REPRICED_BEFORE), term, plan, market)
        old_end = datetime.combine(switch + timedelta(days=2), time(6, 57, 30))
        return [
            replace(row, unit_price=old_unit, erp_price=old_erp, end=old_end),
            replace(row, start=datetime.combine(switch, time())),
        ]
    if sku is LISTED_ONLY[0]:
        before = prices_of(replace(sku, erp=sku.erp * Decimal("0.9")), term, plan, market)
        return [replace(row, start=datetime.combine(first, time()), change="Change", previous=before)]
    if sku is LISTED_ONLY[1]:
        return [replace(row, start=datetime.combine(first, time()), change="Add")]
    return [row]


def repriced_on(first: date) -> date:
    """The day from which the new price of the repriced SKU is valid; the old row ends two days later."""
    return add_months(first, -5)


def lasting_row(sku: Sku, term: str, plan: str, market: Market, first: date, index: int) -> PriceRow:
    """The row of an offer whose price never changes, valid since before the longest term that can still be running."""
    unit, erp = prices_of(sku, term, plan, market)
    since = datetime.combine(add_months(first, -40 - index), time())
    return PriceRow(sku, term, plan, market, unit, erp, ALWAYS if plan == "None" or index % 9 == 4 else since)


def prices_of(sku: Sku, term: str, plan: str, market: Market) -> tuple[Decimal, Decimal]:
    """UnitPrice and ERP Price for the whole term."""
    if plan == "None":
        return ZERO, ZERO
    erp = (sku.erp * market.level).quantize(Decimal("0.01"), ROUND_HALF_UP)
    factor = {MONTH: Decimal("1.20")}.get((term, plan), Decimal("1.05") if plan == "Monthly" else Decimal(1))
    monthly_erp = (erp * factor).quantize(CENT, ROUND_HALF_UP)
    monthly_unit = ((erp * sku.ratio).quantize(CENT, ROUND_HALF_UP) * factor).quantize(CENT, ROUND_HALF_UP)
    months = TERM_MONTHS[term]
    return monthly_unit * months, monthly_erp * months
