"""Credit notes and rebills, and what was voided, or taken out of the exports, after it was posted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.plan import AbsentInvoice, LoadPlan, VoidedLines
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from pipelines.loading import _load_notices
from tests.halopsa import month
from tests.halopsa.conftest import connect
from tests.halopsa.test_exactly_once import DyingLedger, KilledError
from transforms.billed_lines import BilledLine, Change
from transforms.errors import RemoteError

MakeLedger = Callable[[], Ledger]

_ONE = [month.recon_line(1, "G1"), month.recon_line(2, "G1")]
_CREDIT = month.recon_line(3, "G2", total=Decimal("-3.25"), subtotal=Decimal("-3.25"))
_AGAIN = [month.recon_line(4, "G3"), month.recon_line(5, "G3")]
_G1 = month.invoice("G1", "3.50")
_G2 = month.invoice("G2", "-3.25", document_type="adjustment_note", amends_of="G3")
_NOTE = month.invoice("GN", "-3.50", document_type="void_note", amends_of="G1")
#: A credit of what is void now: neither is it posted, nor its line.
_GC = month.invoice("GC", "-1.00", document_type="adjustment_note", amends_of="G1")
_VOID_CREDIT = month.recon_line(6, "GC", total=Decimal("-1"), subtotal=Decimal("-1"))
_G3 = month.invoice("G3", "9.50")


def _before() -> LoadPlan:
    return month.plan(_ONE, [], [_G1], [])


def _after() -> LoadPlan:
    """G1 is void now, a rebill with a credit note has come. The lines of what is void are still among the exports."""
    return month.plan([*_ONE, _CREDIT, *_AGAIN, _VOID_CREDIT], [], [_G1, _G2, _NOTE, _GC, _G3], [], "run-2")


@pytest.mark.parametrize("cascades", [False, True])
def test_credit_notes_and_rebills_are_documents_of_their_own(
    cascades: bool, make_ledger: MakeLedger, settings: HaloLoadSettings
) -> None:
    with serve(options=Options(cascades=cascades)) as sandbox:
        client, ledger = connect(sandbox), make_ledger()
        assert load(client, ledger, _after(), settings) == LoadCounts(invoices=2, lines=3)
        assert mark_billed(client, ledger, _after(), settings) == MarkCounts(invoices=2, lines=3)
        numbers = {row["haloid"]: row["id"] for row in sandbox.invoices()}
        assert Counter(numbers[row["parentid"]] for row in sandbox.lines()) == {"G2": 1, "G3": 2}
        assert next(row["total"] for row in sandbox.lines()) == Decimal("-3.25")


def test_lines_of_an_invoice_that_was_voided_later_are_told_and_left(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, _before(), settings)
    client.post("CSPConsumptionData/manage", [{"id": 1, "isbilled": True}])
    there = sandbox.lines()
    counts = load(client, ledger, _after(), settings)
    billed = (BilledLine(Change.VOID, "G1", 1, "line-1", Decimal("1.25")),)
    voided = (VoidedLines("G1", 1, unbilled=(2,), billed=billed),)
    assert counts == LoadCounts(invoices=2, lines=3, billed_changed=billed, voided=voided)
    assert _load_notices(counts, "run-2") == [
        "invoice G1 (haloid 1) is void, and lines of it were posted before it was: 1 is not billed, delete it in "
        "HaloPSA (ids 2) and 1 is billed, credit who was charged (ids 1)"
    ]
    mark_billed(client, ledger, _after(), settings)
    assert sandbox.lines()[:2] == there
    assert [row["isfullybilled"] for row in sandbox.invoices()] == [False, True, True]

    # Once somebody has deleted them, nothing is told, and HaloPSA is not asked again.
    for halo_id in (1, 2):
        client.delete(f"CSPConsumptionData/{halo_id}")
    assert load(client, ledger, _after(), settings) == LoadCounts()
    sandbox.requests.clear()
    assert load(client, ledger, _after(), settings) == LoadCounts()
    assert not sandbox.requests


def test_lines_in_doubt_when_their_invoice_was_voided(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger
) -> None:
    """The answer stayed out and the load gave up; then the invoice was voided. The lines are there, and are told."""
    settings = HaloLoadSettings(batch_size=3, settle_grace_seconds=0)
    sandbox.faults.append(Fault("POST cspconsumptiondata", "reset-after"))
    sandbox.faults.append(Fault("GET cspconsumptiondata", "403-before", nth=2, times=0))
    with pytest.raises(RemoteError):
        load(client, ledger, _before(), settings)
    sandbox.faults.clear()
    assert {row.state for row in ledger.postings("line").values()} == {"intended"}
    voided = (VoidedLines("G1", 1, unbilled=(1, 2), billed=()),)
    assert load(client, ledger, _after(), settings).voided == voided
    assert load(client, ledger, _after(), settings) == LoadCounts(voided=voided)
    for halo_id in (1, 2):
        client.delete(f"CSPConsumptionData/{halo_id}")
    assert load(client, ledger, _after(), settings) == LoadCounts()
    assert not [key for key, row in ledger.postings("line").items() if row.parent_key == "G1"]


def test_a_billed_line_that_is_not_delivered_again_is_told_and_left(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """What is new beside it is posted and billed all the same: nobody has to delete what is billed."""
    load(client, ledger, month.plan(), settings)
    mark_billed(client, ledger, month.plan(), settings)
    there = sandbox.lines()
    corrected = month.plan([*(row for row in month.RECON if row["line_id"] != "line-3"), month.recon_line(10)])
    gone = (BilledLine(Change.GONE, "G1", 3, "line-3", Decimal("3.25")),)
    assert load(client, ledger, corrected, settings) == LoadCounts(lines=1, billed_changed=gone)
    assert mark_billed(client, ledger, corrected, settings) == MarkCounts(lines=1)
    assert load(client, ledger, corrected, settings) == LoadCounts(billed_changed=gone)
    assert sandbox.lines()[:-1] == there

    # Once somebody has deleted it, nothing is told, and HaloPSA is not asked again.
    client.delete("CSPConsumptionData/3")
    assert load(client, ledger, corrected, settings) == LoadCounts()
    sandbox.requests.clear()
    assert load(client, ledger, corrected, settings) == LoadCounts()
    assert not sandbox.requests
    # The exports have it again: it is posted again.
    again = load(client, ledger, month.plan([*month.RECON, month.recon_line(10)]), settings)
    assert again == LoadCounts(lines=1)


def test_a_line_that_somebody_billed_in_halopsa_need_not_be_deleted(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    client.post("CSPConsumptionData/manage", [{"id": 3, "isbilled": True}])
    corrected = month.plan([row for row in month.RECON if row["line_id"] != "line-3"])
    gone = (BilledLine(Change.GONE, "G1", 3, "line-3", Decimal("3.25")),)
    assert load(client, ledger, corrected, settings) == LoadCounts(billed_changed=gone)
    assert mark_billed(client, ledger, corrected, settings) == MarkCounts(invoices=2, lines=9)
    assert sandbox.summary()["lines_billed"] == 10


def test_a_billed_line_that_changed_and_was_deleted_is_posted_anew(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    mark_billed(client, ledger, month.plan(), settings)
    changed = month.with_line(month.plan(), "line-3", total=Decimal(4))
    assert len(load(client, ledger, changed, settings).billed_changed) == 1
    client.delete("CSPConsumptionData/3")
    assert load(client, ledger, changed, settings) == LoadCounts(lines=1)
    assert mark_billed(client, ledger, changed, settings) == MarkCounts(lines=1)
    assert [row["total"] for row in sandbox.lines() if row["subscriptionid"] == "subscription-3"] == [Decimal(4)]


@pytest.mark.parametrize("answer", ["400-before", "403-before", "404-before", "500-before"])
def test_a_halopsa_that_shows_no_line_by_its_id_is_asked_for_its_list(
    answer: str, sandbox: Sandbox, client: HaloClient, ledger: Ledger
) -> None:
    """Of many lines a few changed ones are asked for one by one."""
    settings = HaloLoadSettings(settle_grace_seconds=0)
    many = month.plan([month.recon_line(number) for number in range(1, 320)], [], [month.invoice("G1", "1")], [])
    load(client, ledger, many, settings)
    mark_billed(client, ledger, many, settings)
    sandbox.faults.append(Fault("GET cspconsumptiondata/3", answer, times=0))
    changed = month.with_line(many, "line-3", total=Decimal(4))
    (found,) = load(client, ledger, changed, settings).billed_changed
    assert (found.halo_id, found.total) == (3, Decimal("3.25"))


def test_of_many_deleted_lines_only_some_are_asked_for(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of 150 billed lines are delivered no more. A list that leaves out what is there is not believed."""
    settings = HaloLoadSettings(settle_grace_seconds=0)
    many = month.plan([month.recon_line(number) for number in range(1, 151)], [], [month.invoice("G1", "1")], [])
    load(client, ledger, many, settings)
    mark_billed(client, ledger, many, settings)
    none = month.plan([], [], [month.invoice("G1", "1")], [])
    with monkeypatch.context() as patch:
        patch.setattr(HaloClient, "newest_first", lambda *_: iter(()))
        with pytest.raises(DisagreementError, match=r"list leaves out 150 lines, some of which it has \(ids 1, 2, 3"):
            load(client, ledger, none, settings)
    assert len(load(client, ledger, none, settings).billed_changed) == 150
    for halo_id in range(1, 151):
        client.delete(f"CSPConsumptionData/{halo_id}")
    sandbox.requests.clear()
    assert load(client, ledger, none, settings) == LoadCounts()
    assert sum(request.startswith("GET cspconsumptiondata/") for request in sandbox.requests) == 100
    assert not ledger.postings("line")


