"""Litestar: one span per request, named after the path template of its route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Controller, Litestar, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.exceptions import PermissionDeniedException, ServiceUnavailableException
from litestar.response import File, Stream
from litestar.static_files import create_static_files_router
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import ddmiddleware
from ddmiddleware import asgi as our_asgi
from ddmiddleware import litestar as our_litestar
from ddmiddleware.litestar import TraceMiddleware
from ddmiddleware.tracing import default_settings, default_tracer, guarded
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import EMPTY, Client, MissingError, asked, scope, span
from tests.middleware.test_websocket import connect

seen: list[str] = []


def shown(status: int = 200) -> Response[str]:
    """Note what the resource is while the handler runs."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return Response("shown", media_type="text/plain", status_code=status)


@get("/")
async def index() -> Response[str]:
    return shown()


@get("/users/{number:int}")
async def user(request: Request[Any, Any, Any]) -> Response[str]:
    return shown(int(request.query_params.get("status", 200)))


@get("/sync/{name:str}", sync_to_thread=True)
def sync() -> Response[str]:
    return shown()


@post("/posted")
async def posted() -> None:
    pass


class Area(Controller):
    path = "/areas/{area:int}"

    @get("/items/{item:str}")
    async def item(self) -> Response[str]:
        return shown()


@get("/stream")
async def stream() -> Stream:
    async def parts() -> AsyncIterator[str]:
        yield "a"
        default_tracer.trace("late").finish()
        yield "b"

    return Stream(parts())


@get("/file")
async def file() -> File:
    return File(__file__)


@get("/broken")
async def broken() -> None:
    raise MissingError("broken")


@get("/unavailable")
async def unavailable() -> None:
    raise ServiceUnavailableException("later")


@get("/forbidden")
async def forbidden() -> None:
    raise PermissionDeniedException


def refuse(app: Any) -> Any:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await Response("no", status_code=401).to_asgi_response(None, Request(scope))(scope, receive, send)

    return refusing


@get("/guarded/{name:str}", middleware=[refuse])
async def guarded_view() -> None:
    pass


@websocket("/chat/{room:str}")
async def chat(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    default_tracer.trace("after").finish()
    await socket.close()


mounted = Starlette(routes=[Route("/users/{name}/", lambda _request: PlainTextResponse("shown"))])


@asgi("/mounted", is_mount=True, copy_scope=False)
async def mount(scope: Any, receive: Any, send: Any) -> None:
    await mounted({**scope, "root_path": ""}, receive, send)


def shop(*more: Any) -> Litestar:
    tenants = Router("/tenants/{tenant:str}", route_handlers=[Area, user])
    static = create_static_files_router("/static", [Path(__file__).parent])
    views = [index, user, sync, posted, stream, file, broken, unavailable, forbidden, guarded_view, chat, mount]
    return Litestar([*views, tenants, static, *more], logging_config=None, openapi_config=None)


def automatic(app: Litestar) -> Litestar:
    ddmiddleware.patch(litestar=True, starlette=True)
    return app


def explicit(app: Litestar) -> Any:
    return TraceMiddleware(app)


def all_of_them(app: Litestar) -> Any:
    ddmiddleware.patch_all(logging=False)
    return our_asgi.TraceMiddleware(TraceMiddleware(app))


@pytest.fixture(params=[automatic, explicit, all_of_them])
def trace(request: pytest.FixtureRequest) -> Any:
    """A way to trace an application."""
    return request.param


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/users/7", "/users/{number}"),
        ("/users/7/", "/users/{number}"),
        ("/sync/ada", "/sync/{name}"),
        ("/tenants/acme/users/7", "/tenants/{tenant}/users/{number}"),
        ("/tenants/acme/areas/5/items/a", "/tenants/{tenant}/areas/{area}/items/{item}"),
    ],
)
def test_routes(recorder: Recorder, trace: Any, path: str, route: str) -> None:
    seen.clear()
    assert asked(trace(shop()), path).body == b"shown"
    assert recorder.take() == [span("litestar", route, path)]
    assert seen == [f"GET {route}"]


