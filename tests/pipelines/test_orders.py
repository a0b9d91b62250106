"""Orders from HaloPSA to the report and back: over HTTP, into both warehouses, and never sent twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.records import list_records
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from pipelines.orders import confirm_deleted, list_orders, store_orders
from pipelines.settings import load_settings
from tests.halopsa.conftest import connect
from tests.pipelines.conftest import Command
from tests.pipelines.test_month import query, warehouse_url
from transforms.errors import RemoteError

__all__ = ["warehouse_url"]

CANARY = "canary-secret"


def order(number: int, **more: Any) -> dict[str, Any]:
    return {
        "thirdpartyid": f"T{number}", "thirdpartyordernumber": f"#{number}", "shop_name": "acme", "details_id": 1,
        "integration_name": "Shopify", "thirdpartystatus": "paid", "thirdpartycreateddate": "2026-10-31T23:59:59Z",
        "jsonobj": json.dumps({"buyer": CANARY}), **more,
    }  # fmt: skip


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def client(halo: Sandbox, upgraded_file: Path, working_folder: Path) -> HaloClient:
    """HaloPSA with four orders and an integration of each kind, and a warehouse that is set up."""
    home = working_folder / ".csp-billing"
    home.mkdir()
    shutil.copyfile(upgraded_file, home / "warehouse.duckdb")
    client = connect(halo)
    cancelled = {"thirdpartystatus": "Cancelled", "thirdpartycreateddate": "2026-11-01T00:00:00Z"}
    bodies = [order(1), order(2, ticket_id=20), order(3, **cancelled), order(4, ticket_id=40, **cancelled)]
    client.post("EcommerceOrder", bodies)
    client.post("ShopifyDetails", [{"shopname": "acme", "enabled": True, "authorized": True}])
    client.post("AmazonSellerDetails", [{"storefrontname": "acme", "enabled": True, "authorized": False}])
    client.post("AdobeCommerceDetails", [
        {"connectionname": "acme", "enabled": False, "integrator_last_sync": ago(hours=1)}])  # fmt: skip
    client.post("DattoCommerceDetails", [
        {"url": "https://datto.example", "halointegratorenabled": True, "halointegrator_lastsync": ago(hours=25),
         "new_api_key": CANARY}])  # fmt: skip
    halo.requests.clear()
    return client


def writes(halo: Sandbox) -> list[str]:
    return [request for request in halo.requests if request.startswith(("POST e", "DELETE"))]


@pytest.fixture
def stored(client: HaloClient, command: Command) -> HaloClient:
    """The same, synced."""
    assert command("orders", "sync").code == 0
    return client


def test_a_sync_writes_what_changed_and_keeps_what_was_deleted(
    warehouse_url: str, halo: Sandbox, client: HaloClient, command: Command
) -> None:
    first = command("orders", "sync", "--json")
    assert first.code == 0
    assert first.document["orders"] == {"new": 4, "changed": 0, "deleted": 0, "unchanged": 0}
    assert first.document["integrations"] == {"new": 4, "changed": 0, "deleted": 0, "unchanged": 0}
    assert not any(request.startswith("POST e") for request in halo.requests)
    before = query("select order_id, changed_at from out_orders order by 1")

    second = command("orders", "sync", "--json").document
    assert second["orders"] == {"new": 0, "changed": 0, "deleted": 0, "unchanged": 4}
    assert query("select order_id, changed_at from out_orders order by 1") == before

    client.delete("EcommerceOrder/1")
    client.post("EcommerceOrder", [{"id": 2, "thirdpartystatus": "Cancelled"}])
    client.delete("ShopifyDetails/1")
    third = command("orders", "sync", "--json").document
    assert third["orders"] == {"new": 0, "changed": 1, "deleted": 1, "unchanged": 2}
    assert third["integrations"] == {"new": 0, "changed": 0, "deleted": 1, "unchanged": 3}
    gone = query("select order_id, order_number, deleted_at is not null as dated from out_orders where order_id = 1")
    assert gone == [{"order_id": 1, "order_number": "#1", "dated": True}]

    report = command("orders", "report", "--json").document
    assert (report["orders"], report["deleted"], report["without_ticket"]) == (3, 1, [])
    assert [row["order_id"] for row in report["cancelled_but_linked"]] == [4, 2]
    months = [(row["shop_name"], row["month"], row["orders"], row["cancelled"]) for row in report["by_shop_and_month"]]
    assert months == [("acme", "2026-10", 1, 1), ("acme", "2026-11", 2, 2)]
    problems = {row["kind"]: row["problems"] for row in report["integrations"]}
    assert {kind: texts[0].partition(" since")[0] for kind, texts in problems.items()} == {
        "amazon": "not authorised", "adobe": "disabled", "datto": "not synced",
    }  # fmt: skip
    tables = ("ecommerce_orders", "commerce_integrations", "commerce_syncs")
    assert CANARY not in "".join(str(query(f"select * from {table}")) for table in tables)
    text = command("orders", "report").out
    assert "cancelled orders that are still linked: 2" in text
    assert "orders without a ticket: none" in text


@pytest.mark.parametrize(
    "habits",
    [{"envelope": "bare"}, {"envelope": "named", "newest_first": True}, {"ignored_paging": "everything"}],
    ids=str,
)
def test_every_order_is_read_whatever_the_list_looks_like(
    habits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(options=Options(**habits)) as sandbox:
        for name, value in (("URL", sandbox.base_url), ("CLIENT_ID", "sandbox-client"),
                            ("CLIENT_SECRET", "sandbox-secret")):  # fmt: skip
            monkeypatch.setenv(f"CSP_BILLING_HALO_{name}", value)
        connect(sandbox).post("EcommerceOrder", [order(number) for number in range(1, 231)])
        listed = list_orders(load_settings()).orders
    assert listed.column("order_id").to_pylist() == list(range(1, 231))


def test_linking_sends_once_reads_back_and_shows_in_the_report(
    halo: Sandbox, stored: HaloClient, command: Command
) -> None:
    linked = command("orders", "link", "1", "--ticket", "11", "--json")
    assert (linked.code, linked.document["changed"], linked.document["linked_tickets"]) == (0, True, [11])
    assert stored.get("EcommerceOrder/1")["ticket_id"] == 11
    assert command("orders", "report", "--json").document["without_ticket"] == []
    again = command("orders", "link", "1", "--ticket", "11", "--json").document
    assert (again["changed"], writes(halo)) == (False, ["POST ecommerceorder"])

    other = command("orders", "link", "1", "--ticket", "12")
    assert (other.code, other.err.count("\n"), "ticket 11" in other.err) == (2, 1, True)
    assert command("orders", "unlink", "1").out == "order 1 is not linked to a ticket\n"
    assert stored.get("EcommerceOrder/1").get("ticket_id") is None
    assert stored.get("EcommerceOrder/1")["thirdpartystatus"] == "paid"
    assert command("orders", "unlink", "1").out == "order 1 is not linked to a ticket, as it was before\n"
    assert writes(halo) == ["POST ecommerceorder"] * 2
    assert [row["order_id"] for row in command("orders", "report", "--json").document["without_ticket"]] == [1]


def test_an_order_with_linked_tickets_alone_is_unlinked_from_one_of_them(
    halo: Sandbox, client: HaloClient, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("EcommerceOrder", [{"id": 1, "ticket_id": -1, "linked_tickets": [{"ticket_id": 5}]}])
    sent: list[Any] = []
    post = HaloClient.post

    def noted(self: HaloClient, path: str, rows: Any, hide: Any = ()) -> Any:
        sent.extend(rows)
        return post(self, path, rows, hide)

    monkeypatch.setattr(HaloClient, "post", noted)
    assert command("orders", "unlink", "1").code == 0
    assert sent == [{"id": 1, "ticket_id": 5, "_unlink_from_ticket": True}]


@pytest.mark.parametrize(("action", "code", "ticket"), [
    ("504-after", 0, 11), ("reset-after", 0, 11), ("truncated", 0, 11), ("504-before", 3, None),
    ("reset-before", 3, None),
])  # fmt: skip
def test_a_link_of_unknown_outcome_is_read_and_never_sent_again(
    halo: Sandbox, client: HaloClient, command: Command, action: str, code: int, ticket: int | None
) -> None:
    halo.faults.append(Fault("POST ecommerceorder", action))
    outcome = command("orders", "link", "1", "--ticket", "11")
    assert outcome.code == code
    assert writes(halo) == ["POST ecommerceorder"]
    assert client.get("EcommerceOrder/1").get("ticket_id") == ticket
    assert outcome.err.count("\n") == (1 if code else 0)
    if code:
        assert command("orders", "link", "1", "--ticket", "11").code == 0


def test_an_order_that_is_not_there(halo: Sandbox, command: Command) -> None:
    for arguments in (["link", "99", "--ticket", "1"], ["unlink", "99"]):
        outcome = command("orders", *arguments, "--json")
        assert (outcome.code, "no order 99" in outcome.document["error"]) == (2, True)
    assert writes(halo) == []


@pytest.mark.parametrize("arguments", [["link", "1"], ["link", "1", "--ticket", "0"], ["link", "0", "--ticket", "1"]])
def test_wrong_usage(command: Command, arguments: list[str]) -> None:
    assert command("orders", *arguments).code == 2


def test_an_unset_halopsa_and_an_empty_copy(command: Command) -> None:
    outcome = command("orders", "sync")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "CSP_BILLING_HALO_URL" in outcome.err
    assert "--dry-run" not in outcome.err
    report = command("orders", "report", "--json")
    assert (report.code, report.document["synced"], report.document["orders"]) == (0, [], 0)
    assert "orders sync" in report.err


def test_an_integration_that_halopsa_does_not_offer_is_left_as_it_was(
    halo: Sandbox, stored: HaloClient, command: Command
) -> None:
    halo.faults.append(Fault("GET dattocommercedetails", "403-before", times=0))
    outcome = command("orders", "sync", "--json")
    assert outcome.code == 0
    assert outcome.document["integrations"] == {"new": 0, "changed": 0, "deleted": 0, "unchanged": 3}
    assert "datto" in outcome.err
    kinds = query("select kind from commerce_integrations where deleted_at is null")
    assert len(kinds) == 4


def short(monkeypatch: pytest.MonkeyPatch, keep: Callable[[int], bool]) -> None:
    """A list that lacks orders HaloPSA still has, as pages do that move while they are read."""
    monkeypatch.setattr("pipelines.orders.list_records", lambda client, path: [
        record for record in list_records(client, path) if path != "EcommerceOrder" or keep(record["id"])])  # fmt: skip


def test_what_only_slipped_through_the_pages_is_not_deleted(
    stored: HaloClient, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.delete("EcommerceOrder/3")
    short(monkeypatch, lambda number: number > 2)
    outcome = command("orders", "sync", "--json").document
    assert outcome["orders"] == {"new": 0, "changed": 0, "deleted": 1, "unchanged": 3}


def test_a_list_that_lost_many_is_refused_whole(
    stored: HaloClient, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.post("EcommerceOrder", [order(number) for number in range(5, 40)])
    assert command("orders", "sync").code == 0
    short(monkeypatch, lambda number: number == 1)
    outcome = command("orders", "sync")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert query("select count(*) as n from out_orders where deleted_at is not null") == [{"n": 0}]
    for number in range(2, 40):
        stored.delete(f"EcommerceOrder/{number}")
    assert command("orders", "sync", "--json").document["orders"]["deleted"] == 38


def test_a_slow_sync_does_not_undo_a_later_one(stored: HaloClient, command: Command) -> None:
    settings = load_settings()
    slow = confirm_deleted(settings, list_orders(settings))
    stored.post("EcommerceOrder", [{"id": 1, "ticket_id": 11}])
    assert command("orders", "sync").code == 0
    with pytest.raises(RemoteError, match="later"):
        store_orders(settings, slow)
    assert query("select ticket_id from out_orders where order_id = 1") == [{"ticket_id": 11}]


def test_a_halopsa_that_fails_changes_nothing(halo: Sandbox, stored: HaloClient, command: Command) -> None:
    stored.delete("EcommerceOrder/1")
    halo.faults.append(Fault("GET shopifydetails", "401-before", times=0))
    outcome = command("orders", "sync")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert query("select count(*) as n from out_orders where deleted_at is not null") == [{"n": 0}]
    assert len(query("select * from commerce_syncs")) == 1
