"""csp-billing's reading and reconciling alone, without a warehouse write: `python -m benchmarks.ours FOLDER`.

The lines are read and judged part by part as in a run, with their identities; what is left out is what a run does
besides: copies of the files, the warehouse's rows, and the wording of findings that only show over all lines.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from benchmarks.answers import answer
from benchmarks.generate import PERIOD
from connectors.exports.reader import LoadPart
from connectors.spill import FileRecords
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from pipelines.extract import Extraction, extract, line_exports
from pipelines.settings import Settings
from pipelines.threads import in_order
from transforms.currency_checks import odd_rates
from transforms.judging import Judge
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.pricing import Pricer
from transforms.tally import Tally, Total
from transforms.tieout import tie_out
from transforms.usage_checks import groups_apart


class _Part(NamedTuple):
    lines: int
    codes: Counter[str]
    unexplained: int
    tally: Tally


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
    judge = Judge(PERIOD, policy, extraction.invoices, Pricer(lists, policy), has_previous=False)
    total, codes = Total(FileRecords), Counter[str]()
    lines = unexplained = 0
    for part in in_order(_tasks(extraction, judge)):
        total.add(part.tally)
        codes.update(part.codes)
        lines, unexplained = lines + part.lines, unexplained + part.unexplained
    codes["EXCHANGE_RATE_MISMATCH"] = sum(total.rates[case] for case in odd_rates(total.rates))
    codes["USAGE_MISMATCH"] = len(groups_apart(total.billed, total.used, total.invoices, total.meter_days))
    codes.update(finding.code for finding in tie_out(total.sums, extraction.invoices, policy)[1])
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for account, amount in total.sums.items():
        if account.amount == "total_amount":
            sums[account.invoice_number][account.kind == "daily_usage"] += amount
    return answer(lines, codes, unexplained, {invoice: (own[0], own[1]) for invoice, own in sums.items()})


def _tasks(extraction: Extraction, judge: Judge) -> Iterator[Callable[[], _Part]]:
    for place, export in line_exports(extraction.delivery):
        for load in export.reader().parts():
            yield functools.partial(_judged, extraction, judge, load, export.kind, place)


def _judged(extraction: Extraction, judge: Judge, load: LoadPart, kind: str, place: int) -> _Part:
    own, _ = extraction.own_lines(load().rows, kind, place)
    done = judge.judge(own, kind, place)
    rules = done.lines.column("rounding_rule")
    unexplained = rules.null_count if kind == "daily_usage" else 0
    return _Part(done.lines.num_rows, Counter(done.findings.column("code").to_pylist()), unexplained, done.tally)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
