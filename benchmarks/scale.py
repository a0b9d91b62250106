"""Holds csp-billing to what is promised about large months: `python -m benchmarks.scale FOLDER [--parts read load …]`.

Inputs are generated into FOLDER, or used again where they are there. Ours and the rivals run as whole processes, in
turn. What is compared: `read` is reading and reconciling against DuckDB alone with the columns that the rules need
(for information also against DuckDB alone checking whole rows as ours does, and against Polars alone), `load` the whole
way into a DuckDB warehouse against DuckDB alone doing the same, `growth` a month four times as large, `postgresql` the
whole way into PostgreSQL against a plain COPY of the same tables. Memory is looked at in each.

It ends with 1 when a target is missed, or when the answers differ from one another or from what was planted. The
machine ought to be quiet; how busy it was is printed. Polars is only needed for its part: `pip install
'.[benchmarks]'`, or `--polars` names the Python of an environment that has it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.generate import PERIOD, generate
from benchmarks.processes import Run, Runs, busy_cores, run

#: At most this share of the rival's time, and this much memory.
READ_SHARE, LOAD_SHARE, POSTGRESQL_SHARE = 0.9, 1.2, 1.5
MEMORY = 3 * 2**29
#: At most so many times the memory and the time for four times the lines.
MEMORY_GROWTH, TIME_GROWTH = 1.15, 4.3
PARTS = ("read", "load", "growth", "postgresql")

Contender = Callable[[], Run]


class Report:
    """What was measured and held against targets."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def runs(self, what: str, runs: Runs) -> None:
        """Print what a contender took."""
        each = " ".join(f"{one.seconds:.1f}" for one in runs.runs)
        print(f"  {what:<28} {runs.seconds:8.1f} s  {runs.cpu_seconds:8.1f} s computing  "
              f"{runs.peak_bytes / 2**20:7.0f} MiB   ({each})", flush=True)  # fmt: skip

    def target(self, what: str, value: float, most: float) -> None:
        """Hold a figure against the most it may be."""
        kept = value <= most
        print(f"  {'ok    ' if kept else 'MISSED'} {what}: {value:.2f}, at most {most:g}", flush=True)
        if not kept:
            self.missed.append(what)

    def same(self, what: str, one: Any, other: Any) -> None:
        """Two answers must be the same."""
        if one != other:
            print(f"  DIFFER {what}:\n    {json.dumps(one)}\n    {json.dumps(other)}", flush=True)
            self.missed.append(what)


def month(folder: Path, kind: str, lines: int) -> Path:
    """The folder of a month's exports, generated where it is not there."""
    own = folder / f"{kind}-{lines // 1_000_000}m" if lines % 1_000_000 == 0 else folder / f"{kind}-{lines}"
    if not own.with_name(f"{own.name}.planted.json").exists():
        print(f"generating {own.name} …", flush=True)
        generate(kind, lines, own)
    return own


def alternating(contenders: dict[str, Contender], repetitions: int) -> dict[str, Runs]:
    """Run the contenders in turn, each so many times; every other round the other way round."""
    taken: dict[str, list[Run]] = {name: [] for name in contenders}
    for repetition in range(repetitions):
        for name in list(contenders)[:: -1 if repetition % 2 else 1]:
            taken[name].append(contenders[name]())
    return {name: Runs(runs) for name, runs in taken.items()}


def ours_read(exports: Path) -> Run:
    """Reading and reconciling, without a warehouse write."""
    return run([sys.executable, "-m", "benchmarks.ours", str(exports)])


def ours_whole(exports: Path, warehouse: str = "") -> Run:
    """The whole way of `csp-billing reconcile` into a new warehouse."""
    with tempfile.TemporaryDirectory(dir=exports.parent) as home:
        # What the console script does, of the sources that this runs from.
        program = [sys.executable, "-c", "from pipelines.cli import main; raise SystemExit(main())"]
        command = [*program, "reconcile", "--period", PERIOD, "--exports", str(exports), "--json"]
        environment = {"CSP_BILLING_HOME": home, "CSP_BILLING_WAREHOUSE_URL": warehouse}
        environment["CSP_BILLING_SNAPSHOT"] = "false"  # the other scripts leave no second copy
        return run(command, environment, allowed=(0, 1))


def duckdb_read(exports: Path) -> Run:
    """DuckDB alone, the summary, from the columns that the rules need."""
    return run([sys.executable, "-m", "benchmarks.duckdb_only", "reconcile", str(exports)])


def duckdb_check(exports: Path) -> Run:
    """DuckDB alone, the same summary after the checks of whole rows that ours makes."""
    return run([sys.executable, "-m", "benchmarks.duckdb_only", "check", str(exports)])


def duckdb_whole(exports: Path) -> Run:
    """DuckDB alone, into a new file."""
    with tempfile.TemporaryDirectory(dir=exports.parent) as home:
        file = Path(home) / "warehouse.duckdb"
        return run([sys.executable, "-m", "benchmarks.duckdb_only", "load", str(exports), str(file)])


