"""Bottle: one span per request, named after the rule, mounts included."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bottle
import flask
import pytest

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.bottle import TracePlugin
from ddmiddleware.contrib.bottle import TracePlugin as Likeness
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, environ
from tests.middleware.requests_by_hand import span as request_span

ERROR = MissingError("no such cup")
seen: list[str] = []


@pytest.fixture
def bottles(recorder: Recorder) -> Recorder:
    """Finished spans, with Bottle patched."""
    ddmiddleware.patch(bottle=True)
    seen.clear()
    return recorder


def span(route: str | None, path: str, status: int | None = 200, **changes: Any) -> dict[str, Any]:
    return request_span("bottle", route, path, status, **changes)


def note() -> None:
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)


def act(what: str = "static", **_params: Any) -> Any:
    """Answer as *what* says."""
    note()
    if what == "broken":
        raise ERROR
    if what == "forbidden":
        bottle.abort(403, "no")
    if what == "unavailable":
        return bottle.HTTPError(503, "later")
    if what == "moved":
        bottle.redirect("/")
    return what


def noting(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin of the application's."""

    def around(*args: Any, **kwargs: Any) -> Any:
        note()
        return callback(*args, **kwargs)

    return around


def shop() -> Any:
    app = bottle.Bottle()
    app.install(noting)
    app.route("/", callback=act)
    app.route("/items/<what>", callback=act)
    app.route("/users/<number:int>", callback=act)
    app.route("/slash/", callback=act)
    app.route("/lines", callback=lambda: iter([b"a", b"b"]))
    app.route("/file", callback=lambda: io.BytesIO(b"file"))
    return app


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/", "/", 200),
        ("/items/cup", "/items/<what>", 200),
        ("/users/7", "/users/<number:int>", 200),
        ("/slash/", "/slash/", 200),
        ("/items/moved", "/items/<what>", 302),
        ("/items/forbidden", "/items/<what>", 403),
    ],
)
def test_routes(bottles: Recorder, path: str, route: str, status: int) -> None:
    assert ask_wsgi(shop(), path, SERVER_PROTOCOL="HTTP/1.0").status == status
    assert bottles.take() == [span(route, path, status)]
    assert set(seen) == {f"GET {route}"}  # in the application's plugins and in the callback already


@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/slash", "GET", 404, None),  # Bottle redirects no slashes
        ("/users/7", "DELETE", 405, "/users/<number:int>"),
        ("/users/7", "OPTIONS", 405, "/users/<number:int>"),
        ("/users/7", "HEAD", 200, "/users/<number:int>"),
    ],
)
def test_no_raw_path_is_a_resource(bottles: Recorder, path: str, method: str, status: int, route: str | None) -> None:
    assert ask_wsgi(shop(), path, method).status == status
    assert bottles.take() == [span(route, path, status, method=method)]


def test_script_name(bottles: Recorder) -> None:
    ask_wsgi(shop(), "/users/7", SCRIPT_NAME="/site")
    assert bottles.take() == [span("/site/users/<number:int>", "/site/users/7")]


def mounting() -> Any:
    """An application with one of Bottle, one of Flask and one of nobody's mounted."""
    inner = flask.Flask("inner")
    inner.add_url_rule("/cups/<int:number>", "cup", lambda number: str(number))

    def plain(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"plain"]

    app = shop()
    app.mount("/bottle/", shop())
    app.mount("/flask/", inner)
    app.mount("/plain/", plain)
    return app


def test_mounts(bottles: Recorder) -> None:
    ddmiddleware.patch(flask=True)
    for path in ("/bottle/users/7", "/bottle/nowhere", "/flask/nowhere", "/plain/any/thing", "/plain/"):
        ask_wsgi(mounting(), path)
    ask_wsgi(mounting(), "/plain/any", SCRIPT_NAME="/site")
    ask_wsgi(mounting(), "/flask/cups/3", SCRIPT_NAME="/site")
    assert bottles.take() == [
        span("/bottle/users/<number:int>", "/bottle/users/7", trace=1),
        span(None, "/bottle/nowhere", 404, trace=2),
        request_span("flask", None, "/flask/nowhere", 404, trace=3),
        span("/plain/{path}", "/plain/any/thing", trace=4),
        span("/plain/{path}", "/plain/", trace=5),
        span("/site/plain/{path}", "/site/plain/any", trace=6),
        request_span(
            "flask", "/site/flask/cups/<int:number>", "/site/flask/cups/3", trace=7, tags={"flask.endpoint": "cup"}
        ),
    ]


