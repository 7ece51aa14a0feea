"""The requests every peer serves: a hello route of each framework, called without a server."""

import asyncio
import io
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

# Before any peer instruments Django: OpenTelemetry's adds its middleware to the settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.django_settings"


def _check(status: str | int, body: bytes, number: int) -> None:
    if not str(status).startswith("200") or body != b"Hello %d" % number:
        raise RuntimeError(f"The application answered {status} {body!r}.")


_ENVIRON = {
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
_SCOPE = {
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
_HEADERS = [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"benchmark/1.0")]


def _wsgi_burst(application: Any) -> Callable[[int], None]:
    """Return what serves a number of requests through a WSGI callable."""

    def serve(requests: int) -> None:
        statuses: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
            statuses.append(status)
            return lambda data: None

        for number in range(requests):
            environ = {**_ENVIRON, "PATH_INFO": f"/hello/{number}", "wsgi.input": io.BytesIO()}
            answer = application(environ, start_response)
            body = b"".join(answer)
            if hasattr(answer, "close"):
                answer.close()
            _check(statuses.pop(), body, number)

    return serve


def _asgi_burst(application: Any) -> Callable[[int], None]:
    """Return what serves a number of requests through an ASGI callable."""
    loop = asyncio.new_event_loop()

    async def one(number: int) -> None:
        events: list[MutableMapping[str, Any]] = []
        left = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not left:  # the client stays: an application that waits for its going does so until it is cancelled
                await asyncio.Event().wait()
            return left.pop()

        async def send(event: MutableMapping[str, Any]) -> None:
            events.append(event)

        path = f"/hello/{number}"
        scope = {**_SCOPE, "path": path, "raw_path": path.encode(), "headers": list(_HEADERS), "state": {}}
        await application(scope, receive, send)
        _check(events[0]["status"], b"".join(event.get("body", b"") for event in events[1:]), number)

    async def serve(requests: int) -> None:
        # A task per request, as servers do: a span left active by one request must not become the next one's parent.
        for number in range(requests):
            await loop.create_task(one(number))

    return lambda requests: loop.run_until_complete(serve(requests))


def flask_application() -> Any:
    """Build the Flask application."""
    from flask import Flask

    application = Flask("benchmark")

    @application.get("/hello/<int:number>")
    def hello(number: int) -> str:
        return f"Hello {number}"

    return application


def flask_burst() -> Callable[[int], None]:
    """Build the Flask application."""
    return _wsgi_burst(flask_application())


def starlette_burst() -> Callable[[int], None]:
    """Build the Starlette application."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Hello {request.path_params['number']}")

    return _asgi_burst(Starlette(routes=[Route("/hello/{number:int}", hello)]))


def fastapi_burst() -> Callable[[int], None]:
    """Build the FastAPI application."""
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    application = FastAPI()

    @application.get("/hello/{number}", response_class=PlainTextResponse)
    async def hello(number: int) -> str:
        return f"Hello {number}"

    return _asgi_burst(application)


def django_burst() -> Callable[[int], None]:
    """Build the Django application with its synchronous view."""
    from django.core.wsgi import get_wsgi_application

    return _wsgi_burst(get_wsgi_application())


def django_async_burst() -> Callable[[int], None]:
    """Build the Django application with its asynchronous view."""
    from django.core.asgi import get_asgi_application

    application = get_asgi_application()

    async def later(scope: Any, receive: Any, send: Any) -> None:
        await application({**scope, "path": "/async" + scope["path"]}, receive, send)

    return _asgi_burst(later)


APPS = {
    "flask": flask_burst,
    "starlette": starlette_burst,
    "fastapi": fastapi_burst,
    "django": django_burst,
    "django, async": django_async_burst,
}