def test_a_line_that_was_about_to_be_changed_when_the_load_ended_and_was_billed_then(
    client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """The load died before its request, somebody billed the line, and now it is not delivered any more."""
    load(client, ledger, month.plan(), settings)
    with pytest.raises(KilledError):
        load(client, DyingLedger(ledger, 1, after=True), month.with_line(month.plan(), "line-3", total=Decimal(4)),
             settings)  # fmt: skip
    assert ledger.postings("line")["line-3"].state == "intended"
    client.post("CSPConsumptionData/manage", [{"id": 3, "isbilled": True}])
    corrected = month.plan([row for row in month.RECON if row["line_id"] != "line-3"])
    gone = (BilledLine(Change.GONE, "G1", 3, "line-3", Decimal("3.25")),)
    assert load(client, ledger, corrected, settings) == LoadCounts(billed_changed=gone)


def test_an_invoice_that_is_not_delivered_again_is_told(
    client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    """Nothing says that it is void, so that a file may be missing; another month may have it, too."""
    load(client, ledger, month.plan(), settings)
    client.post("CSPConsumptionData/manage", [{"id": 3, "isbilled": True}])
    load(client, ledger, month.with_line(month.plan(), "line-3", total=Decimal(4)), settings)
    less = month.plan([row for row in month.RECON if row["invoice_number"] == "G2"], [], month.DOCUMENTS[1:])
    counts = load(client, ledger, less, settings)
    assert counts == LoadCounts(absent=(AbsentInvoice("G1", 9, 1),))
    assert _load_notices(counts, "run-2") == [
        "invoice G1 is not among the exports any more, and 9 lines of it are in HaloPSA, 1 billed: deliver it again, "
        "or credit what was billed"
    ]
    assert load(client, ledger, replace(less, elsewhere=frozenset({"G1"})), settings) == LoadCounts()
