"""Requests that are not traced: no span of theirs, none of what they call, and nothing else is different."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import ddmiddleware
from ddmiddleware import asgi, starlette, wsgi
from ddmiddleware.flask import TraceMiddleware
from ddmiddleware.tracing import active, default_tracer, inject_headers
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Interface, put
from tests.middleware.requests_by_hand import Client, ask_wsgi, asked, environ, scope

pytestmark = pytest.mark.once


def work() -> None:
    with default_tracer.trace("outer"), default_tracer.trace("inner") as span:
        span.set_tag("key", "value")
        with default_tracer.start_span("started", child_of=default_tracer.current_span(), activate=True):
            pass


@pytest.mark.parametrize(
    ("patterns", "path", "traced"),
    [
        ("/health", "/health", False),
        ("/health", "/a/healthy", False),
        ("/health$", "/healthy", True),
        ("/ready$, /live$", "/live", False),
        ("^http://testserver/in", "/internal", False),
        ("secret", "/", True),  # what is in the query does not count
    ],
)
def test_patterns(recorder: Recorder, interface: Interface, patterns: str, path: str, traced: bool) -> None:
    put("DD_TRACE_EXCLUDED_URLS", patterns)
    put("DD_HTTP_SERVER_TAG_QUERY_STRING", "true")
    answer = interface.ask(path, "secret=1", work=work, answered=[("X-Answer", "yes")])
    assert (answer.status, answer.body, answer.headers) == (200, b"body", {"X-Answer": "yes"})
    assert recorder.names() == ([f"{interface.name}.request", "outer", "inner", "started"] if traced else [])
    interface.ask("/other", work=work)
    assert len(recorder.take()) == 4


def test_what_a_request_calls(recorder: Recorder, interface: Interface) -> None:
    """Integrations record nothing, and nothing is sent on: a service behind this one decides for itself."""
    put("DD_TRACE_EXCLUDED_URLS", "/health")
    seen: list[Any] = []

    def query() -> None:
        sqlite3.connect(":memory:").execute("select 1")
        headers: dict[str, str] = {}
        span = default_tracer.current_span()
        assert span is not None
        span.set_tag("key", "value")
        inject_headers(span.context, headers)
        seen.extend((headers, span.get_tags(), default_tracer.get_log_correlation_context()["dd.trace_id"]))

    ddmiddleware.patch(sqlite3=True)
    interface.ask("/health", headers=[("traceparent", f"00-{7:032x}-{9:016x}-01")], work=query)
    assert recorder.take() == []
    assert seen == [{}, {}, "0"]


def test_a_body_that_streams_belongs_to_it(recorder: Recorder) -> None:
    put("DD_TRACE_EXCLUDED_URLS", "/health")

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        for part in (b"a", b"b"):
            work()
            yield part
        work()

    body = wsgi.TraceMiddleware(app)(environ("/health"), lambda *_: None)
    assert b"".join(body) == b"ab"
    assert recorder.take() == []
    assert active.get() is None


def test_what_outlives_it_has_traces_of_its_own(recorder: Recorder) -> None:
    """A worker that the first health check starts must not stay silent for ever."""
    put("DD_TRACE_EXCLUDED_URLS", "/health")
    workers: list[asyncio.Task[None]] = []

    async def main() -> None:
        over = asyncio.Event()

        async def worker() -> None:
            work()
            await over.wait()
            with default_tracer.trace("later"):
                pass

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            workers.append(asyncio.create_task(worker()))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            work()  # after the response, and part of the request

        scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}

        async def send(_message: Any) -> None:
            await asyncio.sleep(0)

        await asgi.TraceMiddleware(app)(scope, lambda: asyncio.sleep(0, {}), send)
        assert active.get() is None
        over.set()
        await workers[0]

    asyncio.run(main())
    assert recorder.names() == ["later"]


def test_background_tasks(recorder: Recorder) -> None:
    put("DD_TRACE_EXCLUDED_URLS", "/health")

    async def health(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("fine", background=BackgroundTask(work))

    ddmiddleware.patch(starlette=True)
    app = Starlette(routes=[Route("/health", health), Route("/other", health)])
    assert asked(app, "/health").body == b"fine"
    assert recorder.take() == []
    asked(app, "/other")
    assert recorder.names() == ["starlette.request", "starlette.background_task", "outer", "inner", "started"]


@pytest.mark.parametrize("patched", [False, True])
def test_by_one_middleware_alone(recorder: Recorder, patched: bool) -> None:
    """Below the patch of the framework it comes late, and still leaves nothing of the request."""
    if patched:
        ddmiddleware.patch(flask=True, starlette=True)
    app = flask.Flask("shop")
    app.add_url_rule("/<path:path>", view_func=lambda path: work() or path)
    TraceMiddleware(app, excluded_urls="/health,/ready")
    assert ask_wsgi(app, "/health").body == b"health"
    assert recorder.take() == []
    ask_wsgi(app, "/other")
    assert len(recorder.take()) == 4

    async def endpoint(request: Request) -> PlainTextResponse:
        work()
        return PlainTextResponse(request.url.path)

    cafe = Starlette(routes=[Route("/{path}", endpoint)])
    cafe.add_middleware(starlette.TraceMiddleware, excluded_urls=["/health"])
    assert asked(cafe, "/health").body == b"/health"
    assert recorder.take() == []
    asked(cafe, "/other")
    assert len(recorder.take()) == 4
    assert active.get() is None


def test_an_error_in_an_excluded_request(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_EXCLUDED_URLS", "/health")

    def broken() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        interface.ask("/health", work=broken)
    assert recorder.take() == []
    assert active.get() is None


def test_a_pattern_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="expected a regular expression"):
        put("DD_TRACE_EXCLUDED_URLS", "/fine,(")


@pytest.mark.parametrize("late", [False, True])
def test_messages_of_a_websocket(recorder: Recorder, late: bool) -> None:
    put("DD_TRACE_EXCLUDED_URLS", "/other" if late else "/chat")

    async def chat(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        work()
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        work()
        await send({"type": "websocket.close"})

    inner = asgi.TraceMiddleware(chat, excluded_urls="/chat") if late else chat
    client = Client({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"})

    async def main() -> None:
        await asgi.TraceMiddleware(inner)(scope("/chat", type="websocket", scheme="ws"), client.receive, client.send)

    asyncio.run(main())
    assert [message["type"] for message in client.sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert recorder.take() == []
    assert active.get() is None
