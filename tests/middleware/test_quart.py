"""Quart: one span per request, named after the rule that matched."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import quart
from quart import Blueprint, Quart, abort, send_file, websocket

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware import quart as our_quart
from ddmiddleware.quart import TraceMiddleware
from ddmiddleware.tracing import default_settings, default_tracer, guarded
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import EMPTY, Client, MissingError, asked, scope, span
from tests.middleware.test_websocket import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:quart")
seen: list[str] = []


async def view(**_params: Any) -> tuple[str, int]:
    """Note what the resource is while the view runs."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return "shown", int(quart.request.args.get("status", 200))


def sync_view() -> str:
    root = default_tracer.current_root_span()  # on a thread of the pool
    assert root
    seen.append(root.resource)
    return "shown"


async def stream() -> Any:
    async def parts() -> AsyncIterator[str]:
        yield "a"
        default_tracer.trace("late").finish()
        yield "b"

    return parts()


async def broken() -> None:
    raise MissingError("broken")


async def answered() -> None:
    raise KeyError("answered")


async def file() -> Any:
    return await send_file(__file__)


async def chat(room: str) -> None:
    await websocket.accept()
    default_tracer.trace("after").finish()
    await websocket.send("hello")
    if room == "broken":
        raise MissingError("broken")


def shop() -> Quart:
    app = Quart("shop", static_folder=str(Path(__file__).parent), static_url_path="/static")
    app.add_url_rule("/", "index", view)
    app.add_url_rule("/users/<int:number>", "user", view)
    app.add_url_rule("/posted", "posted", view, methods=["POST"])
    app.add_url_rule("/sync", "sync", sync_view)
    app.add_url_rule("/stream", "stream", stream)
    app.add_url_rule("/broken", "broken", broken)
    app.add_url_rule("/answered", "answered", answered)
    app.add_url_rule("/forbidden", "forbidden", lambda: abort(403))
    app.add_url_rule("/file", "file", file)
    app.add_websocket("/chat/<room>", "chat", chat)
    app.register_error_handler(KeyError, lambda _error: ("sorry", 503))
    tenants, areas = Blueprint("tenants", __name__), Blueprint("areas", __name__)
    areas.add_url_rule("/users/<int:number>", "user", view)
    tenants.register_blueprint(areas, url_prefix="/areas")
    app.register_blueprint(tenants, url_prefix="/tenants/<tenant>")
    return app


def automatic(app: Quart) -> Quart:
    ddmiddleware.patch(quart=True)
    return app


def explicit(app: Quart) -> Quart:
    TraceMiddleware(app)
    return app


def all_of_them(app: Quart) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.fixture(params=[automatic, explicit, all_of_them])
def trace(request: pytest.FixtureRequest) -> Any:
    """A way to trace an application."""
    return request.param


def endpoint(name: str) -> dict[str, str]:
    """Return the tag that Quart's requests have, and the error they may have."""
    return {"quart.endpoint": name}


@pytest.mark.parametrize(
    ("path", "route", "name"),
    [
        ("/", "/", "index"),
        ("/users/7", "/users/<int:number>", "user"),
        ("/sync", "/sync", "sync"),
        ("/tenants/acme/areas/users/7", "/tenants/<tenant>/areas/users/<int:number>", "tenants.areas.user"),
    ],
)
def test_routes(recorder: Recorder, trace: Any, path: str, route: str, name: str) -> None:
    seen.clear()
    assert asked(trace(shop()), path).body == b"shown"
    assert recorder.take() == [span("quart", route, path, tags=endpoint(name))]
    assert seen == [f"GET {route}"]


