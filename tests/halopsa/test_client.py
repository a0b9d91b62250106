"""The client over real sockets: login, retries, what became of a write, and lists that lie."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from connectors.halopsa import wire
from connectors.halopsa.auth import token_url
from connectors.halopsa.client import HaloClient, _Body, _Patience
from connectors.halopsa.connection import normal_base_url
from connectors.halopsa.errors import (
    DisagreementError,
    HaloError,
    NotAppliedError,
    OutcomeUnknownError,
    RefusedError,
    TooLargeError,
)
from connectors.halopsa.rate import RollingWindow
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.options import Options
from connectors.halopsa.sandbox.server import Sandbox, serve
from tests.halopsa.conftest import connect
from tests.loopback import listening
from transforms.errors import RemoteError, SettingsError


def fill(sandbox: Sandbox, count: int) -> None:
    connect(sandbox).post("CSPConsumptionData", [{"parentid": 1, "type": 0}] * count)
    sandbox.requests.clear()


def lists(sandbox: Sandbox) -> int:
    return sandbox.requests.count("GET cspconsumptiondata")


def ids(client: HaloClient, floor: int | None = None) -> list[int]:
    return [row["id"] for row in client.newest_first("CSPConsumptionData", "id", floor)]


def test_numbers_keep_their_digits_both_ways(sandbox: Sandbox, client: HaloClient) -> None:
    digits = "1234567890123456.00000001"
    assert wire.encode({"a": [Decimal(digits), True, None, "ä\n"]}) == '{"a":[' + digits + ',true,null,"ä\\n"]}'
    assert wire.encode(Decimal("1E+3")) == "1000"
    with pytest.raises(TypeError):
        wire.encode(0.5)
    client.post("CSPConsumptionData", [{"parentid": 1, "type": 0, "total": Decimal(digits)}])
    assert client.get("cspconsumptiondata/1")["total"] == Decimal(digits)


def test_a_token_is_fetched_once_and_again_when_it_is_refused(sandbox: Sandbox, client: HaloClient) -> None:
    client.log_in()
    for _ in range(3):
        client.get("cspinvoice")
    assert sandbox.requests.count("POST auth/token") == 1
    sandbox.expire_tokens()
    assert client.post("cspinvoice", [{"id": "G1", "tenantid": 1}])[0]["haloid"] == 1
    assert sandbox.requests.count("POST auth/token") == 2
    assert sandbox.requests.count("POST cspinvoice") == 2
    assert len(sandbox.invoices()) == 1


def test_a_token_is_renewed_before_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    with serve(options=Options(token_seconds=1)) as sandbox:
        client = connect(sandbox)
        client.log_in()
        time.sleep(1.05)
        client.get("cspinvoice")
        assert sandbox.requests.count("POST auth/token") == 2
        assert sandbox.requests.count("GET cspinvoice") == 1


def test_wrong_credentials_are_told_without_them(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = HaloClient(sandbox.base_url, "someone", "a-secret-text", patience=1)
    with pytest.raises(RemoteError) as caught:
        client.get("cspinvoice")
    assert str(caught.value) == (
        f"HaloPSA at {sandbox.base_url} refused the login (401 invalid_client The client is not known.); check "
        "CSP_BILLING_HALO_CLIENT_ID and CSP_BILLING_HALO_CLIENT_SECRET"
    )
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for text in (repr(client), repr(vars(client)), repr(caught.value), caplog.text):
        assert "a-secret-text" not in text


def test_an_error_that_echoes_the_token_is_blanked(sandbox: Sandbox) -> None:
    """Some gateways repeat the request in their error page."""
    def echo(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        return 400, {"Message": f"bad: {handler.headers.get('Authorization')} {body}"}

    with scripted(echo) as url:
        client = HaloClient(url, "id", "echoed-secret", patience=1)
        with pytest.raises(HaloError) as caught:
            client.get("cspinvoice")
    assert "echoed-secret" not in str(caught.value)


@pytest.mark.parametrize(("url", "expected"), [
    ("https://acme.halopsa.com/", "https://acme.halopsa.com"),
    (" https://ACME.halopsa.com/api/ ", "https://acme.halopsa.com"),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
])  # fmt: skip
def test_the_base_url_has_one_spelling(url: str, expected: str) -> None:
    assert normal_base_url(url) == expected


@pytest.mark.parametrize("url", ["", "acme.halopsa.com", "ftp://acme", "https://user:pass@acme.halopsa.com"])
def test_a_wrong_base_url_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(SettingsError, match="CSP_BILLING_HALO_URL"):
        HaloClient(url, "id", "secret")
    with pytest.raises(SettingsError, match="CSP_BILLING_HALO_RATE"):
        HaloClient("https://acme.halopsa.com", "id", "secret", rate="fast")


def test_where_the_token_comes_from() -> None:
    assert token_url("https://a", None, None) == ("https://a/auth/token", None)
    assert token_url("https://a", {"auth_url": "https://auth.b/", "tenant_id": "t"}, None)[0] == (
        "https://auth.b/token?tenant=t"
    )
    assert token_url("https://a", {"auth_url": "https://b/auth/token", "tenant_id": "t"}, "mine") == (
        "https://b/auth/token?tenant=mine",
        "mine",
    )
    with pytest.raises(HaloError, match="not HTTPS"):
        token_url("https://a", {"auth_url": "http://b"}, None)


def test_a_stopped_server_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        free.close()
        with pytest.raises(NotAppliedError) as caught:
            HaloClient(url, "id", "secret", patience=0).post("cspinvoice", [])
    assert caught.value.what == f"HaloPSA at {url[7:]} cannot be reached"
    assert caught.value.mend == "is it running, is CSP_BILLING_HALO_URL right?"
    assert str(caught.value) == f"{caught.value.what}; {caught.value.mend}"


def test_a_redirect_to_another_host_is_not_followed(sandbox: Sandbox) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        if "token" in handler.path:
            return 200, {"access_token": "t", "expires_in": 60}
        return 302, f"{sandbox.base_url}{handler.path}"

    with scripted(elsewhere) as url:
        client = HaloClient(url, "id", "secret", patience=1)
        with pytest.raises(NotAppliedError, match="redirects to"):
            client.get("cspinvoice")
        with pytest.raises(NotAppliedError, match="redirects"):
            client.post("cspinvoice", [])
    assert not sandbox.requests


@pytest.mark.parametrize("action", ["429", "408-before", "500-before", "502-after", "reset-before", "truncated"])
def test_a_read_is_repeated(action: str, sandbox: Sandbox, client: HaloClient) -> None:
    fill(sandbox, 1)
    sandbox.faults.append(Fault("GET cspconsumptiondata", action, retry_after=0))
    assert client.get("CSPConsumptionData")["record_count"] == 1
    assert lists(sandbox) == 2


@pytest.mark.parametrize(("action", "error", "sent"), [
    ("429", None, 2),
    ("400-before", RefusedError, 1),
    ("403-before", NotAppliedError, 1),
    ("413-before", TooLargeError, 1),
    ("415-before", NotAppliedError, 1),
    ("408-before", OutcomeUnknownError, 1),
    ("500-after", OutcomeUnknownError, 1),
    ("503-before", OutcomeUnknownError, 1),
    ("reset-before", OutcomeUnknownError, 1),
    ("truncated", OutcomeUnknownError, 1),
])  # fmt: skip
def test_a_write_is_repeated_only_when_nothing_was_applied(
    action: str, error: type[HaloError] | None, sent: int, sandbox: Sandbox, client: HaloClient
) -> None:
    sandbox.faults.append(Fault("POST cspinvoice", action, retry_after=0))
    if error is None:
        client.post("cspinvoice", [{"id": "G1", "tenantid": 1}])
    else:
        with pytest.raises(HaloError) as caught:
            client.post("cspinvoice", [{"id": "G1", "tenantid": 1}])
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)
    assert sandbox.requests.count("POST cspinvoice") == sent


def test_retry_after_is_obeyed_and_patience_ends(sandbox: Sandbox) -> None:
    sandbox.faults.append(Fault("GET cspinvoice", "429", retry_after=1))
    started = time.monotonic()
    connect(sandbox).get("cspinvoice")
    assert 1 <= time.monotonic() - started < 2
    sandbox.faults[:] = [Fault("GET cspinvoice", "429", times=0, retry_after=300)]
    with pytest.raises(HaloError, match="rate limit stays reached") as caught:
        connect(sandbox).get("cspinvoice")
    assert caught.value.status == 429


def test_patience_outlasts_the_window_of_the_rate_without_a_word_from_the_server() -> None:
    now, pauses = 0.0, list[float]()

    def pause(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds

    waiting = _Patience(600, pause, clock=lambda: now)
    while waiting.wait():
        pass
    assert 5 * 60 < sum(pauses) <= 600
    assert all(2**n / 2 <= seconds <= min(2**n, 60) for n, seconds in enumerate(pauses[:6]))
    assert max(pauses) <= 60


def test_field_messages_are_told_by_row(sandbox: Sandbox, client: HaloClient) -> None:
    good = {"parentid": 1, "type": 0}
    bad = [{**good, "tags": "x" * 501, "unheard": 1}, {**good, "type": "a"}]
    with pytest.raises(RefusedError) as caught:
        client.post("CSPConsumptionData/manage", [good, *bad])
    assert set(caught.value.fields) == {"[1].tags", "[1].unheard", "[2].type"}
    assert caught.value.rows[2] == "type: Could not convert str to integer: a."
    assert not sandbox.lines()
    with pytest.raises(RefusedError, match="requires a JSON array"):
        client._call("POST", "cspinvoice", _Body(b"{}", "application/json", ()))
    with pytest.raises(RefusedError, match="NULL into column 'parentid'"):
        client.post("CSPConsumptionData", [{"type": 0}])


def test_the_rolling_window_holds_requests_back() -> None:
    now = 0.0
    pauses = []

    def sleep(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds

    window = RollingWindow("3/10", sleep, lambda: now)
    for _ in range(3):
        window.take()
        now += 1
    window.take()
    assert pauses == [7]
    window.take()
    assert pauses == [7, 1]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_list_is_read_whole_from_its_newest_end(newest_first: bool) -> None:
    """The server caps pages at 7 whatever is asked for."""
    with serve(options=Options(page_cap=7, newest_first=newest_first)) as sandbox:
        fill(sandbox, 40)
        client = connect(sandbox)
        assert ids(client) == list(range(40, 0, -1))
        assert lists(sandbox) == 6
        sandbox.requests.clear()
        assert ids(client, floor=35) == [40, 39, 38, 37, 36]
        # One page tells the order; an ascending list is then walked from its last page.
        assert lists(sandbox) == (1 if newest_first else 2)
        sandbox.requests.clear()
        walk = client.newest_first("CSPConsumptionData", "id")
        assert next(walk)["id"] == 40
        assert lists(sandbox) == (1 if newest_first else 2)


@pytest.mark.parametrize("options", [
    Options(ignored_paging="everything"),
    Options(ignored_paging="everything", envelope="bare"),
    Options(ignored_paging="repeat", count_honoured=True),
    Options(ignored_paging="repeat", count_honoured=True, envelope="bare"),
    Options(ignored_paging="repeat", count_honoured=True, newest_first=True, envelope="named"),
    Options(page_cap=10, envelope="bare"),
])  # fmt: skip
def test_lists_of_every_habit_are_read_whole(options: Options) -> None:
    with serve(options=options) as sandbox:
        fill(sandbox, 120)
        assert ids(connect(sandbox)) == list(range(120, 0, -1))
        assert lists(sandbox) <= 13


@pytest.mark.parametrize("envelope", ["data", "bare"])
def test_a_list_that_is_cut_is_an_error(envelope: str) -> None:
    with serve(options=Options(ignored_paging="repeat", envelope=envelope)) as sandbox:
        fill(sandbox, 120)
        with pytest.raises(DisagreementError, match="ignores paging"):
            ids(connect(sandbox))


def test_a_short_list_without_paging_is_whole() -> None:
    with serve(options=Options(ignored_paging="repeat", envelope="bare")) as sandbox:
        fill(sandbox, 20)
        assert ids(connect(sandbox)) == list(range(20, 0, -1))


def test_the_api_has_aspnets_habits(sandbox: Sandbox, client: HaloClient) -> None:
    client.post("cspConsumptionDATA/Manage", [{"parentid": 5, "type": 0}, {"parentid": 6, "type": 0}])
    assert client.get("CSPConsumptionData", {"pageinate": "True", "page_no": "2", "page_size": "1"}) == {
        "record_count": 2,
        "data": [{"parentid": 6, "type": 0, "id": 2}],
    }
    client.delete("CSPConsumptionData/Parent/5")
    assert [row["id"] for row in sandbox.lines()] == [2]
    for path, status in (("CSPConsumptionData/99", 404), ("cspinvoice/abc", 400)):
        with pytest.raises(HaloError) as caught:
            client.get(path)
        assert caught.value.status == status
    client.post("cspinvoice", [{"id": "G1", "tenantid": 1}])
    assert client.get("CSPInvoice/1")["haslines"] is False
    client.delete("cspinvoice/1")
    assert not sandbox.invoices()


@contextmanager
def scripted(answer: Any) -> Iterator[str]:
    """A server that answers what `answer(handler, body)` says: status, and JSON or (for a redirect) a location."""

    class Scripted(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, content = answer(self, self.rfile.read(length).decode())
            body = b"" if status == 302 else json.dumps(content).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

    with listening(Scripted) as port:
        yield f"http://127.0.0.1:{port}"
