"""csp-billing's reading and reconciling alone, without a warehouse write: `python -m benchmarks.ours FOLDER`.

The lines are read and judged part by part as in a run, with their identities; what is left out is what a run does
besides: copies of the files, the warehouse's rows, and the wording of findings that only show over all lines.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, cast

import pyarrow as pa

from benchmarks.answers import answer
from benchmarks.generate import PERIOD
from connectors.spill import FileRecords
from connectors.warehouse.bulk import Prepared
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.period_lines import LinePreparer
from pipelines.extract import Extraction, extract, line_exports
from pipelines.parts import PartJudge
from pipelines.processes import open_processes
from pipelines.scope import Scope
from pipelines.settings import Settings
from pipelines.threads import WORKERS, in_order
from transforms.currency_checks import odd_rates
from transforms.judging import Judge
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.pricing import Pricer
from transforms.tally import Total
from transforms.tieout import tie_out
from transforms.usage_checks import groups_apart


class _Counted(NamedTuple):
    """Stands where a run has `PreparedLines`."""

    judged: int
    prepared: tuple[Prepared, ...]
    unexplained: int


@dataclass(frozen=True)
class _CountOnly:
    """Stands where a run makes lines ready to be written: counts those without a rounding rule, and keeps no row."""

    #: So that workers make the lines ready, which then have no rows to be handed over.
    dialect: str = "postgresql"

    def __call__(self, kind: str, _rows: pa.Table, lines: pa.Table) -> _Counted:
        unexplained = lines.column("rounding_rule").null_count if kind == "daily_usage" else 0
        return _Counted(lines.num_rows, (), unexplained)


def main(folder: Path) -> None:
    """Reconcile the folder's month and print the answer."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), exports=str(folder))
        ensure_current(open_warehouse(settings.warehouse))
        print(_answer(extract(settings, PERIOD)))


def _answer(extraction: Extraction) -> str:
    policy = Policy()
    shas = frozenset(extraction.prices.column("file_sha256").unique().to_pylist())
    lists = PriceLists(extraction.price_lists, PERIOD, shas)
    judge = PartJudge(Judge(PERIOD, policy, extraction.invoices, Pricer(lists, policy), has_previous=False), Scope())
    total, codes = Total(FileRecords), Counter[str]()
    lines = unexplained = 0
    with open_processes(WORKERS) as engine:
        prepare = cast(LinePreparer, _CountOnly())
        parts = engine.parts(line_exports(extraction.delivery), extraction, judge, prepare)
        for report, counted, _ in in_order(parts, engine.threads):
            total.add(report.tally)
            codes.update(report.findings.column("code").to_pylist())
            lines, unexplained = lines + counted.judged, unexplained + cast(_Counted, counted).unexplained
    codes["EXCHANGE_RATE_MISMATCH"] = sum(total.rates[case] for case in odd_rates(total.rates))
    codes["USAGE_MISMATCH"] = len(groups_apart(total.billed, total.used, total.invoices, total.meter_days))
    codes.update(finding.code for finding in tie_out(total.sums, extraction.invoices, policy)[1])
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for account, amount in total.sums.items():
        if account.amount == "total_amount":
            sums[account.invoice_number][account.kind == "daily_usage"] += amount
    return answer(lines, codes, unexplained, {invoice: (own[0], own[1]) for invoice, own in sums.items()})


if __name__ == "__main__":
    # By its module's name: worker processes look `_CountOnly` up by it.
    from benchmarks import ours

    ours.main(Path(sys.argv[1]))
