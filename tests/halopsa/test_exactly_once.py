"""Every row in HaloPSA exactly once, with the right amounts and billed state, whatever happens to the requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError
from connectors.halopsa.ledger import Ledger, Posting
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, LoadPlan, MarkCounts, load, mark_billed
from connectors.halopsa.lock import holding
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import Warehouse, open_warehouse
from tests.halopsa import month
from tests.halopsa.conftest import connect
from transforms.errors import RemoteError, WarehouseError

MakeLedger = Callable[[], Ledger]

#: What the month leaves in HaloPSA: subscription (or usage day), invoice, total.
EXPECTED_LINES = Counter(
    [
        *((f"subscription-{number}", "G1", Decimal(number) + Decimal("0.25")) for number in range(1, 6)),
        ("subscription-6", "G1", Decimal("6.25")),
        ("subscription-6", "G1", Decimal("6.25")),
        ("subscription-8", "G2", Decimal("-3.5")),
        ("2025-11-01", "G1", Decimal("0.0861")),
        ("2025-11-02", "G1", Decimal("0.0861")),
    ]
)


def landed(sandbox: Sandbox) -> Counter[tuple[str, str, Decimal]]:
    """The sandbox's lines, each below the invoice that its parentid says."""
    numbers = {row["haloid"]: row["id"] for row in sandbox.invoices()}
    return Counter(
        (str(row.get("usagedate", row["subscriptionid"])).partition("T")[0], numbers[row["parentid"]], row["total"])
        for row in sandbox.lines()
    )


def assert_exactly_once(sandbox: Sandbox, billed: bool = True) -> None:
    assert landed(sandbox) == EXPECTED_LINES
    assert Counter(row["id"] for row in sandbox.invoices()) == {"G1": 1, "G2": 1}
    assert {row.get("isbilled", False) for row in sandbox.lines()} == {billed}
    assert {row["isfullybilled"] for row in sandbox.invoices()} == {billed}


def until_done(
    client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, most: int = 10
) -> LoadCounts:
    """Load and mark as a user would repeat it, until nothing fails any more."""
    for _ in range(most):
        try:
            counts = load(client, ledger, plan, settings)
            mark_billed(client, ledger, plan, settings)
        except RemoteError:
            continue
        return counts
    raise AssertionError("the load never ends")


