"""Documents beside the plain invoice: credit notes, rebills, and what was voided after its lines were posted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.plan import LoadPlan, VoidedLines
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from pipelines.loading import _load_notices
from tests.halopsa import month
from tests.halopsa.conftest import connect
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
    assert counts == LoadCounts(invoices=2, lines=3, voided=(VoidedLines("G1", 1, unbilled=(2,), billed=(1,)),))
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
