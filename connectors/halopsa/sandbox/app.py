"""The sandbox's routes: login, and every registered endpoint of HaloPSA's API, with its habits."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.halopsa import wire
from connectors.halopsa.models.base import Type, properties_of
from connectors.halopsa.registry import RESOURCES, Action, Resource
from connectors.halopsa.sandbox.form import FormError, read_pairs
from connectors.halopsa.sandbox.model_state import read_rows
from connectors.halopsa.sandbox.openapi import document
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET, Options
from connectors.halopsa.sandbox.store import DatabaseError, MissingRecordError, Row, Store

_JSON_TYPES = ("application/json", "text/json", "application/json-patch+json")
_ID = re.compile(r"-?[0-9]{1,10}")

Handler = Callable[[Request, Resource], Awaitable[Response]]


class Api:
    """The endpoints over one store."""

    def __init__(self, store: Store, options: Options) -> None:
        self._store = store
        self._options = options
        self._tokens: dict[str, float] = {}
        self._handlers: dict[Action, Handler] = {
            Action.LIST: self._list,
            Action.SAVE: self._save,
            Action.MANAGE: self._save,
            Action.GET: self._get,
            Action.DELETE: self._delete,
            Action.DELETE_OF_PARENT: self._delete_lines,
            Action.STATUS: self._status,
            Action.AUTHORISE: self._authorise,
        }

    def app(self) -> ASGIApp:
        """The ASGI application; paths are matched without regard to case, as ASP.NET does."""
        routes = [
            Route("/auth/token", self._token, methods=["POST"]),
            Route("/api/authinfo", self._auth_info, methods=["GET"]),
            Route("/api/openapi.json", self._openapi, methods=["GET"]),
            Route("/sandbox/summary", self._summary, methods=["GET"]),
        ]
        for resource in RESOURCES:
            for endpoint in resource.endpoints:
                path = f"/api/{endpoint.path.lower()}"
                routes.append(Route(path, self._guarded(resource, endpoint.action), methods=[endpoint.method]))
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
        text = (await request.body()).decode(errors="replace")
        form = {name: values[-1] for name, values in parse_qs(text).items()}
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

    async def _openapi(self, request: Request) -> Response:
        return _json(document(RESOURCES))

    async def _summary(self, request: Request) -> Response:
        return _json(self._store.summary())

    def _guarded(self, resource: Resource, action: Action) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint behind the login."""

        async def endpoint(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or self._tokens.get(token, 0) <= time.monotonic():
                return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            try:
                return await self._handlers[action](request, resource)
            except MissingRecordError:
                return _json({"Message": "No such record."}, 404)

        return endpoint

    async def _list(self, request: Request, resource: Resource) -> Response:
        query = _query(request)
        ids = self._store.ids(resource)
        if self._options.newest_first:
            ids.reverse()
        rows = [_shown(resource, self._store.get(resource, each), False) for each in self._page(ids, query)]
        return _json(self._enveloped(rows, len(ids)))

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

    async def _get(self, request: Request, resource: Resource) -> Response:
        details = _query(request).get("includedetails", "").lower() == "true"
        return _with_id(request, lambda halo_id: _shown(resource, self._store.get(resource, halo_id), details))

    async def _delete(self, request: Request, resource: Resource) -> Response:
        return _with_id(request, lambda halo_id: self._store.delete(resource, halo_id))

    async def _delete_lines(self, request: Request, _: Resource) -> Response:
        return _with_id(request, self._store.delete_lines_of)

    async def _save(self, request: Request, resource: Resource) -> Response:
        if not _is_json(request.headers.get("content-type", "")):
            return Response(status_code=415)
        try:
            body = wire.decode(await request.body())
        except ValueError as error:
            return _json({"": [f"Unexpected character encountered: {error}"]}, 400)
        rows, errors = read_rows(resource, body)
        if errors:
            return _json(errors, 400)
        try:
            return self._answer(self._store.save(resource, rows))
        except DatabaseError as error:
            return _json({"ClassName": "System.Data.SqlClient.SqlException", "Message": str(error)}, 400)

    def _answer(self, saved: list[Row]) -> Response:
        shape = self._options.answer
        if shape == "empty":
            return Response(status_code=201)
        if shape == "object" and len(saved) == 1:
            return _json(saved[0], 201)
        if shape == "envelope":
            return _json({"record_count": len(saved), "data": saved}, 201)
        return _json(saved[::-1] if shape == "reversed" else saved, 201)

    async def _status(self, request: Request, _: Resource) -> Response:
        return _json(self._store.status())

    async def _authorise(self, request: Request, _: Resource) -> Response:
        content_type = request.headers.get("content-type", "")
        if _media(content_type) != "multipart/form-data":
            return Response(status_code=415)
        try:
            pairs = read_pairs(content_type, await request.body())
        except FormError as error:
            return _json(error.fields, 400)
        return _json(self._store.authorise(sorted(pairs)))


def _with_id(request: Request, action: Callable[[int], Any]) -> Response:
    text = request.path_params["id"]
    if not _ID.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        return _json({"id": [f"The value '{text}' is not valid."]}, 400)
    return _json(action(int(text)))


def _query(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.query_params.items()}


def _shown(resource: Resource, row: Row, details: bool) -> Row:
    """The record as asked for: where details can be included, nested records come only then."""
    if details or not resource.has_details:
        return row
    properties = properties_of(resource.model)
    return {name: value for name, value in row.items()
            if name not in properties or properties[name].type is not Type.JSON}  # fmt: skip


def _json(value: Any, status: int = 200) -> Response:
    return Response(wire.encode(value if value is not None else {}), status, media_type="application/json")


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_json(content_type: str) -> bool:
    media = _media(content_type)
    return media in _JSON_TYPES or (media.startswith("application/") and media.endswith("+json"))


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and _ID.fullmatch(text) and int(text) > 0 else default
