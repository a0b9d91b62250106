"""A tenant allows 300 requests in five minutes: a load spends few more than its batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.halopsa.batches import SLOW, BatchSize
from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from tests.halopsa import month
from tests.halopsa.conftest import connect
from tests.halopsa.landing import assert_exactly_once

MakeLedger = Callable[[], Ledger]

_QUICK = timedelta(milliseconds=100)
_LISTED = "GET cspconsumptiondata"


def test_a_batch_is_halved_and_grows_again_ever_more_slowly() -> None:
    size = BatchSize(100)
    size.failed(100)
    assert size.rows == 50
    for calm in (8, 16, 32, 64, 64):
        for _ in range(calm - 1):
            size.answered(50, _QUICK)
            assert size.rows == 50
        size.answered(50, _QUICK)
        assert size.rows == 100
        size.answered(100, SLOW + _QUICK)
        assert size.rows == 50
    size.failed(1)
    assert size.rows == 1


def test_a_connection_that_is_cut_soon_says_nothing_of_the_size() -> None:
    """Else a network that loses one request in five would end in batches of one row."""
    size = BatchSize(100)
    for _ in range(20):
        size.unanswered(100, _QUICK)
        size.unanswered(100, _QUICK)
        size.answered(100, _QUICK)
    assert size.rows == 100
    size.unanswered(100, SLOW + _QUICK)
    assert size.rows == 50
    for _ in range(3):
        size.unanswered(50, _QUICK)
    assert size.rows == 25


def test_it_never_grows_over_its_setting() -> None:
    size = BatchSize(3)
    for _ in range(20):
        size.answered(3, _QUICK)
    assert size.rows == 3


def test_a_new_month_is_not_listed_again(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """HaloPSA's answers showed every line; the list is asked once, for its newest id before the first line."""
    load(client, ledger, month.plan(), settings)
    assert sandbox.requests.count(_LISTED) == 1
    assert_exactly_once(sandbox, billed=False)
    sandbox.requests.clear()
    load(client, ledger, month.plan(), settings)
    assert sandbox.requests == [_LISTED]  # what this load did not see for itself


def test_a_load_that_goes_on_lists_what_the_first_one_posted(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(recon=month.RECON[:5]), settings)
    # An earlier line was changed in HaloPSA meanwhile: the walk that the new lines need sees it.
    client.post("CSPConsumptionData", [{"id": 1, "total": Decimal("9.99")}])
    with pytest.raises(DisagreementError, match=r"a difference of 8\.74"):
        load(client, ledger, month.plan(), settings)
    client.post("CSPConsumptionData", [{"id": 1, "total": Decimal("1.25")}])
    load(client, ledger, month.plan(recon=[*month.RECON, month.recon_line(10)]), settings)
    assert sandbox.summary()["lines"] == 11


@pytest.mark.parametrize("fault", ["500-after", "reset-before", "truncated"])
def test_an_invoice_with_a_request_in_doubt_is_read_back(
    fault: str, sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    sandbox.faults.append(Fault("POST cspconsumptiondata", fault))
    load(client, ledger, month.plan(), settings)
    last_post = max(number for number, each in enumerate(sandbox.requests) if each.startswith("POST"))
    assert _LISTED in sandbox.requests[last_post:]
    assert_exactly_once(sandbox, billed=False)


def test_an_answer_that_shows_another_content_is_no_proof(make_ledger: MakeLedger, settings: HaloLoadSettings) -> None:
    """Answers that tell nothing, or out of order, leave the proof to the list."""
    for answer in ("empty", "reversed"):
        with serve(options=Options(answer=answer)) as sandbox:
            load(connect(sandbox), make_ledger(), month.plan(), settings)
            last_post = max(number for number, each in enumerate(sandbox.requests) if each.startswith("POST"))
            assert _LISTED in sandbox.requests[last_post:]
            assert_exactly_once(sandbox, billed=False)


def test_a_gateway_that_takes_small_bodies_is_not_tried_at_every_batch(sandbox: Sandbox, ledger: Ledger) -> None:
    """413 for a while, then never again: the size stays small, and grows back."""
    recon = [month.recon_line(number) for number in range(1, 201)]
    sandbox.faults.append(Fault("POST cspconsumptiondata", "413-before", times=2))
    settings = HaloLoadSettings(batch_size=20, settle_grace_seconds=0)
    counts = load(connect(sandbox), ledger, month.plan(recon, []), settings)
    posts = [each for each in sandbox.requests if each.startswith("POST cspconsumptiondata")]
    assert counts.lines == sandbox.summary()["lines"] == 200
    # Two refused, sixteen of five until it grows, ten of ten and two more; without growing there were 42.
    assert len(posts) == 2 + 16 + 12


def test_a_tenant_with_many_lines_is_not_walked(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """Five hundred lines of an earlier month are there: what became of a lost answer is seen on the newest page."""
    old = [month.recon_line(number, "OLD") for number in range(500)]
    earlier = replace(month.plan(old, [], [month.invoice("OLD", "1.00")], []), period="2025-10")
    load(client, ledger, earlier, HaloLoadSettings())
    sandbox.requests.clear()
    sandbox.faults.append(Fault("POST cspconsumptiondata", "reset-after", times=2))
    load(client, ledger, month.plan(prices=[]), settings)
    assert mark_billed(client, ledger, month.plan(prices=[]), settings) == MarkCounts(invoices=2, lines=10)
    assert load(client, ledger, month.plan(prices=[]), settings) == LoadCounts()
    assert sandbox.requests.count(_LISTED) <= 10


def _marked_after_a_loss(sandbox: Sandbox, ledger: Ledger, lines: int, rows: int) -> int:
    """Load so many lines, then mark them in batches of so many rows, one of which is lost; how many are marked."""
    plan = month.plan([month.recon_line(number) for number in range(1, lines + 1)], [])
    settings = HaloLoadSettings(batch_size=rows, settle_grace_seconds=0)
    load(connect(sandbox), ledger, plan, settings)
    sandbox.requests.clear()
    sandbox.faults.append(Fault("POST cspconsumptiondata", "reset-before", nth=20))
    marked = mark_billed(connect(sandbox), ledger, plan, settings).lines
    assert all(row["isbilled"] for row in sandbox.lines())
    return marked


def test_a_few_lines_whose_marking_is_in_doubt_are_looked_at_one_by_one(sandbox: Sandbox, ledger: Ledger) -> None:
    """A batch of ten of 2,000 lines was lost: to list all of them again would take twenty requests, each time."""
    assert _marked_after_a_loss(sandbox, ledger, 2000, 10) == 2000
    assert sandbox.requests.count(_LISTED) == 20 + 20
    assert len([each for each in sandbox.requests if each.startswith(f"{_LISTED}/")]) == 10 + 10


def test_where_a_line_cannot_be_had_alone_the_list_is_read(sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.faults.append(Fault(f"{_LISTED}/", "404-before", times=0))
    assert _marked_after_a_loss(sandbox, ledger, 500, 2) == 500
    assert sandbox.requests.count(_LISTED) > 5 + 5