def test_root_path(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/api/users/7", root_path="/api").body == b"shown"
    assert recorder.take() == [span("quart", "/api/users/<int:number>", "/api/users/7", tags=endpoint("user"))]


@pytest.mark.parametrize(
    ("path", "method", "status", "route", "name"),
    [
        ("/nowhere/12345", "GET", 404, None, None),
        ("/users/ada", "GET", 404, None, None),
        ("/users/7", "DELETE", 405, "/users/<int:number>", None),
        ("/posted", "GET", 405, "/posted", None),
        ("/forbidden", "GET", 403, "/forbidden", "forbidden"),
        ("/users/7", "HEAD", 200, "/users/<int:number>", "user"),
        ("/users/7", "OPTIONS", 200, "/users/<int:number>", "user"),
        ("/file", "GET", 200, "/file", "file"),
        ("/static/__init__.py", "GET", 200, "/static/<path:filename>", "static"),
        ("/static/nothing.txt", "GET", 404, "/static/<path:filename>", "static"),
    ],
)
def test_statuses(
    recorder: Recorder, trace: Any, path: str, method: str, status: int, route: str | None, name: str | None
) -> None:
    assert asked(trace(shop()), path, method).status == status
    tags = endpoint(name) if name else {}
    assert recorder.take() == [span("quart", route, path, status, method=method, tags=tags)]


def test_a_view_that_answers_404_keeps_its_name(recorder: Recorder, trace: Any) -> None:
    asked(trace(shop()), "/users/7", query_string=b"status=404")
    assert recorder.take() == [span("quart", "/users/<int:number>", "/users/7", 404, tags=endpoint("user"))]


def test_the_span_lasts_until_the_end_of_the_body(recorder: Recorder, trace: Any) -> None:
    assert asked(trace(shop()), "/stream").body == b"ab"
    root, late = recorder.take()
    assert root == span("quart", "/stream", "/stream", tags=endpoint("stream"))
    assert (late["name"], late["parent"]) == ("late", 1)


@pytest.mark.parametrize(
    ("name", "status", "error"), [("broken", 500, MissingError("broken")), ("answered", 503, KeyError("answered"))]
)
def test_errors(recorder: Recorder, trace: Any, name: str, status: int, error: Exception) -> None:
    assert asked(trace(shop()), f"/{name}").status == status
    (found,) = recorder.take()
    found["tags"].pop("error.stack")
    tags = {**endpoint(name), **failed(error)}
    del tags["error.stack"]
    assert found == span("quart", f"/{name}", f"/{name}", status, tags=tags)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Quart 0.20, the last one for it, answers every error")
def test_an_error_that_leaves_the_application(recorder: Recorder, trace: Any) -> None:
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(MissingError):
        asked(trace(app), "/broken")
    tags = {**endpoint("broken"), **failed(MissingError("broken"))}
    assert recorder.take() == [span("quart", "/broken", "/broken", 500, tags=tags)]


def test_a_websocket_ends_with_its_handshake(recorder: Recorder, trace: Any) -> None:
    assert connect(trace(shop()), "/chat/tea", subprotocols=[])[0]["type"] == "websocket.accept"
    handshake, after = [found for found in recorder.take() if not found["name"].startswith("websocket")]
    tags = {**endpoint("chat"), "http.url": "ws://testserver/chat/tea"}
    assert handshake == span("quart", "/chat/<room>", "/chat/tea", 101, tags=tags)
    assert (after["name"], after["trace"] != handshake["trace"]) == ("after", True)


def test_a_client_that_leaves_is_no_error(recorder: Recorder, trace: Any) -> None:
    async def main() -> None:
        client = Client(EMPTY)
        app = shop()

        @app.get("/slow")
        async def slow() -> str:
            client.leave()
            await asyncio.Event().wait()
            return "never"

        await trace(app)(scope("/slow"), client.receive, client.send)

    asyncio.run(main())
    tags = {**endpoint("slow"), "http.disconnected": "true"}
    assert recorder.take() == [span("quart", "/slow", "/slow", None, tags=tags, resource="GET /slow")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(shop()), Quart("other")
    other.add_url_rule("/", "index", lambda: "plain")
    assert asked(traced).body == b"shown"
    assert asked(other).body == b"plain"
    assert recorder.take() == [span("quart", "/", "/", tags=endpoint("index"))]


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    app = shop()
    TraceMiddleware(app)
    assert "asgi_app" not in vars(app)


@pytest.mark.parametrize("fault", ["_served"])
def test_faults(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Whatever fails in our own code, the application answers as it would without us."""
    app = all_of_them(shop())
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(our_quart, fault, None)
    assert [asked(app, path).status for path in ("/file", "/broken", "/forbidden")] == [200, 500, 403]
