"""Write the partner exports of consecutive months, a folder each, with planted discrepancies and their truth table.

    python -m examples.year FOLDER --first 2025-01 --months 12 --seed 1 --customers 24 [--plant]

One portfolio is simulated and rendered month by month, so that what happens in one month is what the next one goes on
from. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from examples.catalogue import Catalogue
from examples.customers import FEWEST, Customer
from examples.dates import Span, add_months, month
from examples.documents import InvoiceDocument, InvoiceNumbers, invoice_documents, invoice_numbers
from examples.licences import licence_lines
from examples.month import RenderedMonth, parse_month, render_month, write_month
from examples.plant.history import History, history_findings, plant_history
from examples.plant.lists import list_findings, plant_lists
from examples.plant.year import YearPlanter
from examples.portfolio import Portfolio
from examples.truth import Planted, YearTruthRow, truth_order, truth_row, write_table
from examples.year_catalogue import make_year_catalogue
from examples.year_stories import make_year_portfolio
from transforms.errors import InputError

Issued = tuple[list[InvoiceDocument], list[Planted]]
Issue = Callable[[int, RenderedMonth, InvoiceNumbers], Issued]

_FEWEST_MONTHS = 2
_MONTHS_TO_PLANT, _CUSTOMERS_TO_PLANT = 12, 24


@dataclass(frozen=True)
class YearTruth:
    """What was written: the planted discrepancies, where their table and the months are, and the records of each file.

    Attributes:
        folders: the folder of each month, by period.
        customers: the table of HaloPSA clients by tenant.
        files: records by period and file.
    """

    rows: list[YearTruthRow]
    path: Path
    customers: Path
    folders: dict[str, Path]
    files: dict[str, dict[str, int]]

    @property
    def counts(self) -> dict[str, int]:
        """Planted discrepancies by code."""
        return dict(sorted(Counter(row.code for row in self.rows).items()))


def generate_year(
    folder: Path,
    *,
    first: str = "2025-01",
    months: int = 12,
    seed: int = 1,
    customers: int = 24,
    plant: bool = False,
) -> YearTruth:
    """Write the exports of consecutive months below `folder`, one folder each, named by its period.

    Beside them are `customers.csv`, the HaloPSA clients of the tenants, and `truth.csv`, the truth table.

    Args:
        folder: is created; files of the same names are overwritten.
        first: the first billing period, YYYY-MM.
        months: how many; at least 2, and 12 if discrepancies are planted.
        seed: another seed gives other customers, subscriptions and usage.
        customers: at least 6, so that every market is sold to, and 24 if discrepancies are planted.
        plant: whether discrepancies are planted; without them every month reconciles without a finding.

    Returns:
        The planted discrepancies and what was written.

    Raises:
        InputError: for a period or numbers that cannot be used.
    """
    fewest_months, fewest_customers = (_MONTHS_TO_PLANT, _CUSTOMERS_TO_PLANT) if plant else (_FEWEST_MONTHS, FEWEST)
    if months < fewest_months or customers < fewest_customers:
        raise InputError(f"ask for {fewest_months} or more months and for {fewest_customers} or more customers")
    start = parse_month(first).start
    spans = [month(f"{add_months(start, after):%Y-%m}") for after in range(months)]
    portfolio = make_year_portfolio(Random(f"{seed}/portfolio"), spans, customers)
    catalogue = make_year_catalogue(spans)
    if not plant:
        return write_year(folder, portfolio, spans, seed, catalogue)
    unmapped = frozenset(one.id for one in portfolio.customers[:: customers // 2 + 1])
    history = plant_history(Random(f"{seed}/history"), portfolio, spans)
    planting = _Planting(seed, spans, history, unmapped)
    return write_year(folder, portfolio, spans, seed, catalogue, plant_lists(catalogue, spans), planting, unmapped)


def as_rendered(index: int, month: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
    """Documents that the lines of a month add up to, and nothing planted."""
    return invoice_documents(month.lines, numbers, {}), []


class _Planting:
    """Plants into one month after the other."""

    def __init__(self, seed: int, spans: Sequence[Span], history: History, unmapped: frozenset[str]) -> None:
        self.seed, self.spans, self.history, self.unmapped = seed, spans, history, unmapped
        self.previous: RenderedMonth | None = None

    def __call__(self, index: int, month: RenderedMonth, numbers: InvoiceNumbers) -> Issued:
        random = Random(f"{self.seed}/plant/{self.spans[index].start}")
        planter = YearPlanter(random, index, month, self.previous, numbers, self.history.subscriptions)
        planter.plant()
        before = self.previous.lines if self.previous else []
        tenants = {line.customer.id for line in month.lines}
        self.previous = month
        return planter.documents(), [
            *planter.planted,
            *history_findings(self.history, self.spans[index], month.lines, month.usage, before),
            *list_findings(month.lines, self.spans),
            *(Planted("CUSTOMER_UNMAPPED", "no client in customers.csv", "", customer_id=tenant)
              for tenant in sorted(tenants & self.unmapped)),
        ]  # fmt: skip


def write_year(
    folder: Path,
    portfolio: Portfolio,
    spans: Sequence[Span],
    seed: int,
    catalogue: Catalogue,
    lists: Catalogue | None = None,
    issue: Issue = as_rendered,
    unmapped: frozenset[str] = frozenset(),
) -> YearTruth:
    """Write the exports of these months of a portfolio.

    Args:
        folder: is created.
        portfolio: what is billed.
        spans: the months, one after the other.
        seed: another seed gives other invoice numbers.
        catalogue: what the lines are priced by.
        lists: the price lists that are written, where they are not the catalogue's.
        issue: what happens to a month before it is written: gets its number from 0 on, its lines and usage, which it
            may change, and its invoice numbers; returns the invoice documents and what was planted.
        unmapped: the tenants that have no HaloPSA client.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth = YearTruth([], folder / "truth.csv", folder / "customers.csv", {}, {})
    whole = Span(spans[0].start, spans[-1].end)
    licences = [line for sub in portfolio.subscriptions for line in licence_lines(sub, catalogue, whole)]
    for index, span in enumerate(spans):
        period = f"{span.start:%Y-%m}"
        numbers = invoice_numbers(Random(f"{seed}/invoices/{period}"), span)
        rendered = render_month(portfolio, [line for line in licences if line.charge_start in span], span, numbers)
        documents, planted = issue(index, rendered, numbers)
        truth.folders[period] = folder / period
        written = write_month(
            folder / period, portfolio.partner, lists or catalogue, span, numbers, rendered, documents
        )
        truth.files[period] = written.files
        found = [(item, truth_row(item, written)) for item in planted]
        rows = [YearTruthRow(**asdict(row), period=period, customer_id=item.customer_id) for item, row in found]
        truth.rows.extend(sorted(rows, key=truth_order))
    _write_clients(truth.customers, [one for one in portfolio.customers if one.id not in unmapped])
    write_table(truth.path, YearTruthRow, truth.rows)
    return truth


