"""What the client sends where, over real sockets: another port of this machine stands for another host."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa import connection
from connectors.halopsa.client import HaloClient
from connectors.halopsa.connection import normal_base_url
from connectors.halopsa.errors import HaloError, NotAppliedError, OutcomeUnknownError
from tests.halopsa.test_client import scripted
from tests.loopback import listening
from transforms.errors import SettingsError

SECRET = "canary-of-the-hosts"


@contextmanager
def recorded() -> Iterator[tuple[str, list[str]]]:
    """Another host: everything that reaches it, headers and bodies."""
    seen: list[str] = []

    def record(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        seen.append(f"{handler.command} {handler.path} {handler.headers} {body}")
        return 200, {}

    with scripted(record) as url:
        yield url, seen


def _halo(answer: Callable[[str], tuple[int, Any]]) -> Any:
    def answered(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        if handler.path.startswith("/auth/token"):
            return 200, {"access_token": "canary-token", "expires_in": 60}
        return (404, {}) if handler.path.startswith("/api/authinfo") else answer(handler.path)

    return scripted(answered)


@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_follows_a_redirect_to_another_host(method: str) -> None:
    with recorded() as (other, seen):
        for target in (f"{other}/api/x", other.replace("http:", "https:"), other.replace("127.0.0.1", "localhost"),
                       f"//{other[7:]}/api/x", f"http://user:pass@{other[7:]}/"):  # fmt: skip
            with _halo(lambda path, target=target: (302, target)) as url:  # type: ignore[misc]
                client = HaloClient(url, "id", SECRET, patience=0)
                with pytest.raises(NotAppliedError, match="redirects") as told:
                    client.post("cspinvoice", [{}]) if method == "post" else client.get("cspinvoice")
                assert "pass" not in str(told.value)
        assert seen == []


def test_a_login_is_not_redirected() -> None:
    with recorded() as (other, seen):
        for where in ("/auth/token", "/api/authinfo"):

            def answer(handler: BaseHTTPRequestHandler, body: str, where: str = where) -> tuple[int, Any]:
                return (302, f"{other}{where}") if handler.path.startswith(where) else (404, {})

            with scripted(answer) as url, pytest.raises(HaloError):
                HaloClient(url, "id", SECRET, patience=0).log_in()
        assert seen == []


@pytest.mark.parametrize("address", ["http://halo.example/auth", "ftp://127.0.0.1/", "https://user:pw@halo.example",
                                     "https://", "file:///etc/passwd"])  # fmt: skip
def test_an_auth_server_that_is_not_https_gets_nothing(address: str) -> None:
    def answer(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        assert SECRET not in body
        return 200, {"auth_url": address}

    with scripted(answer) as url, pytest.raises(HaloError, match="nothing was sent"):
        HaloClient(url, "id", SECRET, patience=0).log_in()


@pytest.mark.parametrize(("method", "error"), [("get", OutcomeUnknownError), ("post", OutcomeUnknownError)])
def test_an_endless_answer_is_cut_short(
    method: str, error: type[HaloError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked for again; of a write it stays open whether it was applied."""
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 1 << 20)
    asked: list[str] = []

    def endless(path: str) -> tuple[int, Any]:
        asked.append(path)
        return 200, {"records": "x" * (3 << 20)}

    with _halo(endless) as url:
        client = HaloClient(url, "id", SECRET, patience=30)
        with pytest.raises(error, match="answered more than 1 MiB"):
            client.get("cspinvoice") if method == "get" else client.post("cspinvoice", [{}])
    assert len(asked) == 1


@pytest.mark.parametrize("url", ["http://acme.halopsa.com", "http://10.0.0.7:8080", "http://127.0.0.1.evil.example",
                                 "HTTP://acme.halopsa.com/api", "http://localhost.example"])  # fmt: skip
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(SettingsError, match=r"CSP_BILLING_HALO_URL .* travel readable"):
        normal_base_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:8765", "https://a.b"])
def test_this_machine_and_https_are_taken(url: str) -> None:
    assert normal_base_url(url) == url


def test_a_login_in_the_address_is_not_repeated() -> None:
    for url in (f"https://user:{SECRET}@acme.halopsa.com", f"ftp://user:{SECRET}@acme.halopsa.com"):
        with pytest.raises(SettingsError) as told:
            normal_base_url(url)
        assert SECRET not in str(told.value)


@pytest.mark.parametrize("variables", [{}, {"PYTHONHTTPSVERIFY": "0", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}])
def test_a_certificate_of_nobody_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """And nothing in the environment makes it taken."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with _tls_server(tmp_path) as (url, seen):
        with pytest.raises(NotAppliedError, match="no valid TLS certificate"):
            HaloClient(url, "id", SECRET, patience=0).log_in()
        assert seen == []


@contextmanager
def _tls_server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server with a certificate that it signed itself."""
    seen: list[str] = []

    class Unseen(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(folder))
    with listening(Unseen, context) as port:
        yield f"https://localhost:{port}", seen


def _self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / "server.pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file
