"""Partner Center, Microsoft Graph, the blob store and the sign-in service on loopback, over TLS.

    python -m tests.partner_center.fake [--period 2025-11] [--port 0]

serves a clean example month and prints the settings that reach it; with `--seed N` it fails on purpose. Graph's three
shapes of `resourceLocation` take turns. Blobs are on another host name than Graph, and opened by a signature that can
end. Everything is behind a certificate authority of its own, because MSAL signs in over HTTPS only.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import re
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.halopsa import wire
from connectors.halopsa.sandbox.faults import Fault, FaultPlan
from connectors.halopsa.sandbox.server import listen, running
from examples.month import generate_month
from tests.partner_center.exports import Lines, Month, parts_of, read_month, zipped

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT_ID = "22222222-2222-4222-8222-222222222222"
CLIENT_SECRET = "fake-secret-Xy7Q"
REFRESH_TOKEN = "fake-refresh-token-0"

_BILLING = "/graph/v1.0/reports/partners/billing"
_SHEET = re.compile(r"pricesheets\(Market='(\w+)',PricesheetView='(\w+)'\)")
#: Actions that only the application itself can do, beside those of the fault plan.
_OWN_ACTIONS = ("gone", "failed", "expired", "damaged", "redirect")


class Fake:
    """A partner at Microsoft.

    Attributes:
        base_url: where it listens.
        month: what it has; may be changed while it runs.
        faults: failures to come, of the fault plan and of its own: `gone` (an operation or manifest is answered 410),
            `failed` (an operation has failed), `expired` (a blob's signature has ended), `damaged` (a blob of the right
            size has wrong bytes), `redirect` (to another host).
        polls: how often an operation is still running.
        parts: into how many blobs an export is cut.
        rotates: whether each use of a refresh token gives a new one; with `strict` the old one ends.
        leaked: requests to the blob store that carried a token.
    """

    def __init__(self, month: Month) -> None:
        self.base_url = ""
        self.month = month
        self.polls = 1
        self.parts = 3
        self.rotates = self.strict = False
        self.leaked: list[str] = []
        self.signatures: list[str] = []
        self.refresh_tokens = [REFRESH_TOKEN]
        self._own: list[Fault] = []
        self._tokens: dict[str, str] = {}
        self._operations: dict[str, dict[str, Any]] = {}
        self._manifests: dict[str, dict[str, Any]] = {}
        self._blobs: dict[str, bytes] = {}
        self._count = itertools.count()
        self.plan = FaultPlan(self._app(), self._tokens.clear)

    @property
    def requests(self) -> list[str]:
        """Every request so far, as `METHOD path`."""
        return self.plan.log

    def downloads(self) -> list[str]:
        """The requests for blobs and price sheets."""
        return [one for one in self.requests if "/blobs/" in f"/{one.split()[1]}" or "pricesheets" in one]

    def plan_faults(self, faults: Sequence[Fault]) -> None:
        """Set the failures to come."""
        self._own[:] = [fault for fault in faults if fault.action in _OWN_ACTIONS]
        self.plan.faults[:] = [fault for fault in faults if fault.action not in _OWN_ACTIONS]

    def blobs_of(self, dataset: str, key: str) -> dict[str, bytes]:
        """The blobs of an export by their names, as they are now."""
        lines = self._lines(dataset, key)
        folder = hashlib.sha256(b"\n".join([dataset.encode(), key.encode(), *lines])).hexdigest()[:12]
        return {
            f"part-{place:05d}-{folder}.c000.json.gz": blob
            for place, blob in enumerate(parts_of(lines, self.parts))
        }

    def end_signatures(self) -> None:
        """Make every signature given so far invalid."""
        self.signatures.clear()

    def tokens(self) -> list[str]:
        """Every access token that is valid."""
        return list(self._tokens)

    def environment(self) -> dict[str, str]:
        """The settings that reach it, but for the certificate."""
        prefix = "CSP_BILLING_"
        return {
            f"{prefix}PARTNER_TENANT_ID": TENANT,
            f"{prefix}PARTNER_CLIENT_ID": CLIENT_ID,
            f"{prefix}PARTNER_CLIENT_SECRET": CLIENT_SECRET,
            f"{prefix}PARTNER_REFRESH_TOKEN": REFRESH_TOKEN,
            f"{prefix}PARTNER_MARKETS": ",".join(sorted({market for _, market in self.month.sheets})),
            f"{prefix}GRAPH_URL": f"{self.base_url}/graph",
            f"{prefix}PARTNER_CENTER_URL": f"{self.base_url}/center",
            f"{prefix}PARTNER_PRICING_URL": f"{self.base_url}/pricing",
            f"{prefix}LOGIN_URL": self.base_url,
        }

    def _app(self) -> Starlette:
        def route(path: str, answer: Callable[[Request], Any], method: str = "GET") -> Route:
            return Route(path, answer, methods=[method])

        return Starlette(routes=[
            route("/{tenant}/v2.0/.well-known/openid-configuration", self._discover),
            route("/{tenant}/oauth2/v2.0/token", self._token, "POST"),
            route("/center/v1/invoices", self._list_invoices),
            route("/center/v1/invoices/{number}", self._invoice),
            route(_BILLING + "/{kind}/{billing}/export", self._export, "POST"),
            route(_BILLING + "/operations/{id}", self._operation),
            route(_BILLING + "/manifests/{id}", self._manifest),
            route("/pricing/v1.0/sales/{sheet}/$value", self._sheet),
            route("/blobs/{path:path}", self._blob),
        ])  # fmt: skip

    async def _discover(self, request: Request) -> Response:
        tenant = request.path_params["tenant"]
        if tenant != TENANT:
            return _json({"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}, 400)
        here = f"{self.base_url}/{tenant}"
        return _json({
            "issuer": f"{here}/v2.0", "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
            "token_endpoint": f"{here}/oauth2/v2.0/token",
        })  # fmt: skip

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        given = form.get("client_secret", "")
        if request.headers.get("authorization", "").startswith("Basic "):
            given = base64.b64decode(request.headers["authorization"][6:]).decode().partition(":")[2]
            given = unquote(given)
        if form.get("client_id") != CLIENT_ID or given != CLIENT_SECRET:
            told = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"
            return _json({"error": "invalid_client", "error_description": told}, 401)
        is_user = form["grant_type"] == "refresh_token"
        if is_user and form.get("refresh_token") not in self.refresh_tokens:
            told = "AADSTS700082: The refresh token has expired due to inactivity.\r\nTrace ID: 2"
            return _json({"error": "invalid_grant", "error_description": told}, 400)
        scope = next(one for one in form["scope"].split() if one.endswith("/.default"))
        token = secrets.token_hex(16)
        self._tokens[token] = f"{'user' if is_user else 'application'} {scope.removesuffix('/.default')}"
        answer = {"token_type": "Bearer", "expires_in": 3600, "access_token": token, "scope": scope}
        if is_user:
            answer["refresh_token"] = self._rotated(str(form["refresh_token"]))
        return _json(answer)

    def _rotated(self, used: str) -> str:
        if not self.rotates:
            return used
        new = f"fake-refresh-token-{next(self._count) + 1}"
        if self.strict:
            self.refresh_tokens.remove(used)
        self.refresh_tokens.append(new)
        return new

    def _refusal(self, request: Request, kinds: Sequence[str], resource: str) -> Response | None:
        held = self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "), "")
        kind, _, audience = held.partition(" ")
        if kind in kinds and audience == f"{self.base_url}/{resource}":
            return None
        return _json({"code": 401, "description": "no token for this"}, 401)

    async def _list_invoices(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["user"], "center"):
            return refusal
        # As in Microsoft's example: the list does not tell the billing period.
        items = [{name: value for name, value in one.items() if not name.startswith("billingPeriod")}
                 for one in self.month.invoices.values()]  # fmt: skip
        offset, size = (int(request.query_params[name]) for name in ("offset", "size"))
        return _json({"totalCount": len(items), "items": items[offset : offset + min(size, 2)]})

    async def _invoice(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["user"], "center"):
            return refusal
        found = self.month.invoices.get(request.path_params["number"])
        if found is None:
            return _json({"code": 404, "description": "no such invoice"}, 404)
        link = f"{self.base_url}/documents/{found['id']}?sig={secrets.token_hex(8)}"
        return _json({**found, "pdfDownloadLink": link})

    async def _export(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["application"], "graph"):
            return refusal
        body = json.loads(await request.body())
        assert body["attributeSet"] == "full"
        kind, billing = request.path_params["kind"], request.path_params["billing"]
        dataset = kind if billing == "billed" else f"unbilled-{kind}"
        number = str(next(self._count))
        self._operations[number] = {
            "dataset": dataset, "key": body.get("invoiceId") or body["currencyCode"], "polls": self.polls,
        }  # fmt: skip
        headers = {"Location": f"{self.base_url}{_BILLING}/operations/{number}", "Retry-After": "0"}
        return Response(status_code=202, headers=headers)

    async def _operation(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["application"], "graph"):
            return refusal
        if own := self._own_fault(request):
            return own
        number = request.path_params["id"]
        operation = self._operations[number]
        answer: dict[str, Any] = {"id": number, "createdDateTime": "2025-12-08T08:12:53"}
        if operation["polls"] > 0:
            operation["polls"] -= 1
            return _json(answer | {"status": "running"}, headers={"Retry-After": "0"})
        if not self._lines(operation["dataset"], operation["key"]):
            return _json(answer | {"status": "failed", "error": {"code": "5000", "message": "No data available"}})
        manifest = self._made(operation["dataset"], operation["key"])
        link = f"{self.base_url}{_BILLING}/manifests/{manifest['id']}"
        shapes: list[dict[str, Any]] = [
            {"resourceLocation": link},
            {"resourceLocation@odata.navigationLink": link},
            {"resourceLocation": manifest},
        ]
        return _json(answer | {"status": "succeeded"} | shapes[int(number) % len(shapes)])

    async def _manifest(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["application"], "graph"):
            return refusal
        return self._own_fault(request) or _json(self._manifests[request.path_params["id"]])

    def _made(self, dataset: str, key: str) -> dict[str, Any]:
        blobs = self.blobs_of(dataset, key)
        folder = hashlib.sha256(repr(sorted(blobs.items())).encode()).hexdigest()[:16]
        self._blobs |= {f"{folder}/{name}": blob for name, blob in blobs.items()}
        signature = secrets.token_hex(12)
        self.signatures.append(signature)
        manifest = {
            "id": secrets.token_hex(8), "schemaVersion": "2", "dataFormat": "compressedJSON",
            "createdDateTime": "2025-12-08T09:37:19.895Z", "eTag": folder, "partnerTenantId": TENANT,
            # Another host name than Graph's, on the same socket.
            "rootDirectory": f"{self.base_url.replace('127.0.0.1', 'localhost')}/blobs/{folder}",
            "sasToken": urlencode({"sv": "2021-08-06", "se": "2025-12-08T10:37:19Z", "sig": signature}),
            "partitionType": "default", "blobCount": len(blobs),
            "blobs": [{"name": name, "partitionValue": "default"} for name in blobs],
        }  # fmt: skip
        self._manifests[str(manifest["id"])] = manifest
        return manifest

    async def _blob(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self.leaked.append(request.url.path)
        own = self._own_fault(request)
        if own is not None:
            return own
        if request.query_params.get("sig") not in self.signatures:
            return Response(b"<Error/>", 403, headers={"x-ms-error-code": "AuthenticationFailed"})
        blob = self._blobs[request.path_params["path"]]
        told = base64.b64encode(hashlib.md5(blob, usedforsecurity=False).digest()).decode()
        # Some stores call packed data an encoding; they have to land as they lie.
        return Response(blob, media_type="application/json", headers={"Content-MD5": told, "Content-Encoding": "gzip"})

    async def _sheet(self, request: Request) -> Response:
        if refusal := self._refusal(request, ["user"], "pricing"):
            return refusal
        found = _SHEET.fullmatch(request.path_params["sheet"])
        asked = request.query_params
        is_right = asked["timeline"] == "current" or asked.get("month") == self.month.period.replace("-", "")
        sheet = self.month.sheets.get((found[2], found[1])) if found and is_right else None
        if sheet is None or found is None:
            return _json({"code": 404, "description": "no such sheet"}, 404)
        if found[1] == "US":
            return Response(sheet, media_type="text/csv")
        return Response(zipped(f"{found[2]}.csv", sheet), media_type="application/octet-stream")

    def _lines(self, dataset: str, key: str) -> Lines:
        return self.month.lines.get(dataset, {}).get(key, [])

    def _own_fault(self, request: Request) -> Response | None:
        asked = f"{request.method} {request.url.path.strip('/')}"
        fault = next((each for each in self._own if each.strikes(asked)), None)
        if fault is None:
            return None
        if fault.action == "gone":
            return _json({"error": {"code": "UnknownError", "message": "gone"}}, 410)
        if fault.action == "failed":
            return _json({"status": "failed", "error": {"code": "2000", "message": "Attributes are invalid"}})
        if fault.action == "redirect":
            return Response(status_code=302, headers={"Location": "https://elsewhere.invalid/x"})
        if fault.action == "expired":
            self.end_signatures()
            return None
        blob = self._blobs[request.path_params["path"]]
        return Response(blob[:-9] + bytes(9), media_type="application/json")


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer with every decimal's own digits."""
    return Response(wire.encode(document), status, headers=headers, media_type="application/json")


