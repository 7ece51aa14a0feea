"""Starlette: one span per request, named after the full path template, however the application is traced."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.starlette import TraceMiddleware
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked, span

seen: list[str] = []


async def view(request: Request) -> PlainTextResponse:
    """Note what the resource is while the endpoint runs."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return PlainTextResponse("shown", int(request.query_params.get("status", 200)))


def sync_view(_request: Request) -> PlainTextResponse:
    root = default_tracer.current_root_span()  # on a thread of the pool
    assert root
    seen.append(root.resource)
    return PlainTextResponse("shown")


class Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        return await view(request)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


USERS = [Route("/", view), Route("/users/{number:int}", view), Route("/posted", view, methods=["POST"])]


def shop(**options: Any) -> Starlette:
    return Starlette(
        routes=[
            *USERS,
            Route("/sync/{name}", sync_view),
            Route("/class/{name}", Endpoint),
            Route("/slash/", view),
            Mount("/router", Router(USERS, middleware=[Middleware(Passing)])),
            Mount("/app", Starlette(routes=USERS, middleware=[Middleware(Passing)])),
            Mount("/tenants/{tenant}", routes=[Mount("/areas/{area:int}", routes=USERS), Route("/{rest:path}", view)]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent)),
            Host("{tenant}.example.org", Router([Route("/hosted/{name}", view)])),
        ],
        **options,
    )


ROUTES = [
    ("/", "/"),
    ("/users/7", "/users/{number:int}"),
    ("/sync/ada", "/sync/{name}"),
    ("/class/ada", "/class/{name}"),
    ("/router/users/7", "/router/users/{number:int}"),
    ("/app/users/7", "/app/users/{number:int}"),
    ("/app/", "/app/"),
    ("/tenants/acme/areas/5/users/7", "/tenants/{tenant}/areas/{area:int}/users/{number:int}"),
    ("/tenants/acme/a/b", "/tenants/{tenant}/{rest:path}"),
]


@pytest.mark.parametrize("middleware", [[], [Middleware(Passing)]], ids=["plain", "BaseHTTPMiddleware"])
@pytest.mark.parametrize(("path", "route"), ROUTES)
def test_routes(patched: Recorder, path: str, route: str, middleware: list[Middleware]) -> None:
    seen.clear()
    assert asked(shop(middleware=middleware), path).body == b"shown"
    assert patched.take() == [span("starlette", route, path)]
    assert seen == [f"GET {route}"]


def test_host(patched: Recorder) -> None:
    asked(shop(), "/hosted/ada", headers=[(b"host", b"acme.example.org")])
    tags = {"http.url": "http://acme.example.org/hosted/ada"}
    assert patched.take() == [span("starlette", "/hosted/{name}", "/", tags=tags)]


@pytest.mark.parametrize("path", ["/api/users/7", "/users/7"])
def test_root_path(patched: Recorder, path: str) -> None:
    """Of a server that passes the full path on, and of one that does not."""
    asked(shop(), path, root_path="/api")
    assert patched.take() == [span("starlette", "/api/users/{number:int}", "/api/users/7")]


def test_root_path_and_mounts(patched: Recorder) -> None:
    asked(shop(), "/api/app/users/7", root_path="/api")
    assert patched.take() == [span("starlette", "/api/app/users/{number:int}", "/api/app/users/7")]


