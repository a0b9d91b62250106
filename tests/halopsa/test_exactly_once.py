"""Every row in HaloPSA exactly once, with the right amounts and billed state, whatever happens to the requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.ledger import Ledger, Posting
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import open_warehouse
from tests.halopsa import month
from tests.halopsa.conftest import connect
from tests.halopsa.landing import assert_exactly_once, until_done

MakeLedger = Callable[[], Ledger]


@pytest.mark.parametrize("action", [
    "429", "413-before", "500-before", "500-after", "504-after", "reset-before", "reset-after", "timeout-before",
    "timeout-after", "truncated",
])  # fmt: skip
def test_any_fault_at_any_post(action: str, sandbox: Sandbox, make_ledger: MakeLedger) -> None:
    """Each POST of a month fails once, in each way. A late commit is waited for: the grace outlasts it."""
    slow = action.startswith("timeout")
    settings = HaloLoadSettings(batch_size=5, settle_grace_seconds=0.5 if action == "timeout-before" else 0)
    posts = 7  # prices, invoices, lines 2, marks 2, invoices' mark
    for nth in range(1, posts + 1):
        sandbox.reset()
        sandbox.faults.append(Fault("POST csp", action, nth=nth, seconds=0.3, retry_after=0))
        client = connect(sandbox, timeout=(2, 0.2 if slow else 5))
        until_done(client, make_ledger(), month.plan(), settings)
        assert_exactly_once(sandbox)
        assert sandbox.faults[0].seen >= min(nth, posts), "the fault never struck"
        # A price cannot be read back: an outcome in doubt is reported, not repeated. It may still be on its way.
        assert action != "timeout-before" or _wait_for(lambda: sandbox.summary()["prices"] == 1)
        assert sandbox.summary()["prices"] <= 1


def test_faults_on_every_second_request(sandbox: Sandbox, ledger: Ledger, settings: HaloLoadSettings) -> None:
    """Reads fail too, and answers of every shape come."""
    for nth, action in enumerate(("500-after", "reset-after", "503-before", "truncated", "reset-before", "429"), 1):
        for repeat in range(4):
            sandbox.faults.append(Fault("*", action, nth=nth * 2 + repeat * 14, retry_after=0))
    until_done(connect(sandbox, patience=5), ledger, month.plan(), settings)
    assert_exactly_once(sandbox)


@pytest.mark.parametrize("options", [
    Options(answer="object", newest_first=True),
    Options(answer="envelope", envelope="named"),
    Options(answer="empty", page_cap=3),
    Options(answer="reversed", newest_first=True, page_cap=3, envelope="bare"),
])  # fmt: skip
def test_whatever_halopsa_answers(options: Options, make_ledger: MakeLedger) -> None:
    """Ids are never taken from an answer that does not prove them, and lists are read in either order."""
    with serve(options=options) as sandbox:
        for batch_size in (1, 4):
            sandbox.reset()
            settings = HaloLoadSettings(batch_size=batch_size, settle_grace_seconds=0)
            ledger = make_ledger()
            until_done(connect(sandbox), ledger, month.plan(), settings)
            assert_exactly_once(sandbox)
            by_id = {row["id"]: row for row in sandbox.lines()}
            for posting in ledger.postings("line").values():
                assert posting.halo_id is not None
                line = by_id[posting.halo_id]
                expected = month.RECON[int(posting.natural_key[-1]) - 1] if "line" in posting.natural_key else None
                assert expected is None or line["subscriptionid"] == expected["subscription_id"]


@pytest.mark.parametrize("action", ["timeout-before", "timeout-after"])
def test_killed_at_the_riskiest_moments(
    action: str, sandbox: Sandbox, warehouse_file: Path, settings: HaloLoadSettings
) -> None:
    """SIGKILL while a POST is under way, or applied and not settled: at the invoices, then at the first lines."""
    url, seconds = f"duckdb:///{warehouse_file}", 0.3
    for match in ("POST cspinvoice", "POST cspconsumptiondata/manage"):
        sandbox.faults[:] = [Fault(match, action, seconds=seconds)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.halopsa.load_once", url, sandbox.base_url], cwd=Path(__file__).parents[2]
        )
        assert _wait_for(lambda: sandbox.faults[0].seen > 0), "the load never came to its POST"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    sandbox.faults.clear()
    # The dead loads' lock is no obstacle, and what they had under way has taken effect by the end of the grace.
    settings = replace(settings, settle_grace_seconds=2 * seconds)
    until_done(connect(sandbox), Ledger(open_warehouse(url), sandbox.base_url), month.plan(), settings)
    assert_exactly_once(sandbox)


class KilledError(BaseException):
    """Stands for the death of the process: nothing of ours catches it."""


class DyingLedger(Ledger):
    """A ledger whose process dies at one of its writes, right before or right after it."""

    def __init__(self, ledger: Ledger, dies_at: int, after: bool) -> None:
        super().__init__(ledger.warehouse, ledger.halo_url)
        self._left = dies_at
        self._after = after

    def write(self, postings: Sequence[Posting]) -> None:
        self._left -= bool(postings)
        if self._left or self._after:
            super().write(postings)
        if not self._left and postings:
            raise KilledError


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_ledger_write(after: bool, sandbox: Sandbox, make_ledger: MakeLedger) -> None:
    settings = HaloLoadSettings(settle_grace_seconds=0)
    for dies_at in range(1, 20):
        sandbox.reset()
        ledger, killed = make_ledger(), False
        dying = DyingLedger(ledger, dies_at, after)
        try:
            load(connect(sandbox), dying, month.plan(), settings)
            mark_billed(connect(sandbox), dying, month.plan(), settings)
        except KilledError:
            killed = True
        until_done(connect(sandbox), ledger, month.plan(), settings)
        assert_exactly_once(sandbox)
        if not killed:
            break
    # Intent and outcome of prices, invoices and lines, and what was marked of both.
    assert dies_at == 9


@pytest.mark.parametrize(("match", "dies_at"), [("POST cspinvoice", 4), ("POST cspconsumptiondata", 6)])
def test_a_request_of_a_dead_load_may_still_take_effect(
    match: str, dies_at: int, sandbox: Sandbox, ledger: Ledger
) -> None:
    """The load dies when its request timed out; the next begins at once, before the request has taken effect."""
    sandbox.faults.append(Fault(match, "timeout-before", seconds=0.8))
    client = connect(sandbox, timeout=(2, 0.4))
    settings = HaloLoadSettings(settle_grace_seconds=1.5)
    with pytest.raises(KilledError):
        load(client, DyingLedger(ledger, dies_at, after=True), month.plan(), settings)
    load(client, ledger, month.plan(), settings)
    assert_exactly_once(sandbox, billed=False)


def test_a_line_that_was_withdrawn_before_it_arrived(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """A load died with lines intended; the next exports no longer have one of them."""
    with pytest.raises(KilledError):
        load(client, DyingLedger(ledger, 5, after=True), month.plan(), settings)
    assert {row.state for row in ledger.postings("line").values()} == {"intended"}
    assert load(client, ledger, month.plan(recon=month.RECON[1:]), settings).lines == 9
    assert "line-1" not in ledger.postings("line")
    assert sandbox.summary()["lines"] == 9


def test_a_lost_ledger_adopts_what_is_there(
    sandbox: Sandbox, client: HaloClient, make_ledger: MakeLedger, settings: HaloLoadSettings
) -> None:
    load(client, make_ledger(), month.plan(), settings)
    sandbox.requests.clear()
    counts = load(client, make_ledger(), month.plan(prices=[]), settings)
    assert counts == LoadCounts(adopted=12)
    assert not [request for request in sandbox.requests if request.startswith("POST")]

    # Another machine with changed amounts: the line is recognised by what it is, and updated in place.
    changed = month.with_line(month.plan(prices=[]), "line-3", total=Decimal("4.00"), subtotal=Decimal("4.00"))
    assert load(client, make_ledger(), changed, settings) == LoadCounts(adopted=12, lines=1)
    assert sorted(row["total"] for row in sandbox.lines())[4:6] == [Decimal("2.25"), Decimal("4")]
    assert sandbox.summary()["lines"] == 10

    # And a third one finds everything billed.
    ledger = make_ledger()
    load(client, ledger, changed, settings)
    mark_billed(client, ledger, changed, settings)
    assert load(client, make_ledger(), changed, settings) == LoadCounts(adopted=12)
    assert mark_billed(client, ledger, changed, settings) == MarkCounts()


def test_a_lost_ledger_sends_no_price_again(
    sandbox: Sandbox, client: HaloClient, make_ledger: MakeLedger, settings: HaloLoadSettings
) -> None:
    """HaloPSA has no list of prices; that it has the invoices tells that prices may be there, too."""
    load(client, make_ledger(), month.plan(), settings)
    ledger = make_ledger()
    assert load(client, ledger, month.plan(), settings) == LoadCounts(adopted=12, unknown_prices=1)
    assert load(client, ledger, month.plan(), settings) == LoadCounts(unknown_prices=1)
    assert sandbox.summary()["prices"] == 1
    sure = replace(settings, resend_unknown_prices=True)
    assert load(client, ledger, month.plan(), sure) == LoadCounts(prices=1)
    assert load(client, ledger, month.plan(), settings) == LoadCounts()

    # A ledger that is killed when it has written the doubt down, and has adopted nothing yet, still has it.
    ledger = make_ledger()
    ledger.doubt_prices("invoices are there")
    assert load(client, ledger, month.plan(), settings).unknown_prices == 1


def test_work_of_another_machine_is_not_repeated(
    sandbox: Sandbox, client: HaloClient, make_ledger: MakeLedger, settings: HaloLoadSettings
) -> None:
    """One machine posts the invoices and dies, another posts the month, then the first comes back."""
    first, second = make_ledger(), make_ledger()
    load(client, first, month.plan(recon=[], usage=[]), settings)
    load(client, second, month.plan(), settings)
    assert load(client, first, month.plan(prices=[]), settings).adopted == 10
    assert_exactly_once(sandbox, billed=False)


def test_a_commit_later_than_the_grace_is_found_before_anything_is_billed(
    sandbox: Sandbox, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    sandbox.faults.append(Fault("POST cspconsumptiondata", "timeout-before", seconds=0.8))
    client = connect(sandbox, timeout=(2, 0.4))
    with suppress(DisagreementError):  # a slow machine sees it already here
        load(client, ledger, month.plan(), settings)
    assert _wait_for(lambda: sandbox.summary()["lines"] == 13)
    # From here on patient: a busy machine takes longer for an answer than the fault is long.
    client = connect(sandbox)
    with pytest.raises(DisagreementError, match=r"12 lines of invoice G1 and should have 9: 3 are too many"):
        mark_billed(client, ledger, month.plan(), settings)
    assert sandbox.summary()["lines_billed"] == 0
    for row in sandbox.lines()[-3:]:
        client.delete(f"CSPConsumptionData/{row['id']}")
    until_done(client, ledger, month.plan(), settings)
    assert_exactly_once(sandbox)


def _posts(requests: list[str]) -> int:
    return sum(1 for request in requests if request.startswith("POST csp"))


def _wait_for(condition: Callable[[], bool], seconds: float = 15) -> bool:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        waiting.wait(0.02)
    return False
