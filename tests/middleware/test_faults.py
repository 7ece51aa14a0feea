"""Whatever fails in our own code, the application answers as it would without us."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import fastapi
import flask
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

import ddmiddleware
from ddmiddleware import _request, _websocket, asgi, wsgi
from ddmiddleware import fastapi as our_fastapi
from ddmiddleware import flask as our_flask
from ddmiddleware import starlette as our_starlette
from ddmiddleware._request import Request
from ddmiddleware.tracing import Span, active, default_tracer, guarded
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import Client, MissingError, ask_wsgi, asked, scope

pytestmark = pytest.mark.once

TRACEPARENT = f"00-{7:032x}-{9:016x}-01"


def _functions(owner: Any, *but: str) -> Iterator[tuple[Any, str]]:
    """What runs in a request; not what calls the application itself, nor what patching calls."""
    module = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    for name, value in vars(owner).items():
        if inspect.isfunction(value) and value.__module__ == module and name not in but:
            yield owner, name


SHARED = [
    *_functions(Request),
    *_functions(_request),
    (_request, "extract_headers"),
    (default_tracer, "trace"),
    (default_tracer, "start_span"),
    (default_tracer, "export"),
    (Span, "finish"),
    (Span, "set_exc_info"),
]
PATCHES = ("call", "route", "error", "mount", "background", "wsgi_environ")
WSGI = [*SHARED, *_functions(wsgi, "serve"), *_functions(our_flask, *PATCHES)]
FASTAPI = [
    *SHARED,
    *_functions(asgi, "serve"),
    *_functions(our_fastapi, *PATCHES, "frontend"),
    *_functions(_websocket),
    *_functions(_websocket.Connection, "receive", "send"),
]
ASGI = [*SHARED, *_functions(asgi, "serve"), *_functions(our_starlette, *PATCHES)]


def _name(fault: tuple[Any, str]) -> str:
    return f"{getattr(fault[0], '__name__', 'tracer')}.{fault[1]}"


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Requests that were never finished go while the fault is still there."""
    yield
    gc.collect()


def _broken(*_args: Any, **_kwargs: Any) -> Any:
    raise ValueError("a mistake of ours")


def flask_app() -> flask.Flask:
    app = flask.Flask("shop")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"user {number}"

    @app.get("/lines")
    def lines() -> flask.Response:
        return flask.Response(flask.stream_with_context(f"{part} {flask.request.path}" for part in "ab"))

    @app.get("/broken")
    def broken() -> str:
        raise MissingError("broken")

    @app.get("/forbidden")
    def forbidden() -> str:
        flask.abort(403)

    return app


@pytest.mark.parametrize("fault", WSGI, ids=_name)
def test_flask(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    paths = ("/users/3", "/lines", "/broken", "/forbidden", "/nowhere")
    app = flask_app()
    app.logger.disabled = True
    expected = [ask_wsgi(app, path) for path in paths] + [ask_wsgi(app, "/lines", "POST")]
    ddmiddleware.patch(flask=True)
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*fault, _broken)
    answers = [ask_wsgi(app, path, HTTP_TRACEPARENT=TRACEPARENT) for path in paths]
    answers.append(ask_wsgi(app, "/lines", "POST", HTTP_TRACEPARENT=TRACEPARENT))
    assert answers == expected
    assert active.get() is None
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(MissingError):
        ask_wsgi(app, "/broken")
    assert active.get() is None


def starlette_app(done: list[str]) -> Starlette:
    async def user(request: StarletteRequest) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["name"], background=BackgroundTask(done.append, request.url.path))

    async def broken(request: StarletteRequest) -> PlainTextResponse:
        raise MissingError("broken")

    async def lines(request: StarletteRequest) -> StreamingResponse:
        async def parts() -> Any:
            yield b"a"
            yield b"b"

        return StreamingResponse(parts())

    inner = Mount("/in", routes=[Route("/users/{name}", user), Route("/broken", broken)])
    return Starlette(routes=[inner, Route("/lines", lines)])


@pytest.mark.parametrize("fault", ASGI, ids=_name)
def test_starlette(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    done: list[str] = []
    paths = ("/in/users/ada", "/lines", "/nowhere", "/in/nowhere")
    app = starlette_app(done)
    expected = [asked(app, path) for path in paths]
    ddmiddleware.patch(starlette=True)
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*fault, _broken)
    headers = [(b"host", b"testserver"), (b"traceparent", TRACEPARENT.encode())]
    assert [asked(app, path, headers=headers) for path in paths] == expected
    assert done == ["/in/users/ada"] * 2
    with pytest.raises(MissingError):
        asked(app, "/in/broken")


def fastapi_app() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter()

    @router.get("/users/{name}")
    def user(name: str) -> str:
        return name

    @router.websocket("/chat")
    async def chat(socket: fastapi.WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.send_bytes(await socket.receive_bytes())
        await socket.close(4000, "enough")

    app.include_router(router, prefix="/in")
    return app


async def _chat(app: Any, **changes: Any) -> list[Any]:
    client = Client(
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "bytes": b"a"},
    )
    asked = scope("/in/chat", type="websocket", scheme="ws", **changes)
    del asked["method"]
    await app(asked, client.receive, client.send)
    return client.sent


@pytest.mark.parametrize("fault", FASTAPI, ids=_name)
def test_fastapi(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    app = fastapi_app()
    expected = [asked(app, path) for path in ("/in/users/ada", "/nowhere")], asyncio.run(_chat(app))
    ddmiddleware.patch(fastapi=True)
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*fault, _broken)
    headers = [(b"host", b"testserver"), (b"traceparent", TRACEPARENT.encode())]
    answers = [asked(app, path, headers=headers) for path in ("/in/users/ada", "/nowhere")]
    assert (answers, asyncio.run(_chat(app, headers=headers))) == expected


def test_a_fault_is_counted_and_costs_the_span_only(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    ddmiddleware.patch(flask=True)
    monkeypatch.setattr(guarded, "raises", False)
    app = flask_app()
    with monkeypatch.context() as patch:
        patch.setattr(Request, "matched", _broken)
        before = guarded.errors
        assert ask_wsgi(app, "/users/3").body == b"user 3"
        assert guarded.errors == before + 1
    ask_wsgi(app, "/users/3")
    assert [found["resource"] for found in recorder.take()] == ["GET", "GET /users/<int:number>"]
