"""Stores on loopback, over real sockets: S3 by moto, Azure Blob by a fake of our own, the web; and faults in front."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class Fault:
    """What happens to the requests of a method whose path ends so.

    Attributes:
        method: GET, PUT and so on.
        ending: the end of the path.
        deny: answer 403.
        reset: break the connection in the middle of the body.
        then: called once the answer is ready, before it is sent.
        times: how often; after that the fault is over.
    """

    method: str
    ending: str
    deny: bool = False
    reset: bool = False
    then: Callable[[], None] | None = None
    times: int = 1_000


@dataclass
class Faulty:
    """An application with faults in front of it; notes every request as `METHOD path`."""

    application: Application
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, method: str, ending: str = "") -> int:
        """How many requests of a method had a path that ends so."""
        return sum(one.startswith(f"{method} ") and one.endswith(ending) for one in self.requests)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append(f"{method} {path}")
        fault = next((one for one in self.faults
                      if one.method == method and path.endswith(one.ending) and one.times > 0), None)  # fmt: skip
        if fault is None:
            return self.application(environ, start_response)
        fault.times -= 1
        if fault.deny:
            return Response(_DENIED, 403, {"x-ms-error-code": "AuthorizationFailure"},
                            content_type="application/xml")(environ, start_response)  # fmt: skip
        chunks, status, headers = run_wsgi_app(self.application, environ)
        body = b"".join(chunks)
        if fault.then is not None:
            fault.then()
        start_response(status, list(headers))
        return _broken(body) if fault.reset else [body]


def _broken(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise ConnectionResetError


@contextlib.contextmanager
def served(application: Application, handler: type[WSGIRequestHandler] | None = None) -> Iterator[str]:
    """The address of an application on loopback, for as long as it is served."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=handler or _Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""
