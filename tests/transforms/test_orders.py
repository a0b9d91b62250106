"""Orders and integrations as rows, what is wrong with them, and what differs between two copies."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from transforms.errors import RemoteError
from transforms.orders import compare, integration_problems, integration_row, key_of, missing, order_row, parse_time
from transforms.subscriptions import subscription_state
from transforms.tables import COMMERCE_INTEGRATIONS, ECOMMERCE_ORDERS

URL = "https://acme.halopsa.com"
NOON = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


def order(**more: Any) -> dict[str, Any]:
    return order_row({"id": 7, **more}, URL)


def test_an_order_keeps_what_its_table_declares_and_nothing_of_the_buyer() -> None:
    row = order(
        thirdpartyid="T1", thirdpartyordernumber="#1001", thirdpartystatus="paid", shop_name="Acme", ticket_id=12,
        thirdpartycreateddate="2026-11-01T23:30:00-02:00", thirdpartyurl="https://me:pw@shop.example/admin/1?x=1",
        jsonobj='{"email": "buyer@example.com"}', _amazon_buyer_info={"buyerName": "Bea Buyer"},
        linked_tickets=[{"ticket_id": 12}, {"ticket_id": 9}, {"ticket_id": None}],
    )  # fmt: skip
    assert set(row) == set(ECOMMERCE_ORDERS.names) - {"first_seen_at", "changed_at", "deleted_at"}
    assert (row["order_id"], row["ticket_id"], row["linked_ticket_ids"]) == (7, 12, "9,12")
    assert (row["ordered_at"], row["month"]) == (dt.datetime(2026, 11, 2, 1, 30, tzinfo=dt.UTC), "2026-11")
    assert row["third_party_url"] == "https://shop.example/admin/1?x=1"
    assert "uyer" not in json.dumps(row, default=str)


@pytest.mark.parametrize(
    ("status", "status2", "cancelled"),
    [
        ("Cancelled", None, True),
        ("paid", " CANCELED ", True),
        ("voided", "unfulfilled", True),
        ("Cancellation requested", None, False),
        ("partially_cancelled", "", False),
        ("avoided", None, False),
        ("refunded", "fulfilled", False),
        (None, None, False),
    ],
)
def test_cancelled_is_a_whole_status(status: str | None, status2: str | None, cancelled: bool) -> None:
    assert order(thirdpartystatus=status, thirdpartystatus2=status2)["is_cancelled"] is cancelled


@pytest.mark.parametrize(("ticket", "linked"), [(None, None), (0, None), (-1, None), (1, "1")])
def test_no_ticket_has_many_names(ticket: int | None, linked: str | None) -> None:
    assert order(ticket_id=ticket)["linked_ticket_ids"] == linked


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-02T12:00:00", NOON),
        ("2026-11-02T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
        ("0001-01-01T00:00:00", None),
        ("1899-12-30T00:00:00Z", None),
        ("", None),
    ],
)
def test_times_are_utc_and_empty_ones_are_none(text: str, time: dt.datetime | None) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    ("name", "value"), [("ticket_id", "canary"), ("ticket_id", True), ("thirdpartycreateddate", "canary")]
)
def test_a_value_of_another_type_is_named_and_not_quoted(name: str, value: Any) -> None:
    with pytest.raises(RemoteError, match=f"order 7 has a {name}") as refused:
        order(**{name: value})
    assert "canary" not in str(refused.value)


def test_no_secret_of_an_integration_becomes_a_column() -> None:
    secrets = dict.fromkeys(("new_access_token", "new_refresh_token", "code", "_code", "new_api_key"), "canary")
    row = integration_row("datto", {"id": 3, "url": "https://u:canary@shop.example", **secrets}, URL)
    assert row["url"] == "https://shop.example"
    assert "canary" not in json.dumps(row, default=str)


@pytest.mark.parametrize(
    ("kind", "record", "problems"),
    [
        ("shopify", {"enabled": True, "authorized": True}, []),
        ("shopify", {"enabled": False, "authorized": False}, ["disabled", "not authorised"]),
        ("amazon", {"enabled": True}, []),
        ("adobe", {"enabled": True, "integrator_last_sync": (NOON - DAY).isoformat()}, []),
        ("adobe", {"enabled": True, "integrator_last_sync": (NOON - DAY - SECOND).isoformat()},
         ["not synced since 2026-11-01 11:59 UTC"]),
        ("datto", {"halointegratorenabled": True}, ["never synced"]),
        ("datto", {"halointegratorenabled": False, "halointegrator_lastsync": NOON.isoformat()}, ["disabled"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_integration(kind: str, record: dict[str, Any], problems: list[str]) -> None:
    assert integration_problems(integration_row(kind, {"id": 1, **record}, URL), NOON) == problems


def stored(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**row, "first_seen_at": NOON - DAY, "changed_at": NOON - DAY, "deleted_at": None, **more}


def test_only_what_is_new_changed_or_deleted_is_written() -> None:
    rows = [order_row({"id": number, "thirdpartystatus": "paid"}, URL) for number in range(1, 7)]
    known = [stored(row) for row in rows[:4]] + [stored(rows[4], deleted_at=NOON - DAY)]
    found = [rows[0], {**rows[1], "status": "refunded"}, rows[4], rows[5]]
    lost = missing(ECOMMERCE_ORDERS, known, found)
    assert [row["order_id"] for row in lost] == [3, 4]
    # 4 is missing too, but nobody saw that it is gone.
    changes = compare(ECOMMERCE_ORDERS, known, found, [key_of(ECOMMERCE_ORDERS, rows[2])], NOON)
    assert changes.counts == {"new": 1, "changed": 2, "deleted": 1, "unchanged": 1}
    written = {row["order_id"]: (row["first_seen_at"], row["changed_at"], row["deleted_at"]) for row in
               (*changes.new, *changes.changed, *changes.deleted)}  # fmt: skip
    assert written == {
        2: (NOON - DAY, NOON, None), 3: (NOON - DAY, NOON, NOON), 5: (NOON - DAY, NOON, None), 6: (NOON, NOON, None),
    }  # fmt: skip


def test_a_deletion_is_dated_once() -> None:
    row = integration_row("shopify", {"id": 1}, URL)
    known = [stored(row, deleted_at=NOON - DAY)]
    assert missing(COMMERCE_INTEGRATIONS, known, []) == []
    changes = compare(COMMERCE_INTEGRATIONS, known, [], [key_of(COMMERCE_INTEGRATIONS, row)], NOON)
    assert changes.counts == {"new": 0, "changed": 0, "deleted": 0, "unchanged": 0}


@pytest.mark.parametrize(
    ("expiry", "subscribed", "state"),
    [
        (NOON, True, "expired"),
        (NOON + SECOND, True, "expiring"),
        (NOON + 3 * DAY, True, "expiring"),
        (NOON + 3 * DAY + SECOND, True, "active"),
        (NOON, False, "not subscribed"),
        (None, None, "no expiry"),
    ],
)
def test_the_state_of_a_subscription(expiry: dt.datetime | None, subscribed: bool | None, state: str) -> None:
    record = {"id": 1, "subscribed": subscribed, "subscription_expiry": expiry.isoformat() if expiry else None}
    assert subscription_state(record, NOON) == state
