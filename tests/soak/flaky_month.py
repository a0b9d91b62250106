"""A large month into a HaloPSA that fails one request in five, by everything a network and a gateway do."""

from __future__ import annotations

import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generate import PERIOD, generate
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import serve
from connectors.warehouse.checks import run_checks
from tests.soak.stage import Stage

_RUN = ("run", "--period", PERIOD, "--approve", "--by", "soak", "--json")
_ONE_IN = 5
_MOST_REPEATS = 25
_ACTIONS = (
    "429", "429", "500-before", "500-after", "502-before", "503-after", "504-after", "reset-before", "reset-after",
    "truncated", "timeout-before", "timeout-after", "timeout-lost",
)  # fmt: skip
#: How long a request hangs before its connection is cut.
_HANGS_SECONDS = 0.2


@dataclass
class OneInFive(Fault):
    """A fault that strikes one request in five, drawn by a seed, each time in another way."""

    seed: int = 1
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed}/flaky")

    def strikes(self, request: str) -> bool:
        """Whether this request fails, and how."""
        self.seen += 1
        if self._chance.randrange(_ONE_IN):
            return False
        self.action = self._chance.choice(_ACTIONS)
        self.struck[self.action] += 1
        return True


def bill_flaky_month(folder: Path, lines: int, seed: int, tell: Callable[[str], None] = print) -> None:
    """Bill the month to its end, by repeating the command as long as it asks for it, and check every row.

    Raises:
        AssertionError: it does not end, or a row is missing, doubled, wrong or not billed.
    """
    generate("recon", lines, folder / "exports")
    fault = OneInFive("*", "", seconds=_HANGS_SECONDS, seed=seed)
    with serve(faults=[fault]) as sandbox:
        place = Stage(folder, sandbox)
        place.environment["CSP_BILLING_SNAPSHOT"] = "false"
        place.temporary.mkdir(exist_ok=True)
        began = time.monotonic()
        told: list[str] = []
        while (done := place.run(*_RUN, patient=True)).code == 3:
            told.append(done.document["error"])
            tell(f"repeated: {told[-1]}")
            assert len(told) < _MOST_REPEATS, "it never ends"
        assert done.code in (0, 1), (done.code, done.err[-2000:])
        assert done.document["status"] == "billed"
        seconds, asked = time.monotonic() - began, len(sandbox.requests)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        _check(place)
        kinds = Counter(request.split(" ")[0] for request in sandbox.requests)
        tell(
            f"{lines:,} lines, {asked:,} requests ({', '.join(f'{count:,} {kind}' for kind, count in kinds.items())}), "
            f"{fault.struck.total():,} of them failed; the command was repeated {len(told)} times; {seconds:.0f} s, "
            f"{memory / 1024:.0f} MiB at most"
        )
        tell(", ".join(f"{count} {action}" for action, count in sorted(fault.struck.items())))


def _check(place: Stage) -> None:
    """Every line that belongs in HaloPSA is there once, with its amount, and billed."""
    with place.warehouse().read() as connection:
        posted = {
            row.halo_id: row
            for row in connection.exec_driver_sql(
                "select halo_postings.halo_id, lines.total_amount, lines.subscription_id from halo_postings "
                "join lines on lines.line_id = halo_postings.natural_key "
                "join latest_runs on latest_runs.run_id = lines.run_id "
                "where halo_postings.entity = 'line' and halo_postings.state = 'billed'"
            )
        }
        wanted = connection.exec_driver_sql(
            "select count(*) from out_lines join out_invoice_tieout using (period, invoice_number) "
            "where invoice_amount is not null"
        ).scalar_one()
    there = place.sandbox.lines()
    assert len(posted) == wanted, (len(posted), wanted)
    assert len(there) == len(posted), f"{len(there)} lines in HaloPSA, {len(posted)} in the ledger"
    for row in there:
        line = posted[row["id"]]
        assert row["isbilled"], row
        assert (row["subscriptionid"], row["total"]) == (line.subscription_id, line.total_amount), (row, line)
    invoices = Counter(row["id"] for row in place.sandbox.invoices())
    assert all(count == 1 for count in invoices.values()), invoices
    assert all(row["isfullybilled"] for row in place.sandbox.invoices() if row["haslines"])
    failing = [each for each in run_checks(place.warehouse()) if each.severity == "fail" and each.rows]
    assert not failing, failing
