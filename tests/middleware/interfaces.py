"""The same request through WSGI and through ASGI, so that one test holds both to the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ddmiddleware import asgi, wsgi
from ddmiddleware.tracing import default_settings, parsed
from tests.middleware.requests_by_hand import Answer, ask_wsgi, asked

Pairs = list[tuple[str, str]]
Work = Callable[[], object]


class Interface(Protocol):
    """Serves one request to an application under our middleware."""

    name: str

    def ask(
        self,
        path: str = "/",
        query: str = "",
        headers: Pairs = [],  # noqa: B006  # nobody changes it
        peer: str = "",
        status: int = 200,
        answered: Pairs = [],  # noqa: B006
        work: Work = lambda: None,
        **middleware: Any,
    ) -> Answer:
        """Serve it; *work* runs inside, *answered* are the response's headers."""


class Wsgi:
    """PEP 3333."""

    name = "wsgi"

    def app(self, status: int, answered: Pairs, work: Work) -> wsgi.WSGIApp:
        """Return an application."""

        def app(_environ: Any, start_response: Any) -> list[bytes]:
            work()
            start_response(f"{status} Something", answered)
            return [b"body"]

        return app

    def ask(
        self,
        path: str = "/",
        query: str = "",
        headers: Pairs = [],  # noqa: B006
        peer: str = "",
        status: int = 200,
        answered: Pairs = [],  # noqa: B006
        work: Work = lambda: None,
        **middleware: Any,
    ) -> Answer:
        """Serve it as a server would."""
        given: dict[str, str] = {}
        for name, value in headers:
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
            given[key] = f"{given[key]},{value}" if key in given else value
        if peer:
            given["REMOTE_ADDR"] = peer
        app = wsgi.TraceMiddleware(self.app(status, answered, work), **middleware)
        return ask_wsgi(app, path, QUERY_STRING=query, **given)


class Asgi:
    """https://asgi.readthedocs.io."""

    name = "asgi"

    def app(self, status: int, answered: Pairs, work: Work) -> asgi.ASGIApp:
        """Return an application."""

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            work()
            headers = [(name.encode(), value.encode()) for name, value in answered]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"body"})

        return app

    def ask(
        self,
        path: str = "/",
        query: str = "",
        headers: Pairs = [],  # noqa: B006
        peer: str = "",
        status: int = 200,
        answered: Pairs = [],  # noqa: B006
        work: Work = lambda: None,
        **middleware: Any,
    ) -> Answer:
        """Serve it as a server would."""
        given = [(b"host", b"testserver"), *((name.lower().encode(), value.encode()) for name, value in headers)]
        app = asgi.TraceMiddleware(self.app(status, answered, work), **middleware)
        client = (peer, 50000) if peer else None
        return asked(app, path, query_string=query.encode(), headers=given, client=client)


def put(name: str, text: str) -> None:
    """Set a setting to what *text* means in the environment."""
    default_settings[name] = parsed(name, text)
