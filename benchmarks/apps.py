"""The requests every peer serves: a Flask and a Starlette hello route, called without a server."""

import asyncio
import io
import sys
from collections.abc import Callable, MutableMapping
from typing import Any


def _check(status: str | int, body: bytes, number: int) -> None:
    if not str(status).startswith("200") or body != b"Hello %d" % number:
        raise RuntimeError(f"The application answered {status} {body!r}.")


def flask_burst() -> Callable[[int], None]:
    """Build the Flask application; return what serves a number of requests through its WSGI callable."""
    from flask import Flask

    application = Flask("benchmark")

    @application.get("/hello/<int:number>")
    def hello(number: int) -> str:
        return f"Hello {number}"

    base = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "page=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "benchmark/1.0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }

    def serve(requests: int) -> None:
        statuses: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
            statuses.append(status)
            return lambda data: None

        for number in range(requests):
            environ = {**base, "PATH_INFO": f"/hello/{number}", "wsgi.input": io.BytesIO()}
            answer = application(environ, start_response)
            body = b"".join(answer)
            if hasattr(answer, "close"):
                answer.close()
            _check(statuses.pop(), body, number)

    return serve


def starlette_burst() -> Callable[[int], None]:
    """Build the Starlette application; return what serves a number of requests through its ASGI callable."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Hello {request.path_params['number']}")

    application = Starlette(routes=[Route("/hello/{number:int}", hello)])
    base = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "root_path": "",
        "query_string": b"page=1",
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    headers = [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"benchmark/1.0")]
    loop = asyncio.new_event_loop()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def one(number: int) -> None:
        events: list[MutableMapping[str, Any]] = []

        async def send(event: MutableMapping[str, Any]) -> None:
            events.append(event)

        path = f"/hello/{number}"
        scope = {**base, "path": path, "raw_path": path.encode(), "headers": list(headers), "state": {}}
        await application(scope, receive, send)
        _check(events[0]["status"], b"".join(event.get("body", b"") for event in events[1:]), number)

    async def serve(requests: int) -> None:
        # A task per request, as servers do: a span left active by one request must not become the next one's parent.
        for number in range(requests):
            await loop.create_task(one(number))

    return lambda requests: loop.run_until_complete(serve(requests))


APPS = {"flask": flask_burst, "starlette": starlette_burst}