def test_an_unhandled_exception(bottles: Recorder) -> None:
    assert ask_wsgi(shop(), "/items/broken").status == 500
    assert bottles.take() == [span("/items/<what>", "/items/broken", 500, tags=failed(ERROR))]


def test_an_exception_that_propagates(bottles: Recorder) -> None:
    app = shop()
    app.catchall = False
    with pytest.raises(MissingError) as caught:
        ask_wsgi(app, "/items/broken")
    assert caught.value is ERROR
    assert bottles.take() == [span("/items/<what>", "/items/broken", 500, tags=failed(ERROR))]


def test_an_http_error_that_is_returned(bottles: Recorder) -> None:
    assert ask_wsgi(shop(), "/items/unavailable").status == 503
    found = bottles.take()
    tags = {key: value for key, value in found[0]["tags"].items() if key.startswith("error.")}
    assert tags["error.type"] == "bottle.HTTPError"
    assert found == [span("/items/<what>", "/items/unavailable", 503, tags=tags)]


def test_an_error_handler_decides(bottles: Recorder) -> None:
    def sorry(_error: Any) -> str:
        bottle.response.status = 200
        return "sorry"

    app = shop()
    app.error(500)(sorry)
    assert ask_wsgi(app, "/items/broken").body == b"sorry"
    assert bottles.take() == [span("/items/<what>", "/items/broken")]


def test_an_error_handler_that_fails_itself(bottles: Recorder) -> None:
    second = MissingError("the handler")

    def fail(_error: Any) -> str:
        raise second

    app = shop()
    app.error(500)(fail)
    assert ask_wsgi(app, "/items/broken").status == 500
    assert bottles.take() == [span("/items/<what>", "/items/broken", 500, tags=failed(second))]


def test_a_stream_ends_the_span(bottles: Recorder) -> None:
    def parts() -> Iterator[bytes]:
        for part in "ab":
            with default_tracer.trace(f"part {part}"):
                yield part.encode()

    app = bottle.Bottle()
    app.route("/parts", callback=parts)
    body: Any = app(environ("/parts"), lambda *_: lambda _data: None)
    assert next(iter(body)) == b"a"
    assert active.get() is None
    assert bottles.take() == []
    assert list(body) == [b"b"]
    body.close()
    found = [(item["name"], item["trace"], item["parent"]) for item in bottles.take()]
    assert found == [("bottle.request", 1, 0), ("part a", 1, 1), ("part b", 1, 1)]


def test_a_stream_that_fails_before_its_first_part(bottles: Recorder) -> None:
    def parts() -> Iterator[bytes]:
        raise ERROR
        yield b""

    app = bottle.Bottle()
    app.route("/parts", callback=parts)
    assert ask_wsgi(app, "/parts").status == 500
    assert bottles.take() == [span("/parts", "/parts", 500, tags=failed(ERROR))]


def test_streams_and_files(bottles: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    app = shop()
    app.route("/static/<name:path>", callback=lambda name: bottle.static_file(name, root=str(tmp_path)))
    assert ask_wsgi(app, "/lines").body == b"ab"
    assert ask_wsgi(app, "/file").body == b"file"
    assert ask_wsgi(app, "/static/a.txt").body == b"file"
    assert ask_wsgi(app, "/static/missing.txt").status == 404
    assert bottles.take() == [
        span("/lines", "/lines", trace=1),
        span("/file", "/file", trace=2),
        span("/static/<name:path>", "/static/a.txt", trace=3),
        span("/static/<name:path>", "/static/missing.txt", 404, trace=4),
    ]


def explicit(app: Any) -> Any:
    app.install(TracePlugin())
    return app


def likeness(app: Any) -> Any:
    app.install(Likeness())
    return app


def all_of_them(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return wsgi.TraceMiddleware(likeness(explicit(explicit(app))))


@pytest.mark.parametrize("trace", [explicit, likeness, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    app = trace(shop())
    assert ask_wsgi(app, "/users/7").body == b"static"
    assert ask_wsgi(app, "/nowhere").status == 404
    assert recorder.take() == [
        span("/users/<number:int>", "/users/7", trace=1),
        span(None, "/nowhere", 404, trace=2),
    ]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(shop()), bottle.Bottle()
    assert ask_wsgi(other).status == 404
    assert recorder.take() == []
    ask_wsgi(traced)
    assert recorder.take() == [span("/", "/")]


def test_an_uninstalled_plugin(recorder: Recorder) -> None:
    app = explicit(shop())
    app.uninstall(TracePlugin)
    assert "wsgi" not in vars(app)
    assert recorder.take() == []