def test_a_month_is_posted_once_and_marked_once(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    counts = load(client, ledger, month.plan(), settings)
    assert counts == LoadCounts(prices=1, invoices=2, lines=10, cut=2, rounded=12)
    assert_exactly_once(sandbox, billed=False)
    assert [row["productid"] for row in sandbox.prices()] == ["CFQ7TTC0LF8Q"]

    sandbox.requests.clear()
    assert load(client, ledger, month.plan(run_id="run-2"), settings) == LoadCounts()
    assert not [request for request in sandbox.requests if request.startswith("POST")]

    assert mark_billed(client, ledger, month.plan(), settings) == MarkCounts(invoices=2, lines=10)
    assert_exactly_once(sandbox)
    sandbox.requests.clear()
    assert mark_billed(client, ledger, month.plan(), settings) == MarkCounts()
    assert load(client, ledger, month.plan(), settings) == LoadCounts()
    assert not sandbox.requests


def test_through_the_real_warehouses(
    sandbox: Sandbox, client: HaloClient, settings: HaloLoadSettings, warehouse: Warehouse
) -> None:
    """On DuckDB's file with its lock and on PostgreSQL; and with every row of the price list."""
    ledger = Ledger(warehouse, sandbox.base_url)
    counts = until_done(client, ledger, month.plan(), replace(settings, all_prices=True, batch_size=100))
    assert (counts.prices, counts.lines) == (2, 10)
    assert_exactly_once(sandbox)
    assert sandbox.summary()["prices"] == 2


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
        # A price cannot be read back: an outcome in doubt is reported, not repeated.
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


def test_work_of_another_machine_is_not_repeated(
    sandbox: Sandbox, client: HaloClient, make_ledger: MakeLedger, settings: HaloLoadSettings
) -> None:
    """One machine posts the invoices and dies, another posts the month, then the first comes back."""
    first, second = make_ledger(), make_ledger()
    load(client, first, month.plan(recon=[], usage=[]), settings)
    load(client, second, month.plan(), settings)
    assert load(client, first, month.plan(prices=[]), settings).adopted == 10
    assert_exactly_once(sandbox, billed=False)


def test_changes_are_updated_until_they_are_billed(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    before = {row["id"] for row in sandbox.lines()}
    renamed = month.with_line(month.plan(), "line-3", customer_name="Fabrikam", total=Decimal("4"))
    assert load(client, ledger, renamed, settings) == LoadCounts(lines=1)
    assert {row["id"] for row in sandbox.lines()} == before
    assert [row["total"] for row in sandbox.lines() if row.get("customername") == "Fabrikam"] == [Decimal("4")]

    mark_billed(client, ledger, renamed, settings)
    lines = sandbox.lines()
    counts = load(client, ledger, month.with_line(renamed, "line-4", total=Decimal("5")), settings)
    assert counts == LoadCounts(billed_changed=("line-4",))
    assert sandbox.lines() == lines


def test_a_line_billed_by_somebody_in_halopsa_is_left_alone(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    halo_id = ledger.postings("line")["line-3"].halo_id
    client.post("CSPConsumptionData/manage", [{"id": halo_id, "isbilled": True}])
    changed = month.with_line(month.plan(), "line-3", total=Decimal("4"))
    assert load(client, ledger, changed, settings) == LoadCounts(billed_changed=("line-3",))
    assert Decimal("3.25") in [row["total"] for row in sandbox.lines()]


def test_what_cannot_be_sent_is_named_and_the_rest_lands(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """A text over HaloPSA's limit, an invoice over its column, and a line without a document."""
    recon = [*month.RECON[:4], month.recon_line(5, sku_name="x" * 501), month.recon_line(7, "GNONE")]
    documents = [*month.DOCUMENTS, month.invoice("G3", "1.00", currency_symbol="a symbol of 24 letters")]
    plan = month.plan(recon=recon, documents=documents)
    counts = load(client, ledger, plan, settings)
    assert (counts.lines, counts.invoices, counts.rejected, counts.held) == (6, 2, 2, 1)
    rejected = ledger.postings("line")["line-5"]
    assert rejected.state == "rejected"
    assert rejected.last_error == "export.csv row 6: skuname has 501 characters, and HaloPSA takes 500"
    with pytest.raises(HaloError, match=r"invoice G3 is not in HaloPSA as the run has it \(export.csv row 1: currency"):
        mark_billed(client, ledger, plan, settings)
    assert sandbox.summary()["lines_billed"] == 0

    # Mended, the row lands; nothing else is sent again.
    mended = month.plan(recon=[*recon[:4], month.recon_line(5)])
    assert load(client, ledger, mended, settings) == LoadCounts(lines=1)
    assert mark_billed(client, ledger, mended, settings) == MarkCounts(invoices=2, lines=7)


@pytest.mark.parametrize("partial", [False, True])
def test_a_refused_batch_is_bisected(partial: bool, make_ledger: MakeLedger) -> None:
    """HaloPSA names no row, and may even have saved those before the bad one: the bad one is found, the rest lands."""
    recon = [month.recon_line(number) for number in range(1, 17)]
    with serve(options=Options(refusal_saves_rows_before=partial)) as sandbox:
        for bad in (1, 7, 16):
            sandbox.reset()
            sandbox.rule = lambda row, bad=bad: (
                "This customer is on hold." if row.get("subscriptionid") == f"subscription-{bad}" else ""
            )
            ledger, settings = make_ledger(), HaloLoadSettings(settle_grace_seconds=0)
            plan = month.plan(recon=recon, usage=[])
            counts = load(connect(sandbox), ledger, plan, settings)
            assert (counts.lines, counts.rejected) == (15, 1)
            assert Counter(row["subscriptionid"] for row in sandbox.lines()) == Counter(
                f"subscription-{number}" for number in range(1, 17) if number != bad
            )
            posting = ledger.postings("line")[f"line-{bad}"]
            assert posting.state == "rejected"
            assert posting.last_error is not None
            assert posting.last_error.startswith(f"export.csv row {bad + 1}: ")
            assert "This customer is on hold." in posting.last_error
            sandbox.rule = None
            assert load(connect(sandbox), ledger, plan, settings).lines == 1
            assert sandbox.summary()["lines"] == 16


def test_prices_in_doubt_are_reported_and_not_repeated(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    sandbox.faults.append(Fault("POST cspsubscriptionpricing", "reset-after"))
    counts = load(client, ledger, month.plan(), settings)
    assert (counts.prices, counts.unknown_prices, counts.lines) == (0, 1, 10)
    assert load(client, ledger, month.plan(), settings).unknown_prices == 1
    assert sandbox.summary()["prices"] == 1

    # A price that is known to be refused is not in doubt, and a changed one is updated by its id.
    other = month.price("CFQ7TTC0LF8Q", "1.00", segment="Education")
    sandbox.faults[:] = [Fault("POST cspsubscriptionpricing", "403-before")]
    with pytest.raises(HaloError, match="lacks a permission"):
        load(client, ledger, month.plan(prices=[*month.PRICES, other]), settings)
    assert load(client, ledger, month.plan(prices=[*month.PRICES, other]), settings).prices == 1
    assert load(client, ledger, month.plan(prices=[{**other, "erp_price": Decimal(2)}]), settings).prices == 1
    assert [row["erp_price"] for row in sandbox.prices()] == [Decimal("144"), Decimal("2")]


def test_halopsa_holding_other_lines_is_said(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    first = sandbox.lines()[0]
    client.post("CSPConsumptionData", [{name: value for name, value in first.items() if name != "id"}])
    with pytest.raises(DisagreementError, match=r"10 lines of invoice G1 and should have 9: 1 are too many \(ids 11\)"):
        load(client, ledger, month.plan(), settings)
    with pytest.raises(DisagreementError, match="too many"):
        mark_billed(client, ledger, month.plan(), settings)
    client.delete("CSPConsumptionData/11")
    client.post("CSPConsumptionData", [{"id": first["id"], "total": Decimal("9.99")}])
    with pytest.raises(DisagreementError, match=r"a difference of 8\.74"):
        load(client, ledger, month.plan(), settings)
    client.delete(f"CSPConsumptionData/{first['id']}")
    with pytest.raises(DisagreementError, match="were removed there"):
        load(client, ledger, month.plan(), settings)
    with pytest.raises(DisagreementError, match="no longer in the exports"):
        load(client, ledger, month.plan(usage=[]), settings)


def test_a_commit_later_than_the_grace_is_found_before_anything_is_billed(
    sandbox: Sandbox, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    sandbox.faults.append(Fault("POST cspconsumptiondata", "timeout-before", seconds=0.8))
    client = connect(sandbox, timeout=(2, 0.4))
    load(client, ledger, month.plan(), settings)
    assert _wait_for(lambda: sandbox.summary()["lines"] == 13)
    with pytest.raises(DisagreementError, match=r"12 lines of invoice G1 and should have 9: 3 are too many"):
        mark_billed(client, ledger, month.plan(), settings)
    assert sandbox.summary()["lines_billed"] == 0
    for row in sandbox.lines()[-3:]:
        client.delete(f"CSPConsumptionData/{row['id']}")
    until_done(client, ledger, month.plan(), settings)
    assert_exactly_once(sandbox)


def test_an_invoice_twice_in_halopsa_is_said(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    for _ in range(2):
        client.post("cspinvoice", [{"id": "G1", "tenantid": 1}])
    with pytest.raises(DisagreementError, match=r"invoice G1 more than once \(haloid 1 and 2\)"):
        load(client, ledger, month.plan(), settings)
    assert not sandbox.lines()


def test_two_loads_at_once(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    with (
        holding(ledger, "run-0"),
        pytest.raises(WarehouseError, match=rf"process {os.getpid()} on .*, run run-0, since"),
    ):
        load(client, ledger, month.plan(), settings)
    assert not sandbox.requests
    load(client, ledger, month.plan(), settings)
    assert_exactly_once(sandbox, billed=False)


def _posts(requests: list[str]) -> int:
    return sum(1 for request in requests if request.startswith("POST csp"))


def _wait_for(condition: Callable[[], bool], seconds: float = 15) -> bool:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        waiting.wait(0.02)
    return False
