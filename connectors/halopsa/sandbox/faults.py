"""Failing on purpose: what a network and a gateway do to requests, at a chosen request."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_RATE_TEXT = b"Rate Limit Reached - 300 Requests per rolling 5 minute window"


@dataclass
class Fault:
    """One failure.

    Attributes:
        match: method and the beginning of the path below `/api`, such as `POST cspconsumptiondata`; `*` for any.
        action: `429`; a status with `-before` or `-after` (the request is applied or not, then answered so);
            `reset-before`, `reset-after`; `timeout-before` (applied when the client has given up), `timeout-after`,
            `timeout-lost`; `truncated` (applied, and half of the answer is sent); `expire` (every token ends just
            before the request, which is then answered 401).
        nth: which matching request fails, from 1.
        times: how many from there on; 0 for all.
        seconds: how long a timeout takes.
        retry_after: seconds of a Retry-After header.
    """

    match: str
    action: str
    nth: int = 1
    times: int = 1
    seconds: float = 1
    retry_after: int | None = None
    seen: int = field(default=0, compare=False)

    def strikes(self, request: str) -> bool:
        """Count a request that matches; whether it is one that fails."""
        if self.match != "*" and not request.lower().startswith(self.match.lower()):
            return False
        self.seen += 1
        return self.seen >= self.nth and (not self.times or self.seen < self.nth + self.times)


class FaultPlan:
    """ASGI middleware that lets the planned requests fail.

    Args:
        app: what it stands before.
        expire: ends every token.

    Attributes:
        faults: the plan; may be changed while the server runs.
        log: every request, as `METHOD path-below-api`.
    """

    def __init__(self, app: ASGIApp, expire: Callable[[], None]) -> None:
        self._app = app
        self._expire = expire
        self.faults: list[Fault] = []
        self.log: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = f"{scope['method']} {scope['path'].lower().removeprefix('/api/').strip('/')}"
        self.log.append(request)
        fault = next((each for each in self.faults if each.strikes(request)), None)
        if fault is not None and fault.action == "expire":
            self._expire()
        if fault is None or fault.action == "expire":
            await self._app(scope, receive, send)
        else:
            await self._fail(fault, scope, receive, send)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        what, _, when = fault.action.partition("-")
        # Read first: an application behind a gateway has the body, whether the client waits or not.
        body = await _read(receive)
        if when == "before" and what == "timeout":
            await asyncio.sleep(fault.seconds)
        applied = when == "after" or fault.action in ("timeout-before", "truncated")
        answer = await self._apply(scope, body) if applied else []
        if when in ("after", "lost") and what == "timeout":
            await asyncio.sleep(fault.seconds)
        if what in ("reset", "timeout"):
            await _reset(send)
        elif what == "truncated":
            await _send_half(answer, send)
        else:
            await _answer(int(what), fault.retry_after, send)

    async def _apply(self, scope: Scope, body: bytes) -> list[Message]:
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        return answer


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(status: int, retry_after: int | None, send: Send) -> None:
    headers = [(b"content-type", b"text/plain")]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": _RATE_TEXT if status == 429 else b"fault of the sandbox"})


async def _send_half(answer: list[Message], send: Send) -> None:
    """The headers promise the whole body; half of it comes, then the connection ends."""
    await send(answer[0])
    body = b"".join(message.get("body", b"") for message in answer[1:])
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await _reset(send)


async def _reset(send: Send) -> None:
    """Cut the connection. ASGI has no word for it; uvicorn's `send` belongs to an object that has the transport."""
    transport: Any = send.__self__.transport  # type: ignore[attr-defined]
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0.01)
