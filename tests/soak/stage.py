"""A month on disk, a HaloPSA that outlives its clients, and the command line in processes of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.checks import run_checks
from connectors.warehouse.engine import Warehouse, open_warehouse
from examples.month import generate_month
from tests.soak.command import HURRY, PLAN, Plan

PERIOD = "2025-11"
BILL = ("run", "--period", PERIOD, "--approve", "--by", "soak", "--json")
#: What tells the processes of a stage from all others.
_MARK = "SOAK_STAGE"
_ROOT = Path(__file__).parents[2]
_LONGEST_SECONDS = 300
_ORPHAN_SECONDS = 15
#: Of the views that analysts read: what a run concluded, without what names the run or the moment.
_STORED = {
    "out_lines": ("run_id", "halo_id"),
    "out_findings": ("run_id",),
    "out_invoice_tieout": ("run_id",),
    "out_subscriptions": ("run_id",),
}


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    def told_in_a_line(self) -> str:
        """Its last line on stderr; raises AssertionError where it showed a traceback or did not end as promised."""
        lines = self.err.strip().splitlines()
        assert "Traceback" not in self.err, self.err
        assert self.code in (2, 3), (self.code, self.err)
        assert lines, self.out
        assert lines[-1].startswith("csp-billing: "), self.err
        return lines[-1]


@dataclass(frozen=True)
class Result:
    """What a month comes to in the end: the same, whatever happened on the way.

    Attributes:
        stored: a digest of what each view says.
        content_digest: the run's.
        lines: in HaloPSA, by subscription, usage day, invoice, total and whether billed.
        invoices: in HaloPSA, by number and whether billed.
        prices: in HaloPSA, by product, SKU and price.
    """

    stored: dict[str, str]
    content_digest: str
    lines: Counter[tuple[str, ...]]
    invoices: Counter[tuple[str, ...]]
    prices: Counter[tuple[str, ...]] = field(compare=False)


class Stage:
    """One place to bill a month in; `reset` makes it anew.

    Attributes:
        folder: everything of it.
        sandbox: its HaloPSA, which keeps its records in a file.
        url: of its warehouse.
        environment: added to that of its commands.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, url: str = "") -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.home, self.exports, self.temporary = folder / "home", folder / "exports", folder / "tmp"
        self.url = url or f"duckdb:///{self.home / 'warehouse.duckdb'}"
        self.environment: dict[str, str] = {}

    def reset(self, url: str = "") -> None:
        """Forget everything but the exports; with another warehouse, if `url` names one."""
        self.url = url or self.url
        for path in (self.home, self.temporary):
            shutil.rmtree(path, ignore_errors=True)
        self.temporary.mkdir()
        self.sandbox.reset()

    def start(self, *arguments: str, plan: Plan | None = None) -> subprocess.Popen[str]:
        """Start a command as the leader of a process group of its own."""
        environment = {
            **os.environ,
            "CSP_BILLING_HOME": str(self.home),
            "CSP_BILLING_EXPORTS": str(self.exports),
            "CSP_BILLING_WAREHOUSE_URL": self.url,
            "CSP_BILLING_HALO_URL": self.sandbox.base_url,
            "CSP_BILLING_HALO_CLIENT_ID": self.sandbox.client_id,
            "CSP_BILLING_HALO_CLIENT_SECRET": self.sandbox.client_secret,
            "CSP_BILLING_HALO_RATE": "100000/1",
            "TMPDIR": str(self.temporary),
            HURRY: "600",
            PLAN: (plan or Plan()).to_json(),
            _MARK: str(self.folder),
            **self.environment,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.command", *arguments], cwd=_ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, plan: Plan | None = None, patient: bool = False) -> Done:
        """Run a command to its end; `patient` is for one that takes long."""
        return self.wait(self.start(*arguments, plan=plan), patient=patient)

    def wait(self, process: subprocess.Popen[str], patient: bool = False) -> Done:
        """Wait for a command to end; raises AssertionError, and kills it, where it does not."""
        seconds = _LONGEST_SECONDS * 100 if patient else _LONGEST_SECONDS
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_group(process)
            raise AssertionError(f"the command did not end within {seconds} seconds") from None
        return Done(process.returncode, out, err)

    def bill(self) -> Done:
        """Bill the month to its end, as after any failure; raises AssertionError where that does not succeed."""
        done = self.run(*BILL)
        assert "Traceback" not in done.err, done.err
        assert done.code in (0, 1), (done.code, done.err)
        assert done.document["status"] == "billed", done.out
        return done

    def warehouse(self) -> Warehouse:
        return open_warehouse(self.url)

    def result(self) -> Result:
        """What the month came to."""
        with self.warehouse().read() as connection:
            stored = {view: _digest(connection, view, without) for view, without in _STORED.items()}
            latest = "select content_digest from runs join latest_runs using (run_id) where runs.period = %s"
            content = connection.exec_driver_sql(latest % f"'{PERIOD}'").scalar_one()
        numbers = {row["haloid"]: row["id"] for row in self.sandbox.invoices()}
        return Result(
            stored,
            content,
            Counter(
                (row["subscriptionid"], str(row.get("usagedate", "")), numbers[row["parentid"]], str(row["total"]),
                 str(row.get("isbilled")))
                for row in self.sandbox.lines()
            ),
            Counter((row["id"], str(row.get("isfullybilled"))) for row in self.sandbox.invoices()),
            Counter((row["productid"], row["skuid"], str(row.get("unitprice"))) for row in self.sandbox.prices()),
        )  # fmt: skip

    def check(self, expected: Result) -> None:
        """Hold the month against an undisturbed one: warehouse, HaloPSA, files and processes.

        Raises:
            AssertionError: says what differs.
        """
        found = self.result()
        others = [view for view, digest in expected.stored.items() if found.stored[view] != digest]
        assert not others, f"{', '.join(others)} differ from an undisturbed run"
        for name in ("content_digest", "lines", "invoices"):
            one, other = getattr(found, name), getattr(expected, name)
            assert one == other, f"{name} differ from an undisturbed run: {one} instead of {other}"
        # Prices cannot be listed: one in doubt is told of and not sent again.
        assert not found.prices - expected.prices, f"a price twice: {found.prices - expected.prices}"
        with self.warehouse().read() as connection:
            statement = "select count(*) from halo_postings where entity = 'price' and state = 'intended'"
            doubtful = connection.exec_driver_sql(statement).scalar_one()
        assert (expected.prices - found.prices).total() <= doubtful, "a price is lost and nobody was told"
        failing = [each for each in run_checks(self.warehouse()) if each.severity == "fail" and each.rows]
        assert not failing, failing
        assert not self.leftovers(), self.leftovers()
        assert not self.processes(), self.processes()

    def leftovers(self) -> list[str]:
        """Temporary files, and files that only a command at work has."""
        found = [path for path in self.temporary.rglob("*") if path.is_file()]
        for path in self.home.rglob("*"):
            own = path.relative_to(self.home)
            hidden = any(part.startswith(".") for part in own.parts)
            if hidden or path.suffix in (".wal", ".tmp"):
                found.append(path)
        return [str(path.relative_to(self.folder)) for path in found]

    def processes(self) -> list[int]:
        """Processes of this stage that still run, after a while in which they may end."""
        give_up_at = time.monotonic() + _ORPHAN_SECONDS
        while (found := self._running()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return found

    def _running(self) -> list[int]:
        mark = f"{_MARK}={self.folder}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    if mark in (entry / "environ").read_bytes().split(b"\0") and "Z" not in _state(entry):
                        found.append(int(entry.name))
        return found


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a command and whatever it started, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@contextmanager
def stage(folder: Path, url: str = "", customers: int = 6, plant: bool = True) -> Iterator[Stage]:
    """A stage with a generated month, for the length of a `with`."""
    folder.mkdir(parents=True, exist_ok=True)
    with serve(store_path=folder / "halo.sqlite") as sandbox:
        made = Stage(folder, sandbox, url)
        generate_month(
            made.exports, period=PERIOD, customers=customers, plant=plant, truth_path=folder / "truth.csv"
        )
        made.reset()
        yield made


def _digest(connection: sa.Connection, view: str, without: tuple[str, ...]) -> str:
    columns = [column["name"] for column in sa.inspect(connection).get_columns(view)]
    names = ", ".join(name for name in columns if name not in without)
    latest = " where run_id in (select run_id from latest_runs)" if "run_id" in columns else ""
    rows = connection.exec_driver_sql(f"select {names} from {view}{latest}").all()
    return hashlib.sha256("\n".join(sorted(map(_text, rows))).encode()).hexdigest()


def _text(row: Any) -> str:
    return "\x1f".join("" if value is None else f"{value.normalize():f}" if hasattr(value, "normalize") else str(value)
                       for value in row)  # fmt: skip


def _state(entry: Path) -> str:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]
