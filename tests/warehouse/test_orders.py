"""The copy of HaloPSA's orders, on both engines: what is wrong with an order, and the figures of the report."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse
from connectors.warehouse.orders import (
    count_by_shop_and_month,
    count_orders,
    last_syncs,
    lock_copy,
    read_copy,
    read_problems,
    write_copy,
    write_sync,
)
from tests.warehouse.rows import NOON, row
from transforms.orders import Changes
from transforms.tables import ECOMMERCE_ORDERS

HALO, SANDBOX = "https://acme.halopsa.com", "http://127.0.0.1:8765"
COUNTS = {"new": 1, "changed": 0, "deleted": 0, "unchanged": 5}


def order(number: int, **more: Any) -> dict[str, Any]:
    return row(ECOMMERCE_ORDERS, **{"halo_url": HALO, "order_id": number, "shop_name": "Acme", "month": "2026-11",
                                    "ordered_at": NOON + dt.timedelta(hours=number), **more})  # fmt: skip


ORDERS = [
    order(1),
    order(2, linked_ticket_ids="5", ticket_id=5),
    order(3, is_cancelled=True),
    order(4, is_cancelled=True, linked_ticket_ids="5,6"),
    order(5, deleted_at=NOON),
    order(6, deleted_at=NOON, is_cancelled=True, linked_ticket_ids="5"),
    order(7, shop_name=None, month=None, ordered_at=None),
    order(1, halo_url=SANDBOX),
]
NEW = Changes(tuple(ORDERS), (), (), 0)


def test_what_is_wrong_with_an_order(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        lock_copy(connection)
        write_copy(connection, ECOMMERCE_ORDERS, NEW)
        found = connection.execute(
            sa.text("select order_id, problem, is_linked from out_orders where halo_url = :url order by order_id"),
            {"url": HALO},
        ).all()
        assert [tuple(each) for each in found] == [
            (1, "without_ticket", False), (2, None, True), (3, None, False), (4, "cancelled_but_linked", True),
            (5, None, False), (6, None, True), (7, "without_ticket", False),
        ]  # fmt: skip
        assert [each["order_id"] for each in read_problems(connection, "without_ticket", [HALO])] == [1, 7]
        assert [each["order_id"] for each in read_problems(connection, "cancelled_but_linked", [HALO])] == [4]
        assert count_orders(connection, [HALO]) == {"orders": 5, "deleted": 2}
        assert count_orders(connection, []) == {"orders": 0, "deleted": 0}
        months = count_by_shop_and_month(connection, [HALO, SANDBOX])
    figures = ("orders", "cancelled", "without_ticket", "cancelled_but_linked")
    assert [(each["halo_url"], each["month"], *(each[name] for name in figures)) for each in months] == [
        (SANDBOX, "2026-11", 1, 0, 1, 0), (HALO, "2026-11", 4, 2, 1, 1), (HALO, None, 1, 0, 1, 0),
    ]  # fmt: skip


def test_a_row_is_written_in_place_of_its_own_and_no_other(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        write_copy(connection, ECOMMERCE_ORDERS, NEW)
    with warehouse.begin() as connection:
        write_copy(connection, ECOMMERCE_ORDERS, Changes((order(8),), (order(1, status="refunded"),), (), 0))
    with warehouse.read() as connection:
        stored = {each["order_id"]: each["status"] for each in read_copy(connection, ECOMMERCE_ORDERS, HALO)}
        other = read_copy(connection, ECOMMERCE_ORDERS, SANDBOX)
        one = read_copy(connection, ECOMMERCE_ORDERS, HALO, [8])
    assert stored == {1: "refunded", **dict.fromkeys(range(2, 9))}
    assert [each["status"] for each in other] == [None]
    assert [{name: each[name] for name in order(8)} for each in one] == [order(8)]


def test_the_last_sync_of_each_halopsa(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        for url, hour in ((HALO, 1), (HALO, 0), (SANDBOX, 2)):
            started_at = NOON + dt.timedelta(hours=hour)
            write_sync(connection, url, started_at, started_at, COUNTS, COUNTS)
        assert last_syncs(connection, HALO) == {HALO: NOON + dt.timedelta(hours=1)}
        assert set(last_syncs(connection, None)) == {HALO, SANDBOX}