def _write_clients(path: Path, customers: Sequence[Customer]) -> None:
    """The HaloPSA client of each tenant."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("customer_id", "client_id", "client_name"))
        writer.writerows((one.id, 100 + number, one.name) for number, one in enumerate(customers, start=1))


def main(arguments: list[str] | None = None) -> int:
    """Write consecutive months from the command line and say what was written."""
    parser = argparse.ArgumentParser(prog="python -m examples.year", description="Write months of example exports.")
    parser.add_argument("folder", type=Path, help="where the months' folders are written")
    parser.add_argument("--first", default="2025-01", help="first billing period, YYYY-MM (default: %(default)s)")
    parser.add_argument("--months", type=int, default=12, help="how many months (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another year (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=24, help="how many customers (default: %(default)s)")
    parser.add_argument("--plant", action="store_true", help="plant discrepancies")
    options = parser.parse_args(arguments)
    try:
        truth = generate_year(
            options.folder, first=options.first, months=options.months, seed=options.seed,
            customers=options.customers, plant=options.plant,
        )  # fmt: skip
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for period, files in truth.files.items():
        print(f"{sum(files.values()):8,}  {truth.folders[period]} ({len(files)} files)")
    for code, count in truth.counts.items():
        print(f"{count:8,}  {code}")
    print(f"{len(truth.rows):8,}  {truth.path} (planted discrepancies)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
