"""Tornado: one span per request, named after the pattern of its rule, until the response is finished."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tornado import web

import ddmiddleware
from ddmiddleware import _arrival, _request
from ddmiddleware import tornado as our_tornado
from ddmiddleware._request import Request
from ddmiddleware.tornado import trace_app
from ddmiddleware.tracing import Span, default_settings, default_tracer, guarded
from tests.integrations.recorder import Recorder, failed
from tests.middleware.http_by_hand import UPGRADE, ask_port, leave
from tests.middleware.requests_by_hand import MissingError, span
from tests.middleware.tornado_app import View, asked, automatic, begun, both, explicit, seen, served, shop


@pytest.fixture(params=[automatic, explicit, both])
def trace(request: pytest.FixtureRequest) -> Any:
    """A way to trace an application."""
    return request.param


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/users/7", "/users/([0-9]+)"),
        ("/named/a", "/named/(?P<name>[^/]+)/?"),
        ("/api/users/7", r"/api/users/(\d+)"),
        ("/api/v1/items/7", r"/api/v(\d)/items/(\d+)"),
    ],
)
def test_routes(recorder: Recorder, trace: Any, path: str, route: str) -> None:
    seen.clear()
    assert asked(trace(shop()), path).body == b"shown"
    assert recorder.take() == [span("tornado", route, path)]
    assert seen == [f"GET {route}"]


def test_a_sync_handler(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/sync/a%20b").body == b"shown"
    assert recorder.take() == [span("tornado", "/sync/(.*)", "/sync/a b")]


def test_a_host(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/hosted/ada", Host="shop.example.org").body == b"shown"
    url = {"http.url": "http://shop.example.org/hosted/ada"}
    assert recorder.take() == [span("tornado", "/hosted/(.*)", "/hosted/ada", tags=url)]


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/api/nowhere", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/users/7", "DELETE", 405, "/users/([0-9]+)"),
        ("/users/7", "SHOUT", 405, "/users/([0-9]+)"),
        ("/users/7", "OPTIONS", 405, "/users/([0-9]+)"),
        ("/static/nothing.txt", "GET", 404, "/static/(.*)"),
        ("/broken/forbidden", "GET", 403, "/broken/(.*)"),
        ("/broken/finish", "GET", 200, "/broken/(.*)"),
        ("/users/7?status=404", "GET", 404, "/users/([0-9]+)"),
        ("/moved/7", "GET", 301, "/moved/(.*)"),
        ("/talk/tea", "GET", 400, r"/talk/(\w+)"),
        ("/users/7", "HEAD", 200, "/users/([0-9]+)"),
    ],
)
def test_no_raw_path_and_no_error(
    recorder: Recorder, trace: Any, path: str, method: str, status: int, route: str | None
) -> None:
    assert asked(trace(shop()), path, method).status == status
    method = "_OTHER" if method == "SHOUT" else method
    assert recorder.take() == [span("tornado", route, path.partition("?")[0], status, method=method)]


def test_a_handler_for_what_no_rule_matches(recorder: Recorder, trace: Any) -> None:
    app = trace(shop(default_handler_class=View))
    assert asked(app, "/nowhere/7?status=404").body == b"shown"
    assert recorder.take() == [span("tornado", None, "/nowhere/7", 404)]


def test_a_file(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/static/test_tornado.py").body == Path(__file__).read_bytes()
    assert recorder.take() == [span("tornado", "/static/(.*)", "/static/test_tornado.py")]


def test_the_span_lasts_until_the_response_is_finished(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/stream").body == b"ab"
    root, early, late = recorder.take()
    assert root == span("tornado", "/stream", "/stream")
    assert (early["name"], early["parent"]) == ("early", 1)
    assert (late["name"], late["parent"], late["trace"]) == ("late", 0, 2)


@pytest.mark.parametrize(("kind", "status"), [("other", 500), ("unavailable", 503)])
def test_errors(recorder: Recorder, trace: Any, kind: str, status: int) -> None:
    assert asked(trace(shop()), f"/broken/{kind}").status == status
    error = MissingError("other") if status == 500 else web.HTTPError(503)
    assert recorder.take() == [
        span("tornado", "/broken/(.*)", f"/broken/{kind}", status, tags=failed(error)),
    ]


def test_an_error_in_the_middle_of_the_body(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/stream?broken=1")
    root, _ = recorder.take()
    assert root == span("tornado", "/stream", "/stream", error=1, tags=failed(MissingError("broken")))


def test_a_websocket_ends_with_its_handshake(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/talk/tea", **UPGRADE).status == 101
    handshake, message = recorder.take()
    assert handshake == span("tornado", r"/talk/(\w+)", "/talk/tea", 101)
    assert (message["name"], message["parent"], message["trace"]) == ("message", 0, 2)


def test_a_client_that_leaves_is_no_error(recorder: Recorder, trace: Any) -> None:
    async def use(port: int) -> None:
        begun[:] = [asyncio.Event()]
        await leave(port, "/endless", begun[0])

    served(trace(shop()), use)
    assert recorder.take() == [span("tornado", "/endless", "/endless", tags={"http.disconnected": "true"})]


def test_a_wsgi_application_beside_it(recorder: Recorder) -> None:
    assert asked(both(shop()), "/wsgi/ada").body == b"from flask"
    tags = {"flask.endpoint": "view"}
    assert recorder.take() == [span("flask", "/wsgi/<name>", "/wsgi/ada", tags=tags)]


def test_the_trace_is_continued(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/", traceparent=f"00-{7:032x}-{9:016x}-01")
    assert [(found.trace_id, found.parent_id) for found in recorder] == [(7, 9)]


def test_headers(recorder: Recorder, trace: Any) -> None:
    ddmiddleware.config.tornado.http.trace_headers(["x-shop", "content-type"])
    try:
        asked(trace(shop()), "/", User_Agent="curl", X_Shop="a")
    finally:
        ddmiddleware.config.tornado.http.trace_headers({})
    tags = {
        "http.useragent": "curl",
        "http.request.headers.x-shop": "a",
        "http.response.headers.content-type": "text/html; charset=UTF-8",
    }
    assert recorder.take() == [span("tornado", "/", "/", tags=tags)]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(shop()), shop()
    assert asked(other, "/users/7").body == b"shown"
    assert recorder.take() == []
    assert asked(traced, "/users/7").body == b"shown"
    assert len(recorder.take()) == 1


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    before = dict(vars(web.RequestHandler))
    trace_app(shop())
    assert dict(vars(web.RequestHandler)) == before


FAULTS = [
    *((Request, name) for name, value in vars(Request).items() if callable(value)),
    (_request, "extract_headers"),
    (_arrival, "begin"),
    *((our_tornado, name) for name in ("begin", "_begin", "_served")),
    (default_tracer, "trace"),
    (Span, "finish"),
    (Span, "set_exc_info"),
]


def _broken(*_args: Any, **_kwargs: Any) -> Any:
    raise ValueError("a mistake of ours")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{getattr(fault[0], '__name__', '')}.{fault[1]}")
def test_faults(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    """Whatever fails in our own code, the application answers as it would without us."""
    paths = ("/users/3", "/sync/a", "/broken/other", "/broken/forbidden", "/nowhere", "/static/__init__.py")

    async def use(port: int) -> list[int]:
        return [(await ask_port(port, path, traceparent=f"00-{7:032x}-{9:016x}-01")).status for path in paths]

    app = both(shop())
    monkeypatch.setattr(guarded, "raises", False)
    with monkeypatch.context() as patch:
        patch.setattr(*fault, _broken)
        assert served(app, use) == [200, 200, 500, 403, 404, 200]
