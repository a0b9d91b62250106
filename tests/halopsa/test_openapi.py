"""The sandbox against its own OpenAPI document: whatever fits the document, or just does not, is never answered 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error

from connectors.halopsa.registry import RESOURCES
from connectors.halopsa.sandbox.server import Sandbox, serve

Mode = schemathesis.GenerationMode
#: Requests that fit, and requests that do not, for each endpoint; the latter are slow to make up.
_EXAMPLES = {Mode.POSITIVE: 5, Mode.NEGATIVE: 2}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Sandbox]:
    with serve() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def token(fresh: Sandbox) -> str:
    form = {"grant_type": "client_credentials", "client_id": fresh.client_id, "client_secret": fresh.client_secret}
    return str(requests.post(f"{fresh.base_url}/auth/token", form, timeout=5).json()["access_token"])


@pytest.fixture(scope="module")
def schema(fresh: Sandbox) -> Any:
    # The document is open: it says how to log in.
    return schemathesis.openapi.from_url(f"{fresh.base_url}/api/openapi.json")


def test_the_document_has_every_endpoint_and_marks_what_is_only_written(fresh: Sandbox) -> None:
    document = requests.get(f"{fresh.base_url}/API/OpenAPI.json", timeout=5).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(each.method, f"/{each.path}") for one in RESOURCES for each in one.endpoints}
    schemas = document["components"]["schemas"]
    assert schemas["ShopifyDetails"]["properties"]["new_access_token"] == {
        "type": "string", "nullable": True, "writeOnly": True
    }  # fmt: skip
    assert schemas["CSPConsumptionData"]["properties"]["tags"]["maxLength"] == 500
    assert [name for name, one in schemas.items() if not one["additionalProperties"]] == ["CSPConsumptionData"]


def test_no_request_is_answered_500(schema: Any, token: str) -> None:
    answered: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        statuses = answered.setdefault(operation.label, set())
        for mode in Mode:
            # What takes neither parameters nor a body cannot be asked wrongly.
            if mode is Mode.POSITIVE or operation.body or operation.query or operation.path_parameters:
                _try(operation, mode, token, statuses)
    assert len(answered) == sum(len(resource.endpoints) for resource in RESOURCES)
    # The requests got past the login and the media type, or they would have tried nothing.
    assert not {label: statuses for label, statuses in answered.items() if statuses <= {401, 415}}
    saved = {label for label, statuses in answered.items() if 201 in statuses}
    assert saved >= {"POST /EcommerceOrder", "POST /ShopifyDetails", "POST /CSPSubscriptionPricing/manage"}


@pytest.mark.parametrize(("body", "status"), [
    (b'[{"newNumber": 1e999999999}]', 400),
    (b'[{"newNumber": 1e99999999999999999999}]', 400),
    (b'[{"newNumber": ' + b"9" * 5000 + b"}]", 400),
    (b'[{"shop_name": "\xff"}]', 400),
    (b"[" * 100_000, 400),
    (b'[{"jsonobj": NaN}]', 400),
    (b'[{"shop_name": "half a pair: \\ud800", "\\udfff": 1e308}]', 201),
    (b"[]", 201),
])  # fmt: skip
def test_no_body_is_answered_500(body: bytes, status: int, fresh: Sandbox, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = requests.post(f"{fresh.base_url}/api/ecommerceorder", body, headers=headers, timeout=5)
    assert answer.status_code == status
    listed = requests.get(f"{fresh.base_url}/api/ecommerceorder?count={'9' * 5000}", headers=headers, timeout=5)
    assert listed.status_code == 200
    answer.json()


def _try(operation: Any, mode: Mode, token: str, statuses: set[int]) -> None:
    """Send examples that fit (or, in negative mode, do not), and note how they were answered."""

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=_EXAMPLES[mode], deadline=None, database=None, derandomize=True,
        phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    def send(case: Any) -> None:
        response = case.call(headers={"Authorization": f"Bearer {token}"}, timeout=5)
        case.validate_response(response, checks=[not_a_server_error])
        statuses.add(response.status_code)

    send()
