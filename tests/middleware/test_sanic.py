"""Sanic: one span per request, named after the template, on its own server and on those of ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sanic

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.tracing import default_settings, default_tracer, guarded
from tests.integrations.recorder import Recorder, failed
from tests.middleware.http_by_hand import UPGRADE, ask_port, leave
from tests.middleware.requests_by_hand import MissingError, span
from tests.middleware.requests_by_hand import asked as asked_of
from tests.middleware.sanic_app import (
    CupError,
    asked,
    asked_by_asgi,
    automatic,
    begins,
    begun,
    both,
    explicit,
    seen,
    served,
    shop,
)
from tests.middleware.test_websocket import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:sanic")


@pytest.fixture(params=[automatic, explicit, both])
def trace(request: pytest.FixtureRequest) -> Any:
    """A way to trace an application."""
    return request.param


@pytest.fixture(params=[asked, asked_by_asgi])
def ask(request: pytest.FixtureRequest) -> Any:
    """A way to serve an application."""
    return request.param


ROUTES = [
    ("/", "/"),
    ("/sync", "/sync"),
    ("/users/7", "/users/<number:int>"),
    ("/users/7/", "/users/<number:int>"),
    ("/any/a/b", "/any/<rest:path>"),
    ("/years/2026", "/years/<year:[0-9]{4}>"),
    ("/things/ada", "/things/<name:str>"),
    ("/strict/", "/strict/"),
    ("/tenants/acme/areas/5/users/7", "/tenants/<tenant:str>/areas/<area:int>/users/<number:int>"),
    ("/v1/in/users/7", "/v1/in/users/<number:int>"),
    ("/static/test_sanic.py", "/static/<__file_uri__:path>"),
]


@pytest.mark.parametrize(("path", "route"), ROUTES)
def test_routes(recorder: Recorder, trace: Any, ask: Any, path: str, route: str) -> None:
    seen.clear()
    assert ask(trace(shop()), path).status == 200
    assert recorder.take() == [span("sanic", route, path)]
    assert set(seen) <= {f"GET {route}"}


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/nowhere/12345", "POST", 404, None),
        ("/tenants/acme/nowhere", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/strict", "GET", 404, None),
        ("/users/7", "DELETE", 405, "/users/<number:int>"),
        ("/v1/in/users/7", "OPTIONS", 405, "/v1/in/users/<number:int>"),
        ("/things/ada", "PROPFIND", 405, "/things/<name:str>"),
        ("/users/7", "HEAD", 200, "/users/<number:int>"),
        ("/things/ada", "POST", 200, "/things/<name:str>"),
        ("/moved", "GET", 302, "/moved"),
        ("/static/nothing.txt", "GET", 404, "/static/<__file_uri__:path>"),
        ("/fail/forbidden", "GET", 403, "/fail/<kind:str>"),
        ("/fail/cup", "GET", 409, "/fail/<kind:str>"),
        ("/users/7?status=404", "GET", 404, "/users/<number:int>"),
        ("/users/7?stopped=1", "GET", 418, "/users/<number:int>"),
    ],
)
def test_no_raw_path_and_no_error(
    recorder: Recorder, ask: Any, path: str, method: str, status: int, route: str | None
) -> None:
    assert ask(automatic(shop()), path, method).status == status
    method = "_OTHER" if method == "PROPFIND" else method
    assert recorder.take() == [span("sanic", route, path.partition("?")[0], status, method=method)]


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("broken", 500, MissingError("broken")),
        ("unavailable", 503, sanic.exceptions.ServiceUnavailable("later")),
        ("teapot", 503, CupError("teapot")),
    ],
)
def test_errors(recorder: Recorder, trace: Any, ask: Any, kind: str, status: int, error: Exception) -> None:
    assert ask(trace(shop()), f"/fail/{kind}").status == status
    assert recorder.take() == [span("sanic", "/fail/<kind:str>", f"/fail/{kind}", status, tags=failed(error))]


def test_a_stream(recorder: Recorder, ask: Any) -> None:
    assert ask(automatic(shop()), "/stream").status == 200
    first, early, late = recorder.take()
    assert first == span("sanic", "/stream", "/stream")
    assert (early["name"], early["trace"], early["parent"]) == ("early", 1, 1)
    assert (late["name"], late["trace"], late["parent"], late["links"]) == ("late", 2, 0, [1])


def test_a_stream_that_breaks(recorder: Recorder, ask: Any) -> None:
    assert ask(automatic(shop()), "/stream?broken=1").status == 200
    found = recorder.take()[0]
    assert found == span("sanic", "/stream", "/stream", error=1, tags=failed(MissingError("broken")))


def test_a_websocket(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/v1/in/talk/tea", **UPGRADE).status == 101
    first, message = recorder.take()
    assert first == span("sanic", "/v1/in/talk/<room:str>", "/v1/in/talk/tea", 101)
    assert (message["name"], message["trace"], message["parent"], message["links"]) == ("message", 2, 0, [1])


def test_a_websocket_that_is_none(recorder: Recorder) -> None:
    headers = {**UPGRADE, "Sec_WebSocket_Version": "1"}
    assert asked(automatic(shop()), "/talk/tea", **headers).status == 400
    assert recorder.take() == [span("sanic", "/talk/<room:str>", "/talk/tea", 400)]


def test_a_websocket_of_an_asgi_server(recorder: Recorder) -> None:
    connect(begins(automatic(shop())), "/v1/in/talk/tea")
    found = next(request for request in recorder.take() if request["type"] == "web")
    tags = {"http.url": "ws://testserver/v1/in/talk/tea"}
    assert found == span("sanic", "/v1/in/talk/<room:str>", "/v1/in/talk/tea", 101, tags=tags)


@pytest.mark.parametrize("path", ["/wait", "/wait?begun=1"])
def test_a_client_that_goes(recorder: Recorder, path: str) -> None:
    async def asking(port: int) -> None:
        begun.append(asyncio.Event())
        await leave(port, path, begun[-1])
        while not (found := recorder.take()):
            await asyncio.sleep(0)
        tags = {"http.disconnected": "true"}
        assert found == [span("sanic", "/wait", "/wait", 200 if "?" in path else None, resource="GET /wait", tags=tags)]

    served(automatic(shop()), asking)


def test_a_handler_that_takes_too_long(recorder: Recorder) -> None:
    app = automatic(shop())
    app.config.RESPONSE_TIMEOUT = 0.2

    async def asking(port: int) -> None:
        begun.append(asyncio.Event())
        assert (await ask_port(port, "/wait")).status == 503

    served(app, asking)
    error = sanic.exceptions.ServiceUnavailable("Response Timeout")
    assert recorder.take() == [span("sanic", "/wait", "/wait", 503, tags=failed(error))]


def test_requests_on_one_connection_are_traces_of_their_own(recorder: Recorder) -> None:
    async def asking(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in ("/users/7", "/fail/forbidden", "/stream", "/users/8"):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: testserver\r\n\r\n".encode())
            await reader.readuntil(b"0\r\n\r\n" if path == "/stream" else b"shown" if "users" in path else b"\nno\n\n")
        writer.close()

    served(automatic(shop()), asking)
    found = [request for request in recorder.take() if request["type"] == "web"]
    assert [(request["resource"], request["parent"]) for request in found] == [
        ("GET /users/<number:int>", 0),
        ("GET /fail/<kind:str>", 0),
        ("GET /stream", 0),
        ("GET /users/<number:int>", 0),
    ]
    assert len({request["trace"] for request in found}) == 4


def test_requests_at_the_same_time(recorder: Recorder) -> None:
    async def asking(port: int) -> None:
        paths = [f"/users/{number}" for number in range(20)] + [f"/nowhere/{number}" for number in range(20)]
        await asyncio.gather(*(ask_port(port, path) for path in paths))

    served(automatic(shop()), asking)
    found = recorder.take()
    assert sorted(request["resource"] for request in found) == ["GET /users/<number:int>"] * 20 + ["GET 404"] * 20
    assert {request["parent"] for request in found} == {0}


def test_the_trace_goes_on(recorder: Recorder) -> None:
    app = automatic(shop())
    traces: list[Any] = []

    async def note(_request: Any) -> Any:
        root = default_tracer.current_root_span()
        assert root
        traces.append((root.trace_id, root.parent_id))
        return sanic.text("noted")

    app.add_route(note, "/noted", name="noted")
    assert asked(app, "/noted", traceparent=f"00-{7:032x}-{9:016x}-01").status == 200
    assert traces == [(7, 9)]


def test_headers(recorder: Recorder, trace: Any) -> None:
    ddmiddleware.config.sanic.http.trace_headers(["x-shop", "content-type"])
    try:
        assert asked(trace(shop()), "/users/7", X_Shop="a").status == 200
    finally:
        ddmiddleware.config.sanic.http.trace_headers({})
    tags = {"http.request.headers.x-shop": "a", "http.response.headers.content-type": "text/plain; charset=utf-8"}
    assert recorder.take() == [span("sanic", "/users/<number:int>", "/users/7", tags=tags)]


def test_root_path(recorder: Recorder) -> None:
    assert asked_by_asgi(automatic(shop()), "/users/7", root_path="/site").status == 200
    assert recorder.take() == [span("sanic", "/site/users/<number:int>", "/site/users/7")]


def test_below_the_generic_middleware(recorder: Recorder, trace: Any) -> None:
    assert asked_of(asgi.TraceMiddleware(begins(trace(shop()))), "/users/7").status == 200
    assert recorder.take() == [span("sanic", "/users/<number:int>", "/users/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder, ask: Any) -> None:
    explicit(shop())
    assert ask(shop(), "/users/7").status == 200
    assert recorder.take() == []


def test_undone_while_it_serves(recorder: Recorder) -> None:
    async def asking(port: int) -> None:
        assert (await ask_port(port, "/users/7")).status == 200
        ddmiddleware.unpatch("sanic")
        assert (await ask_port(port, "/users/7")).status == 200

    served(automatic(shop()), asking)
    assert recorder.take() == [span("sanic", "/users/<number:int>", "/users/7")]


def test_the_router_keeps_its_cache(recorder: Recorder) -> None:
    async def asking(port: int) -> None:
        assert await ask_port(port, "/users/7") == await ask_port(port, "/users/7")

    app = automatic(shop())
    served(app, asking)
    assert len(recorder.take()) == 2
    assert app.router.get.cache_info().hits
    app.router.get.cache_clear()


@pytest.mark.parametrize(
    "fault", ["_begin", "_name", "_served", "_sent_for", "_finish", "begin", "Request.matched", "Request.answered"]
)
def test_whatever_fails_in_our_own_code(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, ask: Any, fault: str
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("a mistake of ours")

    paths = ("/users/7", "/stream", "/fail/forbidden", "/fail/broken", "/nowhere")

    def asking() -> list[Any]:
        answers = [ask(shop(), path) for path in paths]  # an application is served once
        return [(answer.status, answer.body) for answer in answers]

    expected = asking()
    ddmiddleware.patch(sanic=True)
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(f"ddmiddleware.sanic.{fault}", broken)
    assert asking() == expected


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    before = dict(vars(sanic.Sanic))
    both(shop())
    assert dict(vars(sanic.Sanic)) == before
