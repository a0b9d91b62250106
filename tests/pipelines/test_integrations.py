"""Integrations and subscriptions by hand: read before and after, made once, and no secret where it can be seen."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox
from tests.halopsa.conftest import connect
from tests.pipelines.conftest import Command, Outcome

SECRET = "canary-secret-4711"

#: What a new integration of each kind looks like, and where HaloPSA has it.
NEW: dict[str, tuple[str, dict[str, Any]]] = {
    "shopify": ("ShopifyDetails", {"shopname": "acme", "new_access_token": SECRET, "enabled": True}),
    "amazon": ("AmazonSellerDetails", {"storefrontname": "acme", "new_refresh_token": SECRET, "marketplace": "DE"}),
    "adobe": ("AdobeCommerceDetails", {"connectionname": "acme", "url": "https://shop.example", "enabled": True}),
    "datto": ("DattoCommerceDetails", {"url": "https://datto.example", "new_api_key": SECRET}),
}


@pytest.fixture
def client(halo: Sandbox) -> HaloClient:
    return connect(halo)


@pytest.fixture
def put(command: Command) -> Any:
    """Puts a body from a file; fails where a secret shows."""

    def run(kind: str, body: Any, *arguments: str) -> Outcome:
        Path("body.json").write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
        outcome = command("integrations", "put", kind, "body.json", *arguments)
        assert SECRET not in outcome.out + outcome.err
        return outcome

    return run


def posts(halo: Sandbox) -> int:
    return sum(request.startswith("POST ") and "details" in request for request in halo.requests)


@pytest.mark.parametrize("kind", NEW)
def test_an_integration_is_made_shown_changed_and_deleted(
    kind: str, halo: Sandbox, client: HaloClient, command: Command, put: Any
) -> None:
    path, body = NEW[kind]
    made = put(kind, body, "--json")
    assert (made.code, made.document["action"]) == (0, "created"), made.err
    number = made.document["id"]
    assert posts(halo) == 1
    again = put(kind, body)
    assert (again.code, f"id {number}" in again.err, posts(halo)) == (2, True, 1)

    enabled = "halointegratorenabled" if kind == "datto" else "enabled"
    changed = put(kind, {"id": number, enabled: False}, "--json").document
    assert changed["action"] == ("unchanged" if kind == "datto" or kind == "amazon" else "updated")
    assert client.get(f"{path}/{number}").get(enabled) in (None, False)
    assert put(kind, {"id": number, enabled: True}, "--json").document["action"] == "updated"
    sent = posts(halo)
    assert put(kind, {"id": number, enabled: True}, "--json").document["action"] == "unchanged"
    assert posts(halo) == sent

    shown = command("integrations", "show", kind, str(number), "--json").document
    assert shown["id"] == number
    assert SECRET not in json.dumps(shown)
    listed = command("integrations", "list", kind, "--json").document
    assert [(row["kind"], row["integration_id"], row["is_enabled"]) for row in listed] == [(kind, number, True)]
    assert ("acme" if "acme" in str(body) else "datto.example") in command("integrations", "list").out

    assert command("integrations", "delete", kind, str(number), "--json").document["action"] == "deleted"
    assert command("integrations", "list", "--json").document == []
    for arguments in (["delete", kind, str(number)], ["show", kind, str(number)]):
        assert command("integrations", *arguments).code == 2
    assert put(kind, {"id": number, enabled: True}).code == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"shopname": "acme", "new_acces_token": SECRET}, "new_acces_token"),
        ({"shopname": "acme", "enabled": SECRET}, "enabled"),
        ({"enabled": True}, "shopname"),
        ([{"shopname": "acme"}], "one JSON object"),
        ('{"shopname": "' + SECRET, "no JSON"),
        ({"shopname": "acme", "new_access_token": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
        ({"shopname": "acme", "new_access_token": {"secret": SECRET}}, "new_access_token"),
    ],
)
def test_a_body_that_cannot_be_sent_is_refused_without_quoting_it(
    body: Any, told: str, halo: Sandbox, put: Any
) -> None:
    outcome = put("shopify", body)
    assert (outcome.code, outcome.err.count("\n"), told in outcome.err) == (2, 1, True), outcome.err
    assert posts(halo) == 0


def test_secrets_come_from_stdin_or_the_environment(
    halo: Sandbox, client: HaloClient, command: Command, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    sent: list[Any] = []
    post = HaloClient.post

    def noted(client: HaloClient, path: str, rows: Any, hide: Any = ()) -> Any:
        sent.append((rows, list(hide)))
        return post(client, path, rows, hide)

    monkeypatch.setattr(HaloClient, "post", noted)
    assert put("shopify", {"shopname": "acme", "new_access_token": "env:SHOP_TOKEN"}).code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"id": 1, "new_access_token": SECRET})))
    assert command("integrations", "put", "shopify").code == 0
    assert [rows[0]["new_access_token"] for rows, _ in sent] == [SECRET] * 2
    assert [hide for _, hide in sent] == [[SECRET]] * 2


def test_a_refusal_that_quotes_the_secret_is_blanked(halo: Sandbox, put: Any) -> None:
    halo.rule = lambda row: f"the token {SECRET} is not valid"
    outcome = put("shopify", NEW["shopify"][1])
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert "***" in outcome.err


@pytest.mark.parametrize(
    ("action", "code", "there"), [("504-after", 0, 1), ("reset-after", 0, 1), ("reset-before", 3, 0)]
)
def test_a_creation_of_unknown_outcome_is_looked_up_and_not_repeated(
    action: str, code: int, there: int, halo: Sandbox, client: HaloClient, put: Any
) -> None:
    client.post("ShopifyDetails", [{"shopname": "acme-2"}])
    halo.requests.clear()
    halo.faults.append(Fault("POST shopifydetails", action))
    assert put("shopify", NEW["shopify"][1]).code == code
    assert posts(halo) == 1
    assert len(list(client.newest_first("ShopifyDetails", "id"))) == 1 + there


def test_a_new_secret_of_unknown_outcome_is_not_called_done(halo: Sandbox, client: HaloClient, put: Any) -> None:
    client.post("ShopifyDetails", [{"shopname": "acme"}])
    halo.requests.clear()
    halo.faults.append(Fault("POST shopifydetails", "504-before"))
    outcome = put("shopify", {"id": 1, "new_access_token": SECRET})
    assert (outcome.code, "not known" in outcome.err, posts(halo)) == (3, True, 1)


@pytest.mark.parametrize(("action", "code"), [("504-after", 0), ("reset-before", 3)])
def test_a_deletion_of_unknown_outcome_is_looked_up(
    action: str, code: int, halo: Sandbox, client: HaloClient, command: Command
) -> None:
    client.post("ShopifyDetails", [{"shopname": "acme"}])
    halo.faults.append(Fault("DELETE shopifydetails", action))
    assert command("integrations", "delete", "shopify", "1").code == code
    assert sum(request.startswith("DELETE") for request in halo.requests) == 1


def until(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_subscriptions_are_made_listed_renewed_and_deleted(
    halo: Sandbox, client: HaloClient, command: Command
) -> None:
    body = {"microsoft_id": "list-1", "fullname": "Acme", "subscribed": True, "new_subscription_key": SECRET,
            "subscription_expiry": until(days=2)}  # fmt: skip
    Path("new.json").write_text(json.dumps(body), encoding="utf-8")
    made = command("subscriptions", "create", "new.json", "--json")
    assert (made.code, made.document["action"], SECRET in made.out) == (0, "created", False), made.err
    assert command("subscriptions", "create", "new.json").code == 2
    later = {"subscribed": True, "microsoft_id": "list-2", "subscription_expiry": until(days=20)}
    ended = {"subscribed": True, "microsoft_id": "list-3", "subscription_expiry": until(days=-1)}
    client.post("MicrosoftSubscriptionMapping", [later, ended])

    listed = command("subscriptions", "list", "--json").document
    assert [(row["id"], row["state"]) for row in listed] == [(3, "expired"), (1, "expiring"), (2, "active")]
    assert [row["id"] for row in command("subscriptions", "list", "--expiring", "1", "--json").document] == [3]
    doctor = command("doctor", "--json").document["halopsa"]
    assert "of its Microsoft subscriptions, ended are 3 and ending within 3 days are 1" in doctor

    renewed = command("subscriptions", "renew", "--json").document
    assert [(row["id"], row["action"]) for row in renewed] == [(1, "renewed")]
    assert renewed[0]["subscription_expiry"] > until(days=28)
    assert command("subscriptions", "renew", "--json").document == []
    assert command("subscriptions", "renew", "1", "--json").document[0]["action"] in ("renewed", "unchanged")
    assert command("subscriptions", "renew", "2", "--days", "10", "--json").document[0]["action"] == "unchanged"
    refused = command("subscriptions", "renew", "3")
    assert (refused.code, "create it anew" in refused.err) == (2, True)
    assert command("subscriptions", "delete", "3").code == 0
    assert command("subscriptions", "delete", "3").code == 2


def test_a_doctor_that_may_not_see_subscriptions_says_so(halo: Sandbox, command: Command) -> None:
    halo.faults.append(Fault("GET microsoftsubscriptionmapping", "403-before", times=0))
    Path("exports").mkdir()
    outcome = command("doctor", "--json")
    assert outcome.code == 0
    assert "cannot be read" in outcome.document["halopsa"]
