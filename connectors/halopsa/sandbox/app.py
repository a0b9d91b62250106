"""The sandbox's routes: login, and the CSP endpoints of HaloPSA's API, with its habits."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.halopsa import wire
from connectors.halopsa.properties import CONSUMPTION, INVOICE, PRICING, Entity
from connectors.halopsa.sandbox.model_state import read_rows
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET, Options
from connectors.halopsa.sandbox.store import DatabaseError, MissingRecordError, Row, Store

_JSON_TYPES = ("application/json", "text/json", "application/json-patch+json")


class Api:
    """The endpoints over one store."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        self._tokens: dict[str, float] = {}

    def app(self) -> ASGIApp:
        """The ASGI application; paths are matched without regard to case, as ASP.NET does."""
        routes = [
            Route("/auth/token", self._token, methods=["POST"]),
            Route("/api/authinfo", self._auth_info, methods=["GET"]),
            Route("/sandbox/summary", self._summary, methods=["GET"]),
            Route("/api/cspconsumptiondata/parent/{id}", self._delete_lines, methods=["DELETE"]),
            Route("/api/cspconsumptiondata/manage", self._save(CONSUMPTION), methods=["POST"]),
            Route("/api/cspsubscriptionpricing/manage", self._save(PRICING), methods=["POST"]),
        ]
        for name, entity in (("cspconsumptiondata", CONSUMPTION), ("cspinvoice", INVOICE)):
            routes += [
                Route(f"/api/{name}", self._list(entity), methods=["GET"]),
                Route(f"/api/{name}", self._save(entity), methods=["POST"]),
                Route(f"/api/{name}/{{id}}", self._get(entity), methods=["GET"]),
                Route(f"/api/{name}/{{id}}", self._delete(entity), methods=["DELETE"]),
            ]
        starlette = Starlette(routes=routes)

        async def any_case(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = {**scope, "path": scope["path"].lower().rstrip("/") or "/"}
            await starlette(scope, receive, send)

        return any_case

    def expire_tokens(self) -> None:
        """Make every token invalid, as a restart of the auth server does."""
        self._tokens.clear()

    async def _token(self, request: Request) -> Response:
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        id_, secret = form.get("client_id", ""), form.get("client_secret", "")
        if id_ != CLIENT_ID or not secrets.compare_digest(secret.encode(), CLIENT_SECRET.encode()):
            return _json({"error": "invalid_client", "error_description": "The client is not known."}, 401)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + self._options.token_seconds
        return _json(
            {"scope": "all", "token_type": "Bearer", "access_token": token, "expires_in": self._options.token_seconds}
        )

    async def _auth_info(self, request: Request) -> Response:
        return _json({"auth_url": f"{request.url.scheme}://{request.headers['host']}/auth", "tenant_id": "sandbox"})

    async def _summary(self, request: Request) -> Response:
        return _json(self._store.summary())

    def _list(self, entity: Entity) -> Any:
        async def endpoint(request: Request) -> Response:
            if not self._may(request):
                return _unauthorized()
            query = {name.lower(): value for name, value in request.query_params.items()}
            ids = self._store.ids(entity)
            if self._options.newest_first:
                ids.reverse()
            rows = [self._store.get(entity, each) for each in self._page(ids, query)]
            return _json(self._enveloped(rows, len(ids)))

        return endpoint

    def _page(self, ids: list[int], query: Mapping[str, str]) -> list[int]:
        options = self._options
        if options.ignored_paging == "everything":
            return ids
        if query.get("pageinate", "").lower() == "true" and options.ignored_paging != "repeat":
            size = max(1, min(_whole(query.get("page_size"), options.default_page), options.page_cap))
            first = (max(1, _whole(query.get("page_no"), 1)) - 1) * size
            return ids[first : first + size]
        asked = query.get("count") if options.count_honoured else None
        return ids[: _whole(asked, options.default_page)]

    def _enveloped(self, rows: list[Row], total: int) -> Any:
        if self._options.envelope == "bare":
            return rows
        return {"record_count": total, "data" if self._options.envelope == "data" else "records": rows}

    def _get(self, entity: Entity) -> Any:
        async def endpoint(request: Request) -> Response:
            return self._with_id(request, lambda halo_id: self._store.get(entity, halo_id))

        return endpoint

    def _delete(self, entity: Entity) -> Any:
        async def endpoint(request: Request) -> Response:
            return self._with_id(request, lambda halo_id: self._store.delete(entity, halo_id))

        return endpoint

    async def _delete_lines(self, request: Request) -> Response:
        return self._with_id(request, self._store.delete_lines_of)

    def _with_id(self, request: Request, action: Any) -> Response:
        if not self._may(request):
            return _unauthorized()
        text = request.path_params["id"]
        if not text.isdecimal():
            return _json({"id": [f"The value '{text}' is not valid."]}, 400)
        try:
            return _json(action(int(text)))
        except MissingRecordError:
            return _json({"Message": "No such record."}, 404)

    def _save(self, entity: Entity) -> Any:
        async def endpoint(request: Request) -> Response:
            if not self._may(request):
                return _unauthorized()
            if not _is_json(request.headers.get("content-type", "")):
                return Response(status_code=415)
            try:
                body = wire.decode(await request.body())
            except ValueError as error:
                return _json({"": [f"Unexpected character encountered: {error}"]}, 400)
            rows, errors = read_rows(entity, body)
            if errors:
                return _json(errors, 400)
            try:
                return self._answer(self._store.save(entity, rows))
            except DatabaseError as error:
                return _json({"ClassName": "System.Data.SqlClient.SqlException", "Message": str(error)}, 400)
            except MissingRecordError:
                return _json({"Message": "No such record."}, 404)

        return endpoint

    def _answer(self, saved: list[Row]) -> Response:
        shape = self._options.answer
        if shape == "empty":
            return Response(status_code=201)
        if shape == "object" and len(saved) == 1:
            return _json(saved[0], 201)
        if shape == "envelope":
            return _json({"record_count": len(saved), "data": saved}, 201)
        return _json(saved[::-1] if shape == "reversed" else saved, 201)

    def _may(self, request: Request) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._tokens.get(token, 0) > time.monotonic()


def _json(value: Any, status: int = 200) -> Response:
    return Response(wire.encode(value if value is not None else {}), status, media_type="application/json")


def _unauthorized() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media in _JSON_TYPES or (media.startswith("application/") and media.endswith("+json"))


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default
