"""Requests to WSGI and ASGI applications by hand, as a server makes them, and the spans they should be."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote


class MissingError(Exception):
    """What applications raise here."""


class Answer(NamedTuple):
    """What the client gets."""

    status: int
    headers: dict[str, str]
    body: bytes


def environ(path: str = "/", method: str = "GET", **changes: Any) -> dict[str, Any]:
    """Return the WSGI environ of a request."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_HOST": "testserver",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **changes,
    }


def ask_wsgi(app: Any, path: str = "/", method: str = "GET", **changes: Any) -> Answer:
    """Serve one request, and close the body as a server does."""
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        started[:] = [status, headers]
        return written.append

    body = app(environ(path, method, **changes), start_response)
    try:
        written.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(int(started[0][:3]), dict(started[1]), b"".join(written))


def scope(path: str = "/", method: str = "GET", **changes: Any) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50000),
        **changes,
    }


class Client:
    """The other end of one ASGI connection."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        """*messages* come in first; after them the client waits, until ``leave``."""
        self.sent: list[Any] = []
        self._messages = list(messages)
        self._left = asyncio.Event()

    async def receive(self) -> Any:
        """Return the next message, and at last that the client has gone."""
        if self._messages:
            return self._messages.pop(0)
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        self.sent.append(message)

    def leave(self) -> None:
        """Go."""
        self._left.set()

    @property
    def answer(self) -> Answer:
        """What was sent, as one."""
        start = self.sent[0]
        headers = {name.decode(): value.decode() for name, value in start.get("headers", [])}
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in self.sent[1:]))


EMPTY = {"type": "http.request", "body": b"", "more_body": False}


async def ask_asgi(app: Any, path: str = "/", method: str = "GET", **changes: Any) -> Answer:
    """Serve one request."""
    client = Client(EMPTY)
    await app(scope(path, method, **changes), client.receive, client.send)
    return client.answer


def asked(app: Any, path: str = "/", method: str = "GET", **changes: Any) -> Answer:
    """Serve one request in a loop of its own."""
    return asyncio.run(ask_asgi(app, path, method, **changes))


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine function of a test."""

    async def within() -> Any:
        return await main()

    return asyncio.run(within())


def span(component: str, route: str | None, path: str, status: int | None = 200, **changes: Any) -> dict[str, Any]:
    """Return the span of a request, as the recorder shows it; *route* is None where none matched."""
    method = changes.pop("method", "GET")
    tags = {
        "component": component,
        "span.kind": "server",
        "http.method": method,
        "http.url": f"http://testserver{path}",
        "_dd.measured": 1,
        **({"http.status_code": str(status)} if status else {}),
        **({"http.route": route} if route else {}),
        **changes.pop("tags", {}),
    }
    unmatched = f"{method} {status}" if (status or 0) >= 300 else method
    return {
        "trace": 1,
        "parent": 0,
        "service": "shop",
        "name": f"{component}.request",
        "resource": f"{method} {route}" if route else unmatched,
        "type": "web",
        "error": int((status or 0) >= 500),
        "tags": tags,
        **changes,
    }
