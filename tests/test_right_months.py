"""Months that are right by Microsoft's rules, and some that are not, which are easily judged wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from examples import catalogue as listed
from examples.dates import add_months, month
from examples.documents import InvoiceNumbers
from examples.lines import ReconLine
from examples.month import RenderedMonth
from examples.numbers import CENT, guid, subtotal_of_licence, tax_of
from examples.portfolio import Event, Portfolio, Subscription
from examples.year import Issue, Issued, as_rendered, write_year
from examples.year_catalogue import make_year_catalogue
from examples.year_stories import make_year_portfolio
from tests.reconciled_months import Reconciled, reconcile_months

MONTHS = [month(f"2025-0{number}") for number in (1, 2, 3)]
CUSTOMERS = 8
Reconcile = Callable[..., Reconciled]


@pytest.fixture
def reconcile(tmp_path: Path) -> Reconcile:
    """Writes and reconciles three months of a few customers, with a subscription more and changed months."""

    def run(*, subscription: Subscription | None = None, issue: Issue = as_rendered) -> Reconciled:
        portfolio = make_portfolio()
        portfolio.subscriptions += [subscription] if subscription else []
        truth = write_year(tmp_path / "exports", portfolio, MONTHS, 1, make_year_catalogue(MONTHS), issue=issue)
        return reconcile_months(truth, tmp_path / "home")

    return run


def make_portfolio() -> Portfolio:
    """The same every time, so that a subscription's customer can be one of its own."""
    return make_year_portfolio(Random("right months"), MONTHS, CUSTOMERS)


def subscription(sku: listed.Sku, start: date, *events: Event, first_charge: str = "new") -> Subscription:
    """A subscription of ten seats of an American customer, for a year, billed monthly."""
    customer = make_portfolio().customers[0]
    return Subscription(
        guid(Random(sku.title)), customer, sku, listed.MONTHLY_OF_YEAR, start, 10, sku.title, "0a1b2c3d4e5f", start,
        events, first_charge=first_charge,
    )  # fmt: skip


def codes(year: Reconciled) -> Counter[tuple[str, str]]:
    return Counter((one["period"], one["code"]) for one in year.alarms)


def test_the_months_as_they_are_raise_no_alarm(reconcile: Reconcile) -> None:
    assert codes(reconcile(subscription=subscription(listed.RAISED, date(2024, 9, 5)))) == Counter()


def test_a_new_list_price_may_be_shown_in_mid_term(reconcile: Reconcile) -> None:
    """ "If it changes in the middle of the term, the reconciliation data can show the new price, but it's not used"."""
    sub = subscription(listed.RAISED, date(2024, 9, 5))
    catalogue, shown = make_year_catalogue(MONTHS), []

    def issue(index: int, rendered: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
        for line in rendered.lines:
            if line.subscription_id == sub.id:
                row = catalogue.price(sub.sku, *sub.plan, sub.customer.market, line.charge_start)
                shown.append(row.unit_price_per_cycle != line.unit_price)
                line.unit_price = row.unit_price_per_cycle
        return as_rendered(index, rendered, numbers)

    year = reconcile(subscription=sub, issue=issue)
    assert shown == [False, False, True]
    assert codes(year) == Counter()


def test_a_credit_note_may_amend_an_invoice_of_the_month_before(reconcile: Reconcile) -> None:
    """Its lines name the note, and the note is a document of the period; the invoice itself was billed before."""
    before: list[str] = []

    def issue(index: int, rendered: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
        documents, planted = as_rendered(index, rendered, numbers)
        *invoices, note = documents
        amended = before[-1] if before else note.amends
        before.append(note.amends)
        return [*invoices, replace(note, amends=amended)], planted

    assert codes(reconcile(issue=issue)) == Counter()


def test_a_voided_invoice_is_out_together_with_its_lines(reconcile: Reconcile) -> None:
    """ "The first invoice is voided after you get rebilled": both exports are there, one of them counts."""

    def issue(index: int, rendered: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
        documents, planted = as_rendered(index, rendered, numbers)
        if index != 1:
            return documents, planted
        void = next(document for document in documents if document.currency == "GBP")
        number = numbers.without_lines
        rendered.lines += [replace(x, invoice_number=number) for x in rendered.lines if x.invoice_number == void.number]
        rendered.usage += [replace(x, invoice_number=number) for x in rendered.usage if x.invoice_number == void.number]
        others = [document for document in documents if document is not void]
        return [*others, replace(void, document_type="void_note"), replace(void, number=number)], planted

    assert codes(reconcile(issue=issue)) == Counter()


def test_a_late_change_of_plan_is_prorated_by_months(reconcile: Reconcile) -> None:
    """ "250 × 11/12 = 229.1667 (change of plan after one month)": the last month of a year costs a twelfth, in February
    too."""
    charity = next(one for one in make_portfolio().customers if one.segment == "Charity")
    start = date(2024, 3, 12)
    event = Event(add_months(start, 11), "changeBillingPlan", plan=listed.ANNUAL)
    sub = replace(subscription(listed.CHARITY[1], start, event), customer=charity)
    assert codes(reconcile(subscription=sub)) == Counter()


def test_a_licence_may_be_split_into_telco_and_other_lines(reconcile: Reconcile) -> None:
    """ "Microsoft 365 E5 may split into telco and non-telco lines": together they are one charge."""
    sub = subscription(listed.COMMERCIAL[5], date(2024, 9, 5))

    def issue(index: int, rendered: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
        (whole,) = [line for line in rendered.lines if line.subscription_id == sub.id]
        telco = (whole.effective_unit_price / 8).quantize(CENT)
        place = rendered.lines.index(whole)
        rest = whole.effective_unit_price - telco
        rendered.lines[place : place + 1] = [_part(whole, "telco", telco), _part(whole, "non-telco", rest)]
        return as_rendered(index, rendered, numbers)

    assert codes(reconcile(subscription=sub, issue=issue)) == Counter()


def _part(whole: ReconLine, name: str, price: Decimal) -> ReconLine:
    product = replace(whole.product, sku_name=f"{whole.product.sku_name} ({name})")
    part = replace(whole, product=product, effective_unit_price=price)
    subtotal = subtotal_of_licence(Fraction(price), whole.billable_quantity)
    part.set_subtotal(subtotal, tax_of(subtotal, whole.customer.tax_rate))
    return part


@pytest.mark.parametrize(
    ("first_charge", "events"),
    [
        ("convert", ()),
        ("new", (Event(date(2025, 2, 14), "convert", sku=listed.AFTER_UPGRADE),)),
    ],
    ids=["bought after a trial", "upgraded"],
)
def test_a_subscription_that_a_conversion_brought_about_can_be_dropped(
    reconcile: Reconcile, first_charge: str, events: tuple[Event, ...]
) -> None:
    """Billed last period, its term not over, no cancel line, and absent now: converting into it did not end it."""
    sub = subscription(listed.BEFORE_UPGRADE, date(2025, 2, 5), *events, first_charge=first_charge)
    year = reconcile(subscription=replace(sub, vanishes_on=date(2025, 3, 1)))
    assert codes(year) == Counter({("2025-03", "SUBSCRIPTION_DROPPED"): 1})
