"""Flask, Starlette and FastAPI mounted in each other: one span, with the full template, named after the innermost."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import a2wsgi
import fastapi
import flask
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import ddmiddleware
from ddmiddleware.fastapi import TraceMiddleware as FastApis
from ddmiddleware.flask import TraceMiddleware as Flasks
from ddmiddleware.starlette import TraceMiddleware as Starlettes
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import ask_wsgi, asked
from tests.middleware.requests_by_hand import span as request_span
from tests.middleware.starlette_views import text

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have us use a2wsgi
    from starlette.middleware.wsgi import WSGIMiddleware


def with_flask() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/users/<int:number>", "user", lambda number: "shown")
    return app


def with_starlette() -> Starlette:
    return Starlette(routes=[Route("/users/{number:int}", text)])


def with_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI(openapi_url=None)
    app.add_api_route("/users/{number}", lambda number: "shown")
    return app


ROUTES = {"flask": "/users/<int:number>", "starlette": "/users/{number:int}", "fastapi": "/users/{number}"}
BUILDERS: dict[str, Callable[[], Any]] = {
    "flask": with_flask,
    "starlette": with_starlette,
    "fastapi": with_fastapi,
}


def automatic(_name: str, app: Any) -> Any:
    return app


def explicit(name: str, app: Any) -> Any:
    if name == "flask":
        Flasks(app)
    else:
        app.add_middleware(Starlettes if name == "starlette" else FastApis)
    return app


def in_flask(outer: flask.Flask, inner: Any) -> tuple[str, str]:
    """Mount *inner*; return the template and the path of that."""
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/v1/api": inner})  # type: ignore[method-assign]
    return "/v1/api", "/v1/api"


def in_starlette(outer: Starlette, inner: Any) -> tuple[str, str]:
    outer.router.routes.append(Mount("/tenants/{tenant}", routes=[Mount("/api", inner)]))
    return "/tenants/{tenant}/api", "/tenants/acme/api"


def in_fastapi(outer: fastapi.FastAPI, inner: Any) -> tuple[str, str]:
    outer.mount("/tenants/{tenant}/api", inner)
    return "/tenants/{tenant}/api", "/tenants/acme/api"


MOUNTS: dict[str, Callable[[Any, Any], tuple[str, str]]] = {
    "flask": in_flask,
    "starlette": in_starlette,
    "fastapi": in_fastapi,
}


_executors: list[ThreadPoolExecutor] = []


def in_threads(app: Any) -> Any:
    bridge = a2wsgi.WSGIMiddleware(app)
    _executors.append(bridge.executor)
    return bridge


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Where ASGI applications below a WSGI one run."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()
    while _executors:
        _executors.pop().shutdown()


CASES = [
    (outer, inner, bridge)
    for outer in BUILDERS
    for inner in BUILDERS
    for bridge in (("Starlette's", "a2wsgi") if inner == "flask" else ("a2wsgi",))
    if outer != inner
]


@pytest.mark.parametrize("trace", [automatic, explicit])
@pytest.mark.parametrize(("outer", "inner", "bridge"), CASES)
def test_mounted(
    recorder: Recorder,
    loop: asyncio.AbstractEventLoop,
    outer: str,
    inner: str,
    bridge: str,
    trace: Callable[[str, Any], Any],
) -> None:
    if trace is automatic:
        ddmiddleware.patch(flask=True, starlette=True, fastapi=True)
    app, mounted = BUILDERS[outer](), trace(inner, BUILDERS[inner]())
    if inner == "flask":
        mounted = in_threads(mounted) if bridge == "a2wsgi" else WSGIMiddleware(mounted)
    elif outer == "flask":
        mounted = a2wsgi.ASGIMiddleware(mounted, loop=loop)
    template, path = MOUNTS[outer](app, mounted)
    trace(outer, app)
    ask: Any = ask_wsgi if outer == "flask" else asked

    def span(route: str | None, path: str, status: int = 200, **changes: Any) -> dict[str, Any]:
        component = "fastapi" if (inner, outer) == ("starlette", "fastapi") else inner  # which is built on it
        return request_span(component, route, path, status, **changes)

    route = template + ROUTES[inner]
    own = {"flask.endpoint": "user"} if inner == "flask" else {}
    assert ask(app, f"{path}/users/7").status == 200
    assert recorder.take() == [span(route, f"{path}/users/7", tags=own)]
    assert ask(app, f"{path}/users/7", "DELETE").status == 405
    assert recorder.take() == [span(route, f"{path}/users/7", 405, method="DELETE")]
    assert ask(app, f"{path}/nowhere/7").status == 404
    assert recorder.take() == [span(None, f"{path}/nowhere/7", 404)]
    assert ask(app, "/users/7").status == 200
    own = {"flask.endpoint": "user"} if outer == "flask" else {}
    assert recorder.take() == [request_span(outer, ROUTES[outer], "/users/7", tags=own)]