def check_answers(report: Report, exports: Path, taken: dict[str, Runs]) -> None:
    """Every run found what was planted, and those that tell sums the same ones."""
    planted = json.loads(exports.with_name(f"{exports.name}.planted.json").read_text())
    told = None
    for name, runs in taken.items():
        for one in runs.runs:
            report.same(f"{exports.name}: findings of {name}", one.answer["findings"], planted["findings"])
            if "sums" in one.answer:
                sums = {inv: [str(Decimal(amount).normalize()) for amount in own]
                        for inv, own in one.answer["sums"].items()}  # fmt: skip
                own = {"lines": one.answer["lines"], "sums": sums, "unexplained": one.answer["usage_unexplained"]}
                told = told or own
                report.same(f"{exports.name}: sums of {name}", own, told)
                report.same(f"{exports.name}: unexplained usage of {name}", own["unexplained"],
                            planted["usage_unexplained"])  # fmt: skip


def read(report: Report, exports: Path, repetitions: int, polars: str) -> None:
    """Reading and reconciling."""
    contenders: dict[str, Contender] = {
        "ours": lambda: ours_read(exports), "DuckDB alone": lambda: duckdb_read(exports),
        "DuckDB alone, whole rows": lambda: duckdb_check(exports),
    }  # fmt: skip
    if polars:
        contenders["Polars alone"] = lambda: run([polars, "-m", "benchmarks.polars_only", str(exports)])
    taken = _compare(report, exports, contenders, repetitions)
    report.target(f"{exports.name}: read, share of DuckDB alone",
                  taken["ours"].seconds / taken["DuckDB alone"].seconds, READ_SHARE)  # fmt: skip
    share = taken["ours"].seconds / taken["DuckDB alone, whole rows"].seconds
    print(f"         {exports.name}: read, share of DuckDB alone checking whole rows: {share:.2f}", flush=True)
    report.target(f"{exports.name}: read, peak GiB", taken["ours"].peak_bytes / 2**30, MEMORY / 2**30)


def load(report: Report, exports: Path, repetitions: int) -> Runs:
    """The whole way into a DuckDB warehouse; returns our runs."""
    contenders: dict[str, Contender] = {
        "ours": lambda: ours_whole(exports), "DuckDB alone": lambda: duckdb_whole(exports),
    }  # fmt: skip
    taken = _compare(report, exports, contenders, repetitions)
    report.target(f"{exports.name}: load, share of DuckDB alone",
                  taken["ours"].seconds / taken["DuckDB alone"].seconds, LOAD_SHARE)  # fmt: skip
    report.target(f"{exports.name}: load, peak GiB", taken["ours"].peak_bytes / 2**30, MEMORY / 2**30)
    return taken["ours"]


def growth(report: Report, exports: Path, large: Path, small_runs: Runs | None) -> None:
    """A month several times as large, once: memory does not grow with it, time no more than it."""
    small = small_runs or Runs([ours_whole(exports)])
    grown = _compare(report, large, {"ours": lambda: ours_whole(large)}, 1)["ours"]
    report.target(f"{large.name}: memory, times that of {exports.name}", grown.peak_bytes / small.peak_bytes,
                  MEMORY_GROWTH)  # fmt: skip
    report.target(f"{large.name}: time, times that of {exports.name}", grown.seconds / small.seconds, TIME_GROWTH)


def postgresql(report: Report, exports: Path, repetitions: int) -> None:
    """The whole way into PostgreSQL, and a plain COPY of what it left there."""
    # The server and its driver are needed for this part alone.
    from benchmarks.postgresql import Server

    with Server(exports.parent) as server:
        ours, plain = [], []
        for _ in range(repetitions):
            database = server.new_database()
            ours.append(ours_whole(exports, server.url(database)))
            plain.append(server.copy_again(database))
            server.drop(database)
        taken = Runs(ours)
        report.runs(f"{exports.name} ours", taken)
        report.runs(f"{exports.name} plain COPY", Runs(plain))
        check_answers(report, exports, {"ours": taken})
        report.target(f"{exports.name}: PostgreSQL, share of a plain COPY", taken.seconds / Runs(plain).seconds,
                      POSTGRESQL_SHARE)  # fmt: skip


def _compare(
    report: Report, exports: Path, contenders: dict[str, Contender], repetitions: int
) -> dict[str, Runs]:  # fmt: skip
    print(f"{exports.name}, {busy_cores():.1f} cores busy with other things", flush=True)
    taken = alternating(contenders, repetitions)
    for name, runs in taken.items():
        report.runs(name, runs)
    check_answers(report, exports, taken)
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the inputs are, or are generated")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kinds", nargs="+", choices=["usage", "recon"], default=["usage", "recon"])
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=4, help="how many times as large the month of `growth` is")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--polars", default=sys.executable if importlib.util.find_spec("polars") else "")
    options = parser.parse_args(arguments)
    report = Report()
    for kind in options.kinds:
        exports, loaded = month(options.folder, kind, options.lines), None
        for part in options.parts:
            print(f"== {part}", flush=True)
            if part == "read":
                read(report, exports, options.repetitions, options.polars)
            elif part == "load":
                loaded = load(report, exports, options.repetitions)
            elif part == "growth":
                growth(report, exports, month(options.folder, kind, options.lines * options.times), loaded)
            else:
                postgresql(report, exports, options.repetitions)
    print(f"missed: {', '.join(report.missed)}" if report.missed else "all kept")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
