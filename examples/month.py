"""Write a realistic month of all four partner exports, with planted discrepancies and their truth table.

    python -m examples.month FOLDER --period 2025-11 --seed 1 --customers 12 [--truth FILE] [--clean]

The same arguments give the same bytes. Nothing of it is anybody's data: customers, ids and prices are invented, the
shapes and the rules are those of the real files.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

from examples.azure import azure_lines, usage_rows
from examples.azure_prices import MeterPrice, meter_prices
from examples.catalogue import Catalogue, make_catalogue
from examples.customers import FEWEST, MARKETS, Partner
from examples.dates import Span, month
from examples.documents import InvoiceDocument, InvoiceNumbers, as_json, invoice_documents, invoice_numbers
from examples.licences import licence_lines, service_credit_lines
from examples.lines import ReconLine, UsageRow
from examples.others import other_lines
from examples.plant.month import Planter
from examples.portfolio import Portfolio
from examples.stories import make_portfolio
from examples.truth import Truth, TruthRow, WrittenMonth, truth_order, truth_row, write_table
from examples.writers import write_azure_price_list, write_price_list, write_recon, write_usage
from transforms.errors import InputError

_PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


@dataclass
class RenderedMonth:
    """The lines and the usage of one month of a portfolio, and the Azure plan lists of all markets."""

    lines: list[ReconLine]
    usage: list[UsageRow]
    azure_prices: list[MeterPrice]


def generate_month(
    folder: Path,
    *,
    period: str = "2025-11",
    seed: int = 1,
    customers: int = 12,
    plant: bool = True,
    truth_path: Path | None = None,
) -> Truth:
    """Write the four exports of one month into `folder` and the truth table beside it.

    Args:
        folder: is created; files of the same names are overwritten.
        period: billing period, YYYY-MM.
        seed: another seed gives other customers, subscriptions and usage.
        customers: at least 6, so that every market is sold to.
        plant: whether discrepancies are planted; without them the month reconciles without a finding.
        truth_path: where the truth table is written; by default `truth.csv` next to `folder`, not in it.

    Returns:
        The planted discrepancies (none without `plant`) and the number of records in each file.

    Raises:
        InputError: for a period or a number of customers that cannot be used.
    """
    span = parse_month(period)
    if customers < FEWEST:
        raise InputError(f"{customers} customers are too few for an example month: ask for {FEWEST} or more")
    portfolio = make_portfolio(Random(f"{seed}/portfolio"), span, customers)
    catalogue = make_catalogue(span.start)
    numbers = invoice_numbers(Random(f"{seed}/invoices"), span)
    licences = [line for sub in portfolio.subscriptions for line in licence_lines(sub, catalogue, span)]
    rendered = render_month(portfolio, licences, span, numbers)
    planter = Planter(Random(f"{seed}/plant"), span, rendered.lines, rendered.usage, numbers)
    if plant:
        planter.plant()
        catalogue = planter.plant_prices(catalogue)
    path = truth_path or folder.parent / "truth.csv"
    documents = invoice_documents(rendered.lines, numbers, planter.surplus) + planter.documents
    written = write_month(folder, portfolio.partner, catalogue, span, numbers, rendered, documents)
    rows = tuple(sorted((truth_row(item, written) for item in planter.planted), key=truth_order))
    write_table(path, TruthRow, rows)
    return Truth(rows, path, written.files)


def parse_month(period: str) -> Span:
    """The month of a period.

    Raises:
        InputError: it is not written as YYYY-MM.
    """
    if not _PERIOD.fullmatch(period):
        raise InputError(f"period {period!r} is not a month: write it as YYYY-MM, for instance 2025-11")
    return month(period)


def render_month(
    portfolio: Portfolio, licences: list[ReconLine], span: Span, numbers: InvoiceNumbers
) -> RenderedMonth:
    """Everything that a portfolio is billed in a month: licences, other purchases, Azure plans, a credit note.

    `licences` are the month's licence lines; they get the month's invoice numbers.
    """
    lines = licences[:]
    for line in lines:
        line.invoice_number = numbers.of(line.customer.market)
    usage: list[UsageRow] = []
    reservations = {item.customer.id: item for item in portfolio.other_purchases if item.is_reservation}
    for purchase in portfolio.other_purchases:
        lines.extend(other_lines(purchase, span, numbers.of(purchase.customer.market)))
    for plan in portfolio.azure_plans:
        number = numbers.of(plan.customer.market)
        rows = usage_rows(plan, span, number, reservations.get(plan.customer.id))
        usage.extend(rows)
        lines.extend(azure_lines(plan, rows, span))
    places = {customer.id: place for place, customer in enumerate(portfolio.customers)}
    lines.sort(key=lambda line: places[line.customer.id])
    american = [line for line in lines if line.invoice_number == numbers.of(MARKETS[0])]
    lines.extend(service_credit_lines(american, numbers.credit_note))
    return RenderedMonth(lines, usage, [price for market in MARKETS for price in meter_prices(market, span)])


def write_month(
    folder: Path,
    partner: Partner,
    lists: Catalogue,
    span: Span,
    numbers: InvoiceNumbers,
    rendered: RenderedMonth,
    documents: list[InvoiceDocument],
) -> WrittenMonth:
    """Write the exports of a month into `folder`, which is created: lines, usage, every market's lists, invoices."""
    folder.mkdir(parents=True, exist_ok=True)
    first = numbers.of(MARKETS[0])
    recon, usage = f"{first}_BilledReconciliation_c000.csv", f"{first}_BilledUsage_c000.csv.gz"
    write_recon(folder / recon, partner, rendered.lines)
    write_usage(folder / usage, partner, rendered.usage)
    files = {recon: len(rendered.lines), usage: len(rendered.usage)}
    for market in MARKETS:
        ending = "csv" if market is MARKETS[0] else "zip"
        name = f"{span.start:%b}_NCE_LicenseBasedPL_GA_{market.country}.{ending}"
        prices = lists.list_of(market, span.start)
        write_price_list(folder / name, prices)
        azure_name = f"{span.start:%b}_AzurePlanPL_{market.country}.{ending}"
        azure_prices = [price for price in rendered.azure_prices if price.market == market]
        write_azure_price_list(folder / azure_name, azure_prices)
        files |= {name: len(prices), azure_name: len(azure_prices)}
    invoices = f"invoices_{span.start:%Y-%m}.json"
    (folder / invoices).write_text(as_json(documents, span), encoding="utf-8")
    files[invoices] = len(documents)
    places = {id(line): (recon, number) for number, line in enumerate(rendered.lines, start=2)}
    places |= {id(row): (usage, number) for number, row in enumerate(rendered.usage, start=2)}
    return WrittenMonth(files, places)


def main(arguments: list[str] | None = None) -> int:
    """Write an example month from the command line and say what was written."""
    parser = argparse.ArgumentParser(prog="python -m examples.month", description="Write an example month of exports.")
    parser.add_argument("folder", type=Path, help="where the exports are written")
    parser.add_argument("--period", default="2025-11", help="billing period, YYYY-MM (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another month (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=12, help="how many customers (default: %(default)s)")
    parser.add_argument("--truth", type=Path, help="where the truth table is written (default: truth.csv next to it)")
    parser.add_argument("--clean", action="store_true", help="plant no discrepancies")
    options = parser.parse_args(arguments)
    try:
        truth = generate_month(
            options.folder, period=options.period, seed=options.seed, customers=options.customers,
            plant=not options.clean, truth_path=options.truth,
        )  # fmt: skip
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name, count in truth.files.items():
        print(f"{count:8,}  {options.folder / name}")
    print(f"{len(truth.rows):8,}  {truth.path} (planted discrepancies)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
