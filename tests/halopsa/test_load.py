"""What a load posts, updates, refuses and reports, and when it does not begin."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, MarkCounts, load, mark_billed
from connectors.halopsa.lock import holding
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import Warehouse
from tests.halopsa import month
from tests.halopsa.conftest import connect
from tests.halopsa.landing import assert_exactly_once, until_done
from transforms.billed_lines import BilledLine, Change
from transforms.errors import WarehouseError

MakeLedger = Callable[[], Ledger]


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
    billed = BilledLine(Change.AMOUNTS, "G1", 4, "line-4", Decimal("4.25"))
    assert counts == LoadCounts(billed_changed=(billed,))
    assert sandbox.lines() == lines


def test_a_line_billed_by_somebody_in_halopsa_is_left_alone(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    halo_id = ledger.postings("line")["line-3"].halo_id
    client.post("CSPConsumptionData/manage", [{"id": halo_id, "isbilled": True}])
    changed = month.with_line(month.plan(), "line-3", total=Decimal("4"))
    billed = BilledLine(Change.AMOUNTS, "G1", 3, "line-3", Decimal("3.25"))
    assert load(client, ledger, changed, settings) == LoadCounts(billed_changed=(billed,))
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


@pytest.mark.parametrize("flag", ["computed", "stored"])
def test_a_document_without_lines_is_counted_as_halopsa_has_it(flag: str, make_ledger: MakeLedger) -> None:
    """Where the flag is computed from lines there is none to take; it is taken as soon as there is a line."""
    documents = [*month.DOCUMENTS, month.invoice("G3", "412.60")]
    bare, whole = (month.plan(documents=documents, recon=[*month.RECON, *more]) for more in (
        [], [month.recon_line(10, "G3")]))  # fmt: skip
    with serve(options=Options(invoice_flag=flag)) as sandbox:
        client, ledger, settings = connect(sandbox), make_ledger(), HaloLoadSettings(settle_grace_seconds=0)
        load(client, ledger, bare, settings)
        marked = mark_billed(client, ledger, bare, settings)
        assert marked.invoices == sandbox.summary()["invoices_billed"] == (2 if flag == "computed" else 3)
        assert marked.unmarked == (("G3",) if flag == "computed" else ())
        states = {number: posting.state for number, posting in ledger.postings("invoice").items()}
        assert states["G3"] == ("posted" if flag == "computed" else "billed")
        sandbox.requests.clear()
        assert load(client, ledger, bare, settings) == LoadCounts()
        assert mark_billed(client, ledger, bare, settings) == MarkCounts(unmarked=marked.unmarked)
        assert not [request for request in sandbox.requests if request.startswith("POST")]
        assert load(client, ledger, whole, settings).lines == 1
        assert mark_billed(client, ledger, whole, settings) == MarkCounts(invoices=3 - marked.invoices, lines=1)
        assert sandbox.summary()["invoices_billed"] == 3


def test_an_invoice_is_asked_to_be_marked_until_there_is_an_answer(make_ledger: MakeLedger) -> None:
    """Its flag is computed from lines that are billed by then, and says nothing of a request that was lost."""
    with serve(options=Options(cascades=False, invoice_flag="computed")) as sandbox:
        client, ledger, settings = connect(sandbox), make_ledger(), HaloLoadSettings(settle_grace_seconds=0)
        load(client, ledger, month.plan(), settings)
        sandbox.requests.clear()
        sandbox.faults.append(Fault("POST cspinvoice", "500-before"))
        assert mark_billed(client, ledger, month.plan(), settings).invoices == 2
        assert sandbox.requests.count("POST cspinvoice") == 2


def test_an_invoice_that_reads_as_billed_is_marked_all_the_same(make_ledger: MakeLedger) -> None:
    """Its lines were marked, then the month failed; the next load lists the documents because of a new one."""
    documents = [*month.DOCUMENTS, month.invoice("G3", "1")]
    more = month.plan([*month.RECON, month.recon_line(10, "G3")], documents=documents)
    with serve(options=Options(cascades=False, invoice_flag="computed")) as sandbox:
        client, ledger, settings = connect(sandbox), make_ledger(), HaloLoadSettings(settle_grace_seconds=0)
        load(client, ledger, month.plan(), settings)
        sandbox.faults.append(Fault("POST cspinvoice", "403-before"))
        with pytest.raises(HaloError):
            mark_billed(client, ledger, month.plan(), settings)
        assert sandbox.summary()["invoices_billed"] == 2
        load(client, ledger, more, settings)
        assert mark_billed(client, ledger, more, settings) == MarkCounts(invoices=3, lines=1)


def test_an_invoice_whose_change_is_refused_is_not_loaded(
    sandbox: Sandbox, client: HaloClient, ledger: Ledger, settings: HaloLoadSettings
) -> None:
    load(client, ledger, month.plan(), settings)
    sandbox.rule = lambda row: "on hold" if row.get("documenttype") and row.get("id") == "G1" else ""
    changed = month.plan(documents=[month.invoice("G1", "99.99"), *month.DOCUMENTS[1:]])
    assert "invoice G1 is not in HaloPSA as the run has it" in str(load(client, ledger, changed, settings).missing)
    with pytest.raises(HaloError, match="on hold"):
        mark_billed(client, ledger, changed, settings)
    sandbox.rule = None
    assert load(client, ledger, changed, settings) == LoadCounts(invoices=1)


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
