"""Flask: one span per request, named after the rule, however the application is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.flask import TraceMiddleware
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import ask_wsgi, span

seen: list[str] = []


def shown() -> str:
    """What the views answer; they note what the resource is while they run."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return "shown"


def shop() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    inner = flask.Blueprint("inner", "inner", url_prefix="/inner/<colour>")
    outer = flask.Blueprint("outer", "outer", url_prefix="/outer")
    inner.add_url_rule("/<float:price>", "price", lambda colour, price: shown())
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.add_url_rule("/", "home", shown)
    app.add_url_rule("/users/<int:number>", "user", lambda number: shown())
    app.add_url_rule("/files/<path:name>", "file", lambda name: shown())
    app.add_url_rule("/any/<any(a, b):which>", "any", lambda which: shown())
    app.add_url_rule("/slash/", "slash", shown)
    app.add_url_rule("/moved", "moved", lambda: flask.redirect("/"))
    app.add_url_rule("/gone/<int:number>", "gone", lambda number: flask.abort(404))
    app.before_request(lambda: None if flask.request.path == "/" else flask.g.setdefault("known", shown()) and None)
    return app


ROUTES = [
    ("/", "/", "home", 200),
    ("/users/7", "/users/<int:number>", "user", 200),
    ("/files/a/b.txt", "/files/<path:name>", "file", 200),
    ("/any/b", "/any/<any(a, b):which>", "any", 200),
    ("/outer/inner/red/1.5", "/outer/inner/<colour>/<float:price>", "outer.inner.price", 200),
    ("/slash/", "/slash/", "slash", 200),
    ("/moved", "/moved", "moved", 302),
    ("/gone/3", "/gone/<int:number>", "gone", 404),
]


@pytest.mark.parametrize(("path", "route", "endpoint", "status"), ROUTES)
def test_routes(patched: Recorder, path: str, route: str, endpoint: str, status: int) -> None:
    seen.clear()
    assert ask_wsgi(shop(), path).status == status
    assert patched.take() == [span("flask", route, path, status, tags={"flask.endpoint": endpoint})]
    assert set(seen) == {f"GET {route}"}  # in before_request and in the view already


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_methods_that_flask_adds(patched: Recorder, method: str) -> None:
    assert ask_wsgi(shop(), "/users/7", method).status == 200
    tags = {"flask.endpoint": "user"}
    assert patched.take() == [span("flask", "/users/<int:number>", "/users/7", method=method, tags=tags)]


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/users/ada", "GET", 404, None),
        ("/nowhere/12345", "GET", 404, None),
        ("/slash", "GET", 308, None),
        ("/users/7", "DELETE", 405, "/users/<int:number>"),
        ("/users/7", "SHOUT", 405, "/users/<int:number>"),
    ],
)
def test_no_raw_path_is_a_resource(patched: Recorder, path: str, method: str, status: int, route: str | None) -> None:
    assert ask_wsgi(shop(), path, method).status == status
    shown_method = "_OTHER" if method == "SHOUT" else method
    assert patched.take() == [span("flask", route, path, status, method=shown_method)]


def test_script_name_and_dispatcher(patched: Recorder) -> None:
    app = shop()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/api": shop()})  # type: ignore[method-assign]
    ask_wsgi(app, "/api/users/7")
    ask_wsgi(app, "/users/7", SCRIPT_NAME="/site")
    ask_wsgi(app, "/api/users/7", SCRIPT_NAME="/site")
    tags = {"flask.endpoint": "user"}
    paths = ["/api/users/7", "/site/users/7", "/site/api/users/7"]
    assert patched.take() == [
        span("flask", path.replace("7", "<int:number>"), path, trace=number, tags=tags)
        for number, path in enumerate(paths, 1)
    ]


def explicit(app: flask.Flask) -> Any:
    TraceMiddleware(app)
    return app


def twice(app: flask.Flask) -> Any:
    return explicit(explicit(app))


def generic(app: flask.Flask) -> Any:
    return wsgi.TraceMiddleware(app)


def all_of_them(app: flask.Flask) -> Any:
    ddmiddleware.patch_all(logging=False)
    ddmiddleware.patch_all(logging=False)
    return wsgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("trace", [explicit, twice, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[flask.Flask], Any]) -> None:
    assert ask_wsgi(trace(shop()), "/users/7").body == b"shown"
    assert recorder.take() == [span("flask", "/users/<int:number>", "/users/7", tags={"flask.endpoint": "user"})]


def test_the_generic_middleware_alone_knows_no_route(recorder: Recorder) -> None:
    ask_wsgi(generic(shop()), "/users/7")
    assert recorder.take() == [span("wsgi", None, "/users/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(shop()), shop()
    other.before_request_funcs.clear()
    other.view_functions["home"] = lambda: "hello"
    assert ask_wsgi(other).body == b"hello"
    assert recorder.take() == []
    ask_wsgi(traced)
    assert recorder.take() == [span("flask", "/", "/", tags={"flask.endpoint": "home"})]


def test_a_request_within_a_request(patched: Recorder) -> None:
    app = shop()
    app.add_url_rule("/batch", "batch", lambda: app.test_client().get("/users/7").data)
    assert ask_wsgi(app, "/batch").body == b"shown"
    found = [(request["resource"], request["trace"], request["parent"]) for request in patched.take()]
    assert found == [("GET /batch", 1, 0), ("GET /users/<int:number>", 1, 1)]


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    app = flask.Flask("shop")
    before = dict(vars(flask.Flask)), app.wsgi_app
    TraceMiddleware(app)
    ddmiddleware.patch_all()
    assert (dict(vars(flask.Flask)), app.wsgi_app) == before


def test_its_service(patched: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_of("flask"), "service", "front")
    ask_wsgi(wsgi.TraceMiddleware(shop()), "/")
    assert patched.take() == [span("flask", "/", "/", service="front", tags={"flask.endpoint": "home"})]


def test_the_view_sees_the_application_it_knows(patched: Recorder) -> None:
    app = shop()
    app.add_url_rule("/self", "self", lambda: str(flask.current_app._get_current_object() is app))  # type: ignore[attr-defined]
    assert ask_wsgi(app, "/self").body == b"True"
    assert flask.Flask.__call__.__name__ == "__call__"