@pytest.mark.parametrize("path", ["/api/users/7", "/users/7"])
def test_root_path(recorder: Recorder, trace: Any, path: str) -> None:
    assert asked(trace(shop()), path, root_path="/api").body == b"shown"
    assert recorder.take() == [span("litestar", "/api/users/{number}", "/api/users/7")]


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/users/7", "DELETE", 405, "/users/{number}"),
        ("/posted", "GET", 405, "/posted"),
        ("/users/7", "OPTIONS", 204, "/users/{number}"),
        ("/forbidden", "GET", 403, "/forbidden"),
        ("/guarded/ada", "GET", 401, "/guarded/{name}"),
        ("/file", "GET", 200, "/file"),
        ("/static/__init__.py", "GET", 200, "/static/{file_path}"),
        ("/static/nothing.txt", "GET", 404, "/static/{file_path}"),
        ("/static/__init__.py", "HEAD", 200, "/static/{file_path}"),
    ],
)
def test_statuses(recorder: Recorder, trace: Any, path: str, method: str, status: int, route: str | None) -> None:
    assert asked(trace(shop()), path, method).status == status
    assert recorder.take() == [span("litestar", route, path, status, method=method)]


def test_a_view_that_answers_404_keeps_its_name(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/users/7", query_string=b"status=404")
    assert recorder.take() == [span("litestar", "/users/{number}", "/users/7", 404)]


def test_a_mounted_application(recorder: Recorder) -> None:
    assert asked(automatic(shop()), "/mounted/users/ada").body == b"shown"
    (found,) = recorder.take()
    assert (found["resource"], found["tags"]["http.route"]) == ("GET /mounted/users/{name}/", "/mounted/users/{name}/")


def test_a_mounted_application_that_nobody_traces(recorder: Recorder) -> None:
    assert asked(explicit(shop()), "/mounted/users/ada").body == b"shown"
    assert [found["resource"] for found in recorder.take()] == ["GET /mounted/{path}"]


def test_the_span_lasts_until_the_end_of_the_body(recorder: Recorder, trace: Any) -> None:
    class Leaving(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                self.leave()  # Litestar waits for the server to say so

    async def main() -> bytes:
        client = Leaving(EMPTY)
        await trace(shop())(scope("/stream"), client.receive, client.send)
        return client.answer.body

    assert asyncio.run(main()) == b"ab"
    root, late = recorder.take()
    assert root == span("litestar", "/stream", "/stream")
    assert (late["name"], late["parent"]) == ("late", 1)


def test_errors(recorder: Recorder, trace: Any) -> None:
    app = trace(shop())
    assert asked(app, "/broken").status == 500
    assert asked(app, "/unavailable").status == 503
    first, second = recorder.take()
    assert first == span("litestar", "/broken", "/broken", 500, tags=failed(MissingError("broken")))
    assert second["tags"]["error.type"].endswith("ServiceUnavailableException")
    assert (second["error"], second["tags"]["http.status_code"]) == (1, "503")


def test_a_websocket_ends_with_its_handshake(recorder: Recorder, trace: Any) -> None:
    assert connect(trace(shop()), "/chat/tea")[0]["type"] == "websocket.accept"
    handshake, after = [found for found in recorder.take() if not found["name"].startswith("websocket")]
    url = {"http.url": "ws://testserver/chat/tea"}
    assert handshake == span("litestar", "/chat/{room}", "/chat/tea", 101, tags=url)
    assert (after["name"], after["trace"] != handshake["trace"]) == ("after", True)


def test_a_client_that_leaves_is_no_error(recorder: Recorder, trace: Any) -> None:
    async def main() -> None:
        client = Client(EMPTY)

        @get("/slow")
        async def slow(request: Request[Any, Any, Any]) -> None:
            client.leave()
            await request.body()
            assert (await request.receive())["type"] == "http.disconnect"
            raise OSError("gone")

        await trace(shop(slow))(scope("/slow"), client.receive, client.send)

    asyncio.run(main())
    (found,) = recorder.take()
    assert (found["error"], found["resource"]) == (0, "GET /slow")
    assert found["tags"]["http.disconnected"] == "true"


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(shop()), shop()
    assert asked(traced, "/users/7").status == 200
    assert asked(other, "/file").status == 200
    assert recorder.take() == [span("litestar", "/users/{number}", "/users/7")]


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    TraceMiddleware(shop())
    assert not our_litestar._routing.patched


def test_faults(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what Litestar keeps to itself has changed, the application answers as it would without us."""
    app = all_of_them(shop())
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(our_litestar, "KEY", [])
    assert [asked(app, path).status for path in ("/file", "/broken", "/forbidden", "/nowhere")] == [200, 500, 403, 404]