def faults_of(seed: int) -> list[Fault]:
    """Some failures, none of which is for ever."""
    random = Random(seed)
    operations, blobs = f"GET {_BILLING.strip('/')}/operations", "GET blobs"
    anywhere = ("429", "503-before", "reset-before", "reset-after", "truncated")
    choices = [(match, action) for match in ("POST", "GET center", operations, blobs, "GET pricing")
               for action in anywhere]  # fmt: skip
    choices += [(operations, "gone"), (blobs, "expired"), (blobs, "damaged"), ("*", "expire")] * 4
    faults = []
    for match, action in random.sample(choices, random.randint(3, 8)):
        faults.append(Fault(match, action, nth=random.randint(1, 6), times=random.randint(1, 2), retry_after=0))
    return faults


@contextmanager
def serve(month: Month, folder: Path, port: int = 0) -> Iterator[Fake]:
    """Run a fake for the length of a `with`; `folder` gets its certificates, the authority as `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    keys = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(keys))
    fake = Fake(month)
    with listen("127.0.0.1", port) as listener:
        fake.base_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with running(fake.plan, listener, ssl_certfile=str(keys)):
            yield fake


def clean_month(folder: Path, period: str = "2025-11") -> Month:
    """An example month without discrepancies, written into `folder` on the way."""
    generate_month(folder, period=period, plant=False)
    return read_month(folder, period)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.partner_center.fake")
    parser.add_argument("--period", default="2025-11")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, help="fail on purpose, by this seed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="partner-center-") as name:
        folder = Path(name)
        month = clean_month(folder / "exports", options.period)
        with serve(month, folder, options.port) as fake:
            if options.seed is not None:
                fake.plan_faults(faults_of(options.seed))
            environment = {**fake.environment(), "REQUESTS_CA_BUNDLE": str(folder / "ca.pem")}
            print("\n".join(f"export {name}={value}" for name, value in environment.items()))
            sys.stdout.flush()
            threading.Event().wait()


if __name__ == "__main__":
    main()
