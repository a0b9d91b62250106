"""The demo: the whole job on a generated month, with a HaloPSA of its own, told as it happens."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.halopsa.sandbox.server import serve
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.runs import read_findings
from examples.month import generate_month
from pipelines import output
from pipelines.billing import bill_month
from pipelines.progress import shown_progress, tell_progress
from pipelines.recording import run_recorded
from pipelines.sandbox import halo_settings
from pipelines.settings import PREFIX, load_settings
from transforms.errors import InputError

PERIOD = "2025-11"
_MARKER = "made-by-csp-billing-demo"
#: The records of the demo's HaloPSA.
_STORE = "halopsa.db"
_PORT = 8765


@dataclass(frozen=True)
class Comparison:
    """Findings of one code: how many were planted and found, and whether they are the same ones."""

    code: str
    planted: int
    found: int
    equal: bool


def run_demo(directory: Path, *, recorded: bool, as_json: bool) -> int:
    """Generate a month, bill it against a local HaloPSA, and compare the findings with what was planted.

    Args:
        directory: everything goes in here; what an earlier demo left in it is removed first.
        recorded: run as a Prefect flow.
        as_json: print one JSON document instead of the story.

    Returns:
        The exit code: 0 when exactly the planted discrepancies were found, else 1.

    Raises:
        InputError: the folder holds something that no demo made.
    """
    _prepare(directory)
    exports = directory / "exports"
    with shown_progress():
        tell_progress("making a month")
        truth = generate_month(exports, period=PERIOD, truth_path=directory / "truth.csv")
    with serve(_free_port(), store_path=directory / _STORE) as halo:
        reached_by = halo_settings(halo)
        os.environ |= reached_by
        os.environ |= {f"{PREFIX}HOME": str(directory / "home"), f"{PREFIX}EXPORTS": str(exports)}
        for name in ("WAREHOUSE_URL", "POLICY", "HALO_TENANT"):
            os.environ.pop(f"{PREFIX}{name}", None)
        document, flow_run = _bill(recorded)
        inside = halo.summary()
    comparisons = _compare(truth.path, document["run_id"])
    equal = all(one.equal for one in comparisons)
    if as_json:
        output.print_json({
            "run": document, "flow_run": flow_run, "findings_equal_planted": equal,
            "findings": [vars(one) for one in comparisons], "halopsa": inside, "directory": str(directory),
        })  # fmt: skip
    else:
        _tell(directory, document, flow_run, comparisons, inside)
        _tell_how_to_go_on(directory, document["run_id"], reached_by)
    return 0 if equal else 1


def _prepare(directory: Path) -> None:
    marker = directory / _MARKER
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise InputError(f"{directory} holds something that is not a demo's: name another folder with --dir")
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    marker.touch()


def _bill(recorded: bool) -> tuple[dict[str, Any], str | None]:
    """Bill the month; as a Prefect flow also the name of its flow run."""
    if not recorded:
        with shown_progress():
            return bill_month(load_settings(), PERIOD, report=True).to_dict(), None
    return run_recorded("monthly_billing", period=PERIOD, report=True)


def _compare(truth: Path, run_id: str) -> list[Comparison]:
    """Planted against found, discrepancy by discrepancy: code, and file and row or invoice."""
    with truth.open(encoding="utf-8", newline="") as file:
        planted = Counter(
            (row["code"], row["source_file"], row["source_row"] or row["invoice_number"])
            for row in csv.DictReader(file)
        )
    with open_warehouse(load_settings().warehouse).read() as connection:
        findings = read_findings(connection, run_id)
    found = Counter(
        (row["code"], row["source_file"] or "", str(row["source_row"] or row["invoice_number"]))
        for row in findings.to_pylist()
    )
    codes = sorted({key[0] for key in planted | found})

    def of(code: str, counted: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
        return Counter({key: count for key, count in counted.items() if key[0] == code})

    return [
        Comparison(code, of(code, planted).total(), of(code, found).total(), of(code, planted) == of(code, found))
        for code in codes
    ]


def _tell(
    directory: Path,
    document: dict[str, Any],
    flow_run: str | None,
    comparisons: list[Comparison],
    inside: dict[str, int],
) -> None:
    print(f"\nRan {document['period']} in {document['seconds']} s: {document['lines']:,} lines, "
          f"{document['invoices']} invoice documents.\n")  # fmt: skip
    output.print_table(
        ["finding", "planted", "found", "the same ones"],
        [[one.code, one.planted, one.found, "yes" if one.equal else "NO"] for one in comparisons],
    )
    equal = all(one.equal for one in comparisons)
    print(f"\nThe findings {'equal' if equal else 'DIFFER from'} the planted discrepancies.")
    if document["status"] == "awaiting_approval":
        output.say(f"Status: awaiting_approval. {document['blocking']} findings block, so everything is loaded, but "
                   "nothing is marked as billed until somebody approves.")  # fmt: skip
    else:
        print(f"Status: {document['status']}.")
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in inside.items())
    output.say(f"In the local HaloPSA: {counts}")
    command = _command()
    if flow_run:
        prefect = command.with_name("prefect")
        print(f"Prefect flow run: {flow_run} (see it with `{prefect} flow-run inspect {flow_run}`)")
    print(f"\nExports:   {directory / 'exports'}\nPlanted:   {directory / 'truth.csv'}")
    print(f"Warehouse: {document['warehouse']}")
    for file in document["reports"]:
        print(f"Report:    {file}")


def _tell_how_to_go_on(directory: Path, run_id: str, reached_by: dict[str, str]) -> None:
    """Commands that look at the month and finish it, with the demo's own HaloPSA."""
    command = _command()
    folders = {f"{PREFIX}{name.upper()}": str((directory / name).absolute()) for name in ("home", "exports")}
    port = urlsplit(reached_by[f"{PREFIX}HALO_URL"]).port
    print("\nTo look at it:")
    for name, value in {**folders, **reached_by}.items():
        print(f"  export {name}={shlex.quote(value)}")
    print(f"  {command} findings")
    print(f"  {command} warehouse query 'select * from out_customer_margin'")  # noqa: S608
    print("\nTo finish it, start the local HaloPSA again, in another terminal, with what it was sent:")
    print(f"  {command} sandbox --port {port} --store {shlex.quote(str((directory / _STORE).absolute()))}")
    print("\nand approve the month and mark it as billed:")
    print(f"  {command} approve {run_id} --by NAME")
    print(f"  {command} mark-billed {run_id}")


def _free_port() -> int:
    """The port of `csp-billing sandbox`, so that it can go on with the records; any free one where that is taken."""
    with socket.socket() as probe:
        # As whoever listens there does: connections of an earlier demo may not be quite gone.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _PORT))
        except OSError:
            return 0
    return _PORT


def _command() -> Path:
    """The command as the user can type it: its name where the shell finds it, else as it was called."""
    return Path("csp-billing") if shutil.which("csp-billing") else Path(sys.argv[0])
