"""csp-billing's reading and reconciling alone, without a warehouse write: `python -m benchmarks.ours FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc

from benchmarks.answers import answer
from benchmarks.generate import PERIOD
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import upgrade
from pipelines.extract import extract
from pipelines.settings import Settings
from transforms.policy import Policy
from transforms.reconcile import Reconciliation, reconcile


def main(folder: Path) -> None:
    """Reconcile the folder's month and print the answer."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), exports=str(folder))
        upgrade(open_warehouse(settings.warehouse))
        print(_answer(reconcile(extract(settings, PERIOD).rows, Policy())))


def _answer(result: Reconciliation) -> str:
    lines = result.lines
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    grouped = lines.group_by(["invoice_number", "source"]).aggregate([("total_amount", "sum")])
    for row in grouped.to_pylist():
        sums[row["invoice_number"] or ""][row["source"] == "daily_usage"] = row["total_amount_sum"]
    codes = {row["values"]: row["counts"] for row in result.findings.column("code").value_counts().to_pylist()}
    of_usage = pc.equal(lines.column("source"), "daily_usage")
    unexplained = pc.sum(pc.and_(of_usage, pc.is_null(lines.column("rounding_rule")))).as_py() or 0
    return answer(lines.num_rows, codes, unexplained, {invoice: (own[0], own[1]) for invoice, own in sums.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
