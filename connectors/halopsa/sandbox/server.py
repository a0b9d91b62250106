"""Running the sandbox, for the length of a `with`."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import uvicorn

from connectors.halopsa.registry import CONSUMPTION, INVOICES, ORDERS, PRICES
from connectors.halopsa.sandbox.app import Api
from connectors.halopsa.sandbox.faults import Fault, FaultPlan
from connectors.halopsa.sandbox.file import StoreFile
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET, Options
from connectors.halopsa.sandbox.store import Row, Store

Rule = Callable[[Mapping[str, Any]], str]

_START_SECONDS = 10


class Sandbox:
    """A running sandbox.

    Attributes:
        base_url: where it listens.
        client_id, client_secret: the only login it takes.
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    def __init__(self, base_url: str, store: Store, api: Api, plan: FaultPlan) -> None:
        self.base_url = base_url
        self._store = store
        self._api = api
        self._plan = plan

    @property
    def faults(self) -> list[Fault]:
        """Failures to come; the list may be changed while the sandbox runs."""
        return self._plan.faults

    @property
    def requests(self) -> list[str]:
        """Every request so far, as `METHOD path`, the path in lower case and below `/api`."""
        return self._plan.log

    @property
    def rule(self) -> Rule | None:
        """A business rule of the sandbox: what is wrong with a row, or an empty text; may be set at any time."""
        return self._store.rule

    @rule.setter
    def rule(self, rule: Rule | None) -> None:
        self._store.rule = rule

    def summary(self) -> dict[str, int]:
        """How many prices, invoices and lines there are, and how many are billed."""
        return self._store.summary()

    def invoices(self) -> list[Row]:
        """Every invoice, as a list would answer it."""
        return self._store.all(INVOICES)

    def lines(self) -> list[Row]:
        """Every consumption line."""
        return self._store.all(CONSUMPTION)

    def prices(self) -> list[Row]:
        """Every price."""
        return self._store.all(PRICES)

    def orders(self) -> list[Row]:
        """Every e-commerce order."""
        return self._store.all(ORDERS)

    def expire_tokens(self) -> None:
        """Make every token invalid."""
        self._api.expire_tokens()

    def reset(self) -> None:
        """Forget all records, requests and failures to come."""
        self._store.clear()
        self._plan.faults.clear()
        self._plan.log.clear()


@contextmanager
def serve(
    port: int = 0,
    host: str = "127.0.0.1",
    options: Options | None = None,
    faults: Sequence[Fault] = (),
    store_path: Path | None = None,
) -> Iterator[Sandbox]:
    """Run a sandbox in a thread for the length of a `with`; port 0 takes a free one.

    Args:
        port, host: where to listen.
        options: its habits.
        faults: failures to come.
        store_path: a file that keeps the records, so that the next sandbox has them; None to forget them.

    Raises:
        OSError: the port is taken.
        InputError: the file cannot keep the records.
        RuntimeError: it did not start.
    """
    options = options or Options()
    listener = listen(host, port)
    try:
        file = StoreFile(store_path) if store_path else None
        with closing(file) if file else nullcontext():
            base_url = f"http://{host}:{listener.getsockname()[1]}"
            yield from _run(listener, base_url, Store(options, file), options, faults)
    finally:
        listener.close()


def _run(
    listener: socket.socket, base_url: str, store: Store, options: Options, faults: Sequence[Fault]
) -> Iterator[Sandbox]:
    api = Api(store, options)
    plan = FaultPlan(api.app(), api.expire_tokens)
    plan.faults.extend(faults)
    with running(plan, listener):
        yield Sandbox(base_url, store, api, plan)


@contextmanager
def running(app: FaultPlan, listener: socket.socket, **options: Any) -> Iterator[None]:
    """Serve an application in a thread for the length of a `with`; `options` are uvicorn's.

    Raises:
        RuntimeError: it did not start.
    """
    # h11: the fault plan needs its transport. No lifespan, proxy headers or websockets: there are none.
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", proxy_headers=False, access_log=False, log_config=None,
        log_level="critical", server_header=False, **options,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(_serve(server, listener),), daemon=True, name="sandbox")
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join(_START_SECONDS)


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    await server.serve([listener])
    # What is encrypted waits for its client to say goodbye, which nobody may do any more.
    for connection in server.server_state.connections:
        connection.transport.abort()
    await asyncio.sleep(0)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises OSError: the port is taken."""
    # With its protocol named, asyncio turns Nagle's algorithm off: it would cost 40 ms of every answer.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.005)
