"""A single record is found in whatever shape HaloPSA answers it."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError, OutcomeUnknownError
from connectors.halopsa.records import find_record, update_record
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox

RECORD = {"id": 7, "shop_name": "acme"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (RECORD, True),
        ([RECORD], True),
        ({"record_count": 1, "data": [RECORD]}, True),
        (None, False),
        ({}, False),
        ([], False),
        ({"id": 0}, False),
        ({"id": 8, "shop_name": "acme"}, False),
    ],
)
def test_a_record_in_every_shape(
    answer: Any, found: bool, client: HaloClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "get", lambda path: answer)
    assert find_record(client, "EcommerceOrder", 7) == (RECORD if found else None)


def test_a_record_that_cannot_be_read_is_not_called_missing(client: HaloClient, sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("GET ecommerceorder/7", "403-before"))
    with pytest.raises(HaloError, match="403"):
        find_record(client, "EcommerceOrder", 7)
    assert find_record(client, "EcommerceOrder", 7) is None


def test_what_is_accepted_and_not_shown_is_told_by_name(client: HaloClient, sandbox: Sandbox) -> None:
    client.post("EcommerceOrder", [{"shop_name": "acme"}])
    with pytest.raises(DisagreementError, match=r"order 1 .*\(status\)"):
        update_record(client, "EcommerceOrder", {"id": 1, "shop_name": "b"}, "order", lambda record: ["status"])
    sandbox.faults.append(Fault("POST ecommerceorder", "504-after"))
    with pytest.raises(OutcomeUnknownError, match="not known"):
        update_record(
            client, "EcommerceOrder", {"id": 1, "shop_name": "c"}, "order", lambda record: [], shows=False
        )  # fmt: skip