def test_a_mount_at_the_root(patched: Recorder) -> None:
    app = Starlette(routes=[Mount("/", routes=[Mount("", routes=USERS)])])
    asked(app, "/users/7")
    asked(app, "/nowhere")
    first, second = patched.take()
    assert (first, second["resource"]) == (span("starlette", "/users/{number:int}", "/users/7"), "GET 404")


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/app/nowhere/12345", "GET", 404, None),
        ("/router/nowhere", "GET", 404, None),
        ("/tenants/acme/areas/5/nowhere", "GET", 404, None),
        ("/slash", "GET", 307, None),
        ("/users/7", "DELETE", 405, "/users/{number:int}"),
        ("/app/users/7", "SHOUT", 405, "/app/users/{number:int}"),
        ("/app/posted", "GET", 405, "/app/posted"),
        ("/class/ada", "POST", 405, "/class/{name}"),
        ("/static/nothing.txt", "GET", 404, None),
    ],
)
def test_no_raw_path_is_a_resource(patched: Recorder, path: str, method: str, status: int, route: str | None) -> None:
    assert asked(shop(), path, method).status == status
    shown_method = "_OTHER" if method == "SHOUT" else method
    assert patched.take() == [span("starlette", route, path, status, method=shown_method)]


def test_head(patched: Recorder) -> None:
    asked(shop(), "/users/7", "HEAD")
    assert patched.take() == [span("starlette", "/users/{number:int}", "/users/7", method="HEAD")]


def test_a_mount_without_routes(patched: Recorder) -> None:
    assert asked(shop(), "/static/__init__.py").status == 200
    assert patched.take() == [span("starlette", "/static/{path}", "/static/__init__.py")]


def test_a_route_that_answers_404_keeps_its_name(patched: Recorder) -> None:
    asked(shop(), "/users/7", query_string=b"status=404")
    assert patched.take() == [span("starlette", "/users/{number:int}", "/users/7", 404)]


def explicit(app: Starlette) -> Any:
    app.add_middleware(TraceMiddleware)
    return app


def outside(app: Starlette) -> Any:
    return TraceMiddleware(app)


def all_of_them(app: Starlette) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(TraceMiddleware(explicit(app)))


@pytest.mark.parametrize("trace", [explicit, outside, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[Starlette], Any]) -> None:
    assert asked(trace(shop()), "/app/users/7").body == b"shown"
    assert recorder.take() == [span("starlette", "/app/users/{number:int}", "/app/users/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    async def plain(_request: Request) -> PlainTextResponse:
        assert default_tracer.current_span() is None
        return PlainTextResponse("plain")

    traced, other = explicit(shop()), Starlette(routes=[Route("/", plain)])
    assert asked(traced).body == b"shown"
    assert asked(other).body == b"plain"
    assert recorder.take() == [span("starlette", "/", "/")]


def test_only_a_mounted_application_is_traced(recorder: Recorder) -> None:
    """The template of what it is mounted under is not known then; the path itself must not take its place."""
    app = Starlette(routes=[Mount("/tenants/{tenant}", explicit(shop())), Mount("/fixed", explicit(shop()))])
    assert asked(app, "/tenants/acme/users/7").body == b"shown"
    assert asked(app, "/fixed/users/7").body == b"shown"
    assert [found["resource"] for found in recorder.take()] == [
        "GET /tenants/{tenant}/users/{number:int}",
        "GET /fixed/users/{number:int}",
    ]


def test_a_mounted_flask_application(patched: Recorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette would rather have us use a2wsgi
        from starlette.middleware.wsgi import WSGIMiddleware
    inner = flask.Flask("inner")
    inner.add_url_rule("/users/<int:number>", "user", lambda number: "from flask")
    app = Starlette(routes=[Mount("/v1", WSGIMiddleware(inner))])
    assert asked(app, "/v1/users/7").body == b"from flask"
    route = "/v1/users/<int:number>"
    assert patched.take() == [span("flask", route, "/v1/users/7", tags={"flask.endpoint": "user"})]


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    monkeypatch.setattr(default_tracer, "enabled", False)
    before = dict(vars(Route)), dict(vars(Starlette))
    app = TraceMiddleware(Starlette(routes=[Route("/", sync_plain)]))
    ddmiddleware.patch_all()
    assert (dict(vars(Route)), dict(vars(Starlette))) == before
    assert asked(app).body == b"plain"
    assert recorder.take() == []


def sync_plain(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain")
