"""aiohttp's server: one span per request, named after the full template, from the handler to the end of the body."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import ddmiddleware
from ddmiddleware.aiohttp import trace_app
from ddmiddleware.contrib import aiohttp as contrib
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.aiohttp_app import (
    LateError,
    asked,
    automatic,
    both,
    explicit,
    passing,
    routes,
    seen,
    served,
    shop,
)
from tests.middleware.http_by_hand import UPGRADE, ask_port, leave
from tests.middleware.requests_by_hand import MissingError, span


@pytest.fixture(params=[automatic, explicit, both])
def trace(request: pytest.FixtureRequest) -> Any:
    """A way to trace an application."""
    return request.param


ROUTES = [
    ("/", "/"),
    ("/users/7", "/users/{number}"),
    ("/class/ada", "/class/{name}"),
    ("/any/a/b", "/any/{rest}"),
    ("/tenants/users/7", "/tenants/users/{number}"),
    ("/tenants/areas/users/7", "/tenants/areas/users/{number}"),
]


@pytest.mark.parametrize(("path", "route"), ROUTES)
def test_routes(recorder: Recorder, trace: Any, path: str, route: str) -> None:
    seen.clear()
    assert asked(trace(shop()), path).body == b"shown"
    assert recorder.take() == [span("aiohttp", route, path)]
    assert seen == [f"GET {route}"]


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/tenants/nowhere", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/users/7", "DELETE", 405, "/users/{number}"),
        ("/tenants/areas/users/7", "PROPFIND", 405, "/tenants/areas/users/{number}"),
        ("/posted", "OPTIONS", 405, "/posted"),
        ("/static/test_aiohttp.py", "POST", 405, "/static/{filename}"),
        ("/class/ada", "POST", 405, "/class/{name}"),
        ("/static/nothing.txt", "GET", 404, "/static/{filename}"),
        ("/forbidden", "GET", 403, "/forbidden"),
        ("/users/7?status=404", "GET", 404, "/users/{number}"),
    ],
)
def test_no_raw_path_and_no_error(
    recorder: Recorder, trace: Any, path: str, method: str, status: int, route: str | None
) -> None:
    assert asked(trace(shop()), path, method).status == status
    method = "_OTHER" if method == "PROPFIND" else method
    assert recorder.take() == [span("aiohttp", route, path.partition("?")[0], status, method=method)]


def test_head_and_options(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/users/7", "HEAD").body == b""
    assert asked(trace(shop()), "/any/7", "OPTIONS").status == 200
    assert recorder.take() == [
        span("aiohttp", "/users/{number}", "/users/7", method="HEAD"),
        span("aiohttp", "/any/{rest}", "/any/7", method="OPTIONS", trace=2),
    ]


def test_a_file(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/tenants/static/test_aiohttp.py").body == Path(__file__).read_bytes()
    route = "/tenants/static/{filename}"
    assert recorder.take() == [span("aiohttp", route, "/tenants/static/test_aiohttp.py")]


def test_a_domain(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/users/7", Host="acme.example.org")
    url = {"http.url": "http://acme.example.org/users/7"}
    assert recorder.take() == [span("aiohttp", "/users/{number}", "/users/7", tags=url)]


def test_middlewares_of_the_user_are_inside(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop(passing)), "/nowhere")
    root, inside = recorder.take()
    assert root == span("aiohttp", None, "/nowhere", 404)
    assert (inside["name"], inside["parent"], inside["trace"]) == ("inside", 1, 1)


@pytest.mark.parametrize(("path", "inside"), [("/stream", ["early", "late"]), ("/generated", ["part"])])
def test_the_span_lasts_until_the_end_of_the_body(recorder: Recorder, trace: Any, path: str, inside: list[str]) -> None:
    assert asked(trace(shop()), path).status == 200
    root, *children = recorder.take()
    assert root == span("aiohttp", path, path)
    assert [(child["name"], child["parent"]) for child in children] == [(name, 1) for name in inside]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/broken", 500, failed(MissingError("broken"))),
        ("/unavailable", 503, failed(web.HTTPServiceUnavailable())),
        ("/late", 504, failed(LateError("late"))),
        ("/nothing", 500, {}),
    ],
)
def test_errors(recorder: Recorder, trace: Any, path: str, status: int, kind: dict[str, str]) -> None:
    assert asked(trace(shop()), path).status == status
    (found,) = recorder.take()
    if not kind:
        kind = {key: value for key, value in found["tags"].items() if key.startswith("error.")}
    assert found == span("aiohttp", path, path, status, tags=kind)


def test_an_error_in_the_middle_of_the_body(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/stream?broken=1")
    root, _ = recorder.take()
    assert root == span("aiohttp", "/stream", "/stream", error=1, tags=failed(MissingError("broken")))


def test_a_websocket_ends_with_its_handshake(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/talk/tea", **UPGRADE).status == 101
    handshake, message = recorder.take()
    assert handshake == span("aiohttp", "/talk/{room}", "/talk/tea", 101)
    assert (message["name"], message["parent"], message["trace"]) == ("message", 0, 2)
    assert asked(trace(shop()), "/talk/tea").status == 400
    assert recorder.take() == [span("aiohttp", "/talk/{room}", "/talk/tea", 400)]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_client_that_leaves_is_no_error(recorder: Recorder, trace: Any, cancelled: bool) -> None:
    begun = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        while True:
            await response.write(b"more")
            await asyncio.sleep(0)

    app = shop()
    app.router.add_get("/endless", endless)
    served(trace(app), lambda port: leave(port, "/endless", begun), handler_cancellation=cancelled)
    assert recorder.take() == [span("aiohttp", "/endless", "/endless", tags={"http.disconnected": "true"})]


def test_headers(recorder: Recorder, trace: Any) -> None:
    ddmiddleware.config.aiohttp.http.trace_headers(["x-shop", "content-type"])
    try:
        asked(trace(shop()), "/", User_Agent="curl", X_Shop="a", traceparent=f"00-{7:032x}-{9:016x}-01")
    finally:
        ddmiddleware.config.aiohttp.http.trace_headers({})
    (found,) = recorder.take()
    assert found["tags"]["http.useragent"] == "curl"
    assert found["tags"]["http.request.headers.x-shop"] == "a"
    assert found["tags"]["http.response.headers.content-type"] == "text/plain; charset=utf-8"
    assert found["parent"] == 0


def test_the_trace_is_continued(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/", traceparent=f"00-{7:032x}-{9:016x}-01")
    assert [(found.trace_id, found.parent_id) for found in recorder] == [(7, 9)]


def test_only_an_inner_application_is_traced(recorder: Recorder) -> None:
    inner, app = routes(web.Application()), web.Application()
    trace_app(inner)
    app.add_subapp("/inner", inner)
    app.router.add_get("/", untraced)
    paths = ("/inner/users/7", "/", "/inner/posted")

    async def use(port: int) -> list[int]:
        return [(await ask_port(port, path)).status for path in paths]

    assert served(app, use) == [200, 200, 405]
    assert recorder.take() == [
        span("aiohttp", "/inner/users/{number}", "/inner/users/7"),
        span("aiohttp", "/inner/posted", "/inner/posted", 405, trace=2),
    ]


async def untraced(_request: web.Request) -> web.Response:
    assert default_tracer.current_span() is None
    return web.Response(text="plain")


def test_too_late(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    inner = routes(web.Application())
    web.Application().add_subapp("/inner", inner)
    trace_app(inner)
    assert "trace_app" in caplog.text


def test_the_service_of_contrib(recorder: Recorder) -> None:
    app = shop()
    contrib.trace_app(app, service="web")
    try:
        asked(app, "/")
    finally:
        ddmiddleware.config.aiohttp["service"] = None
    assert [found["service"] for found in recorder.take()] == ["web"]


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    app = web.Application()
    trace_app(app)
    assert not app.middlewares


def test_a_middleware_that_answers_an_exception(recorder: Recorder, trace: Any) -> None:
    @web.middleware
    async def answering(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except MissingError:
            answer = web.json_response({"error": "sorry"}, status=503)
        return answer

    assert asked(trace(shop(answering)), "/broken").status == 503
    (found,) = recorder.take()
    assert found == span("aiohttp", "/broken", "/broken", 503, tags=failed(MissingError("broken")))
