"""Every endpoint by the typed client over a real socket: what comes back, what is refused, and what never shows."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError, NotAppliedError, OutcomeUnknownError, RefusedError
from connectors.halopsa.models.base import Model, properties_of
from connectors.halopsa.models.commerce import (
    AdobeCommerceBillingAddress,
    AdobeCommerceDetails,
    AmazonSellerBuyerInfo,
    AmazonSellerDetails,
    DattoCommerceDetails,
    EcommerceOrder,
    EcommerceOrderFault,
    ShopifyDetails,
    StringStringValuesKeyValuePair,
)
from connectors.halopsa.models.csp import CSPConsumptionData, CSPInvoice, CSPSubscriptionPricing, CSPTaxReceipt
from connectors.halopsa.models.mapping import IntegrationFieldMapping, MicrosoftSubscriptionMapping
from connectors.halopsa.registry import RESOURCES
from connectors.halopsa.resources import HaloApi, Records
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from tests.halopsa.conftest import connect
from tests.halopsa.test_client import scripted
from transforms.errors import InputError

SECRET = "tok-\"5f1c\u00e9 and more"


@pytest.fixture
def api(client: HaloClient) -> HaloApi:
    return HaloApi(client)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything logged so far."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text


def pairs(**values: str) -> list[StringStringValuesKeyValuePair]:
    return [StringStringValuesKeyValuePair(key=key, value=[SecretStr(value)]) for key, value in values.items()]


def test_every_registered_endpoint_is_used_by_the_client(api: HaloApi, sandbox: Sandbox) -> None:
    records: list[tuple[Records[Any], list[Any]]] = [
        (api.consumption, [CSPConsumptionData(parentid=1, type=0), CSPConsumptionData(parentid=1, type=0)]),
        (api.invoices, [CSPInvoice(id="G1", tenantid=1)]),
        (api.mappings, [MicrosoftSubscriptionMapping(mappings_folder=[IntegrationFieldMapping(name="n")])]),
        (api.orders, [EcommerceOrder(thirdpartyid="A-1")]),
        (api.shopify, [ShopifyDetails(shopname="s")]),
        (api.amazon, [AmazonSellerDetails(storefrontname="s", redirect_uri="https://a.example")]),
        (api.adobe, [AdobeCommerceDetails(connectionname="s")]),
        (api.datto, [DattoCommerceDetails(url="https://d.example")]),
    ]
    for resource, new in records:
        saved = resource.save(new)
        name = "haloid" if isinstance(saved[0], CSPInvoice) else "id"
        assert [getattr(each, name) for each in saved] == list(range(1, len(new) + 1))
        assert list(resource.all()) == saved[::-1]
        assert resource.get(1) == saved[0]
        resource.delete(1)
        with pytest.raises(NotAppliedError) as caught:
            resource.get(1)
        assert (caught.value.status, caught.value.mend[:8]) == (404, "this Hal")
    (line,) = api.consumption.manage([CSPConsumptionData(id=2, total=Decimal("7.00000001"))])
    assert (line.parentid, line.total) == (1, Decimal("7.00000001"))
    api.consumption.delete_of_parent(1)
    assert list(api.consumption.all()) == []
    (price,) = api.prices.manage([CSPSubscriptionPricing(productid="P", erp_price=Decimal("0.12345"))])
    assert price.erp_price == Decimal("0.12345")
    assert api.adobe_integration.status()["authorized"] is False
    api.adobe_integration.authorise(pairs(oauth_consumer_key="k", oauth_verifier="v"))
    assert api.adobe_integration.status() == {"authorized": True, "fields": ["oauth_consumer_key", "oauth_verifier"]}

    used = {re.sub(r"\d+", "{id}", request) for request in sandbox.requests}
    registered = {f"{each.method} {each.path.lower()}" for resource in RESOURCES for each in resource.endpoints}
    assert registered == used - {"GET authinfo", "POST auth/token"}


def test_numbers_dates_and_nested_records_come_back_as_they_went(api: HaloApi, sandbox: Sandbox) -> None:
    total = Decimal("1234567890123456.00000001")
    when = datetime(2025, 11, 1, tzinfo=UTC)
    api.consumption.save([CSPConsumptionData(parentid=1, type=0, total=total, quantity=Decimal(3), usagedate=when)])
    line = api.consumption.get(1)
    assert (line.total, line.quantity, line.usagedate) == (total, Decimal(3), when.replace(tzinfo=None))
    order = EcommerceOrder(
        thirdpartycreateddate=when,
        amazon_buyer_info_=AmazonSellerBuyerInfo(buyerEmail="a@b.example"),
        adobecommerce_billing_address_=AdobeCommerceBillingAddress(street=["1 Main St", "2nd floor"]),
        linked_tickets=[EcommerceOrderFault(ticket_id=7)],
        jsonobj='{"total": 1.10}',
    )
    api.orders.save([order])
    assert sandbox.orders()[0] | order.to_body() == sandbox.orders()[0] | {"thirdpartycreateddate": when.strftime(
        "%Y-%m-%dT%H:%M:%SZ")}  # fmt: skip
    assert api.orders.get(1).linked_tickets == [EcommerceOrderFault(ticket_id=7)]
    # Read, changed and written back: only what was changed is another.
    again = api.orders.get(1)
    again.unlink_from_ticket_ = True
    api.orders.save([again])
    unlinked = api.orders.get(1)
    assert (unlinked.linked_tickets, unlinked.unlink_from_ticket_) == (None, None)
    assert unlinked.jsonobj == order.jsonobj


def test_unknown_properties_are_kept(api: HaloApi) -> None:
    unknown: dict[str, Any] = {"newProperty": Decimal("1.10"), "deeper": {"list": [1, None, Decimal("2.50")]}}
    mapping = IntegrationFieldMapping.model_validate({"name": "n", **unknown})
    api.datto.save([DattoCommerceDetails.model_validate({"quote_status_mappings": [mapping], **unknown})])
    shown = api.datto.get(1, include_details=True)
    assert shown.model_extra == unknown
    assert shown.quote_status_mappings == [mapping]
    assert shown.to_body()["quote_status_mappings"] == [{"name": "n", **unknown}]
    assert "1.10" not in repr(shown)
    assert api.datto.get(1).quote_status_mappings is None
    # Only the schema of consumption rows takes no others.
    with pytest.raises(RefusedError) as caught:
        api.consumption.save([CSPConsumptionData.model_validate({"parentid": 1, "type": 0, "newProperty": 1})])
    assert caught.value.fields == {"[0].newProperty": ("Could not find member 'newProperty' on object.",)}


def test_what_does_not_fit_is_not_sent(api: HaloApi, sandbox: Sandbox) -> None:
    good = CSPConsumptionData(parentid=1, type=0, tags="𝄞" * 250, total=Decimal("9999999999999999.99999999"))
    bad = CSPConsumptionData(
        parentid=2**31, tags="𝄞" * 250 + "x", total=Decimal("1E+16"), quantity=Decimal("0.123456789")
    )
    with pytest.raises(RefusedError) as caught:
        api.consumption.manage([good, bad])
    assert caught.value.status is None
    assert caught.value.mend == "shorten or round them"
    assert caught.value.fields == {
        "[1].parentid": ("is 2147483648, and HaloPSA takes whole numbers of 32 bits",),
        "[1].tags": ("has 501 characters, and HaloPSA takes 500",),
        "[1].total": ("is 1E+16, and HaloPSA keeps 16 digits before the point",),
        "[1].quantity": ("is 0.123456789, and HaloPSA keeps 8 decimals",),
    }
    assert str(caught.value).startswith("nothing was sent to CSPConsumptionData/manage: [1].parentid is 2147483648")
    too_low = EcommerceOrderFault(eo_id=-(2**31) - 1)
    with pytest.raises(RefusedError, match=r"\[0\]\.linked_tickets\[1\]\.eo_id is -2147483649"):
        api.orders.save([EcommerceOrder(linked_tickets=[EcommerceOrderFault(), too_low])])
    with pytest.raises(RefusedError, match="currencycode has 11 characters, and HaloPSA takes 10"):
        api.invoices.save([CSPInvoice(currencycode="x" * 11)])
    assert not [request for request in sandbox.requests if request.startswith("POST csp")]
    api.consumption.manage([good])
    assert api.consumption.get(1) == good.model_copy(update={"id": 1})


@pytest.mark.parametrize("value", [1.5, True, "many"])
def test_a_number_is_exact(value: Any) -> None:
    with pytest.raises(ValidationError, match="total"):
        CSPConsumptionData(total=value)
    line = CSPConsumptionData()
    with pytest.raises(ValidationError):
        line.total = value


def test_nested_refusals_have_their_path(client: HaloClient) -> None:
    with pytest.raises(RefusedError) as caught:
        client.post("ecommerceorder", [{}, {"linked_tickets": [{"ID": 1}, {"id": "a"}, 3], "_amazon_buyer_info": []}])
    assert set(caught.value.fields) == {
        "[1].linked_tickets[1].id", "[1].linked_tickets[2]", "[1]._amazon_buyer_info"
    }  # fmt: skip


@pytest.mark.parametrize("model", [ShopifyDetails, AmazonSellerDetails, DattoCommerceDetails,
                                   MicrosoftSubscriptionMapping])  # fmt: skip
def test_credentials_never_show(
    model: type[Model], sandbox: Sandbox, client: HaloClient, told: Callable[[], str]
) -> None:
    path = next(each.path for each in RESOURCES if each.model is model)
    names = [prop.name for prop in properties_of(model).values() if prop.secret]
    record = model.model_validate(dict.fromkeys(names, SECRET))
    assert record.to_body() == dict.fromkeys(names, SECRET)
    records: Records[Any] = Records(client, next(each for each in RESOURCES if each.model is model), model)
    sandbox.rule = lambda row: f"bad row {dict(row)} {SECRET}"
    try:
        with pytest.raises(HaloError) as caught:
            records.save([record])
    finally:
        sandbox.rule = None
    (saved,) = records.save([record])
    shown = [repr(record), str(record), str(record.model_dump()), record.model_dump_json(), str(caught.value),
             repr(caught.value.fields), told(), repr(records.get(1)), str(saved.to_body())]  # fmt: skip
    assert path in str(caught.value)
    for text in shown:
        assert "5f1c" not in text
    with pytest.raises(ValidationError) as wrong:
        model.model_validate({names[0]: [SECRET]})
    assert "5f1c" not in str(wrong.value)


def test_a_refusal_by_path_that_quotes_a_credential_is_blanked(told: Callable[[], str]) -> None:
    def echo(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        if "token" in handler.path:
            return 200, {"access_token": "t", "expires_in": 60}
        return 400, {"[0].code": [f"The code {SECRET} is used up."]}

    with scripted(echo) as url:
        api = HaloApi(HaloClient(url, "id", "secret", patience=1))
        with pytest.raises(RefusedError) as caught:
            api.shopify.save([ShopifyDetails(code=SecretStr(SECRET))])
        with pytest.raises(RefusedError) as form:
            api.adobe_integration.authorise(pairs(code=SECRET))
    assert caught.value.fields == form.value.fields == {"[0].code": ("The code *** is used up.",)}
    assert caught.value.rows == {0: "code: The code *** is used up."}
    assert "5f1c" not in f"{caught.value} {form.value} {told()}"


def test_the_handshake_is_refused_like_any_body(client: HaloClient, api: HaloApi, sandbox: Sandbox) -> None:
    with pytest.raises(RefusedError, match="obj field is required"):
        api.adobe_integration.authorise([])
    with pytest.raises(RefusedError) as caught:
        api.adobe_integration.authorise([*pairs(a="1"), StringStringValuesKeyValuePair(key="b")])
    assert set(caught.value.fields) == {"obj[1]"}
    with pytest.raises(NotAppliedError) as wrong_type:
        client.post("AdobeCommerceIntegration/auth", [])
    assert wrong_type.value.status == 415
    sandbox.faults.append(Fault("POST adobecommerceintegration/auth", "500-after"))
    with pytest.raises(OutcomeUnknownError):
        api.adobe_integration.authorise(pairs(code=SECRET))
    assert sandbox.requests.count("POST adobecommerceintegration/auth") == 4
    assert api.adobe_integration.status() == {"authorized": True, "fields": ["code"]}


def test_shops_are_authorized_by_credentials_until_they_are_disconnected(api: HaloApi) -> None:
    token = SecretStr(SECRET)
    (shop,) = api.shopify.save([ShopifyDetails(shopname="s", code=token)])
    assert shop.authorized is None
    assert api.shopify.save([ShopifyDetails(id=shop.id, code=token, exchangecode_=True)])[0].authorized is True
    assert api.shopify.save([ShopifyDetails(id=shop.id, disconnect_=True)])[0].authorized is False
    assert api.amazon.save([AmazonSellerDetails(new_access_token=token)])[0].authorized is True


def test_a_token_that_ends_in_mid_run_is_fetched_again(api: HaloApi, sandbox: Sandbox) -> None:
    api.orders.save([EcommerceOrder()] * 120)
    sandbox.faults.extend([Fault("GET ecommerceorder", "expire", nth=2), Fault("POST ecommerceorder", "expire")])
    assert [order.id for order in api.orders.all()] == list(range(120, 0, -1))
    api.orders.save([EcommerceOrder()])
    assert len(sandbox.orders()) == 121
    assert sandbox.requests.count("POST auth/token") == 3
    # A login that is refused again is an error, and nothing is sent a third time.
    sandbox.faults[:] = [Fault("POST ecommerceorder", "expire", times=0)]
    with pytest.raises(NotAppliedError) as caught:
        api.orders.save([EcommerceOrder()])
    assert caught.value.status == 401
    assert len(sandbox.orders()) == 121


@pytest.mark.parametrize(("answer", "ids"), [
    ("array", [1, 2]), ("reversed", [2, 1]), ("envelope", [1, 2]), ("empty", []), ("object", [1, 2]),
])  # fmt: skip
def test_a_save_may_be_answered_in_any_form(answer: str, ids: list[int]) -> None:
    with serve(options=Options(answer=answer, envelope="named")) as sandbox:
        api = HaloApi(connect(sandbox))
        assert [order.id for order in api.orders.save([EcommerceOrder(), EcommerceOrder()])] == ids
        assert [order.id for order in api.orders.save([EcommerceOrder()])] == ([] if answer == "empty" else [3])
        assert [order.id for order in api.orders.all()] == [3, 2, 1]


def test_an_answer_that_is_not_as_published_is_told_without_its_values() -> None:
    odd = {"id": 6, "enabled": "sometimes 5f1c"}
    answers: list[Any] = [{}, {"record_count": 1, "data": [{"id": 5}]}, odd, {"data": []}, {"load_error": "5f1c"}]

    def answer(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        return 200, {"access_token": "t"} if "token" in handler.path else answers.pop(0)

    with scripted(answer) as url:
        api = HaloApi(HaloClient(url, "id", "secret", patience=1))
        assert api.shopify.get(5).id == 5
        with pytest.raises(DisagreementError, match="whose enabled is not as published") as caught:
            api.shopify.get(6)
        assert "5f1c" not in str(caught.value)
        with pytest.raises(DisagreementError, match="0 records instead of one"):
            api.shopify.get(7)
        # HaloPSA can answer a failure with status 200.
        with pytest.raises(DisagreementError, match="ShopifyDetails without a list of records; check its version"):
            api.shopify.save([ShopifyDetails()])


def test_a_sandbox_with_a_file_keeps_its_records(tmp_path: Path) -> None:
    file = tmp_path / "halo.db"
    with serve(store_path=file) as sandbox:
        api = HaloApi(connect(sandbox))
        api.consumption.save([CSPConsumptionData(parentid=1, type=0, total=Decimal("1.10"))] * 3)
        api.invoices.save([CSPInvoice(id="G1", tenantid=1, mark_as_billed=True, taxreceipts=[CSPTaxReceipt(id="r")])])
        api.shopify.save([ShopifyDetails(shopname="s", new_access_token=SecretStr(SECRET))])
        api.consumption.delete(3)
        lines, invoices = sandbox.lines(), sandbox.invoices()
        with pytest.raises(InputError, match="database is locked"), serve(store_path=file):
            pass
    assert b"5f1c" not in file.read_bytes()
    with serve(store_path=file) as sandbox:
        api = HaloApi(connect(sandbox))
        assert (sandbox.lines(), sandbox.invoices()) == (lines, invoices)
        assert sandbox.invoices()[0]["isfullybilled"] is True
        assert api.shopify.get(1).authorized is True
        # An id that was deleted is not given again.
        assert api.consumption.save([CSPConsumptionData(parentid=1, type=0)])[0].id == 4
        sandbox.reset()
    with serve(store_path=file) as sandbox:
        assert not sandbox.lines()
