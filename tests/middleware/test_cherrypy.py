"""CherryPy: one span per request, named after the handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cherrypy
import flask
import pytest

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.cherrypy import TraceMiddleware
from ddmiddleware.contrib.cherrypy import TraceMiddleware as Likeness
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, environ
from tests.middleware.requests_by_hand import span as request_span

ERROR = MissingError("no such cup")
HERE = __name__
seen: list[str] = []


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cherrypy.log, "screen", False)
    seen.clear()


@pytest.fixture
def cherries(recorder: Recorder) -> Recorder:
    """Finished spans, with CherryPy patched."""
    ddmiddleware.patch(cherrypy=True)
    return recorder


def span(handler: str | None, path: str, status: int = 200, **changes: Any) -> dict[str, Any]:
    made = request_span("cherrypy", None, path, status, **changes)
    return {**made, "resource": f"{made['tags']['http.method']} {handler}"} if handler else made


def note() -> None:
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)


class Cups:
    @cherrypy.expose
    def index(self) -> str:
        note()
        return "cups"

    @cherrypy.expose
    def item(self, what: str) -> Any:
        note()
        if what == "broken":
            raise ERROR
        if what == "forbidden":
            raise cherrypy.HTTPError(403, "no")
        if what == "unavailable":
            raise cherrypy.HTTPError(503, "later")
        if what == "moved":
            raise cherrypy.HTTPRedirect("/")
        if what == "inside":
            raise cherrypy.InternalRedirect("/cups/")
        return what


class Resource:
    """One of a MethodDispatcher."""

    exposed = True

    def GET(self, number: str) -> str:
        note()
        return number


class Page:
    """A handler that is an object."""

    exposed = True

    def __call__(self) -> str:
        note()
        return "page"


class Special(Cups):
    pass


class Root(Cups):
    def __init__(self) -> None:
        self.cups = Cups()
        self.special = Special()
        self.resource = Resource()
        self.page = Page()

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def lines(self) -> Iterator[bytes]:
        for part in "ab":
            with default_tracer.trace(f"part {part}"):
                yield part.encode()


def shop(folder: Path | None = None, **config: Any) -> Any:
    cherrypy.tools.noting = cherrypy.Tool("before_handler", note)
    sections: dict[str, Any] = {
        "/": {"tools.noting.on": True, "request.show_tracebacks": False, **config},
        "/resource": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()},
    }
    if folder is not None:
        sections["/static"] = {"tools.staticdir.on": True, "tools.staticdir.dir": str(folder)}
    return cherrypy.Application(Root(), config=sections)


@pytest.mark.parametrize(
    ("path", "handler", "status"),
    [
        ("/", "Root.index", 200),
        ("/item/cup", "Root.item", 200),
        ("/cups/", "Cups.index", 200),
        ("/cups/item/7", "Cups.item", 200),
        ("/special/item/7", "Special.item", 200),
        ("/resource/7", "Resource.GET", 200),
        ("/page", "Page.__call__", 200),
        ("/cups", "Cups.index", 301),
        ("/cups/item/moved", "Cups.item", 303),
        ("/cups/item/forbidden", "Cups.item", 403),
    ],
)
def test_handlers(cherries: Recorder, path: str, handler: str, status: int) -> None:
    handler = f"{HERE}.{handler.removesuffix('.__call__')}"
    assert ask_wsgi(shop(), path).status == status
    assert cherries.take() == [span(handler, path, status)]
    assert set(seen) <= {f"GET {handler}"}  # in the application's tools and in the handler already
    assert seen or status == 301


@pytest.mark.parametrize(
    ("path", "method", "status", "handler"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/cups/nowhere", "GET", 404, None),
        ("/resource/7", "DELETE", 405, None),
        ("/resource/7", "HEAD", 200, "Resource.GET"),
        ("/cups/item/7", "OPTIONS", 200, "Cups.item"),
    ],
)
def test_no_raw_path_is_a_resource(
    cherries: Recorder, path: str, method: str, status: int, handler: str | None
) -> None:
    assert ask_wsgi(shop(), path, method).status == status
    assert cherries.take() == [span(handler and f"{HERE}.{handler}", path, status, method=method)]


def test_an_internal_redirect(cherries: Recorder) -> None:
    assert ask_wsgi(shop(), "/item/inside").body == b"cups"
    assert cherries.take() == [span(f"{HERE}.Cups.index", "/item/inside")]


def tree() -> Any:
    """Two applications, one of them Flask's."""
    grafted = flask.Flask("grafted")
    grafted.add_url_rule("/users/<int:number>", "user", lambda number: str(number))
    made = type(cherrypy.tree)()
    made.mount(Cups(), "/site", {"/": {}})
    made.graft(grafted, "/flask")
    return made


def test_a_tree(cherries: Recorder) -> None:
    ddmiddleware.patch(flask=True)
    for path in ("/site/item/7", "/nowhere", "/flask/users/7"):
        ask_wsgi(tree(), path)
    assert cherries.take() == [
        span(f"{HERE}.Cups.item", "/site/item/7", trace=1),
        span(None, "/nowhere", 404, trace=2),
        request_span("flask", "/flask/users/<int:number>", "/flask/users/7", trace=3, tags={"flask.endpoint": "user"}),
    ]


def test_an_unhandled_exception(cherries: Recorder) -> None:
    assert ask_wsgi(shop(), "/item/broken").status == 500
    assert cherries.take() == [span(f"{HERE}.Root.item", "/item/broken", 500, tags=failed(ERROR))]


def test_an_http_error_of_ours(cherries: Recorder) -> None:
    assert ask_wsgi(shop(), "/item/unavailable").status == 503
    tags = failed(cherrypy.HTTPError(503, "later"))
    assert cherries.take() == [span(f"{HERE}.Root.item", "/item/unavailable", 503, tags=tags)]


def test_an_error_that_is_only_trapped(cherries: Recorder) -> None:
    assert ask_wsgi(shop(**{"request.throw_errors": True}), "/item/broken").status == 500
    assert cherries.take() == [span(f"{HERE}.Root.item", "/item/broken", 500, tags=failed(ERROR))]


def test_an_error_response_of_the_applications(cherries: Recorder) -> None:
    def sorry() -> None:
        cherrypy.response.status = 200
        cherrypy.response.body = b"sorry"

    assert ask_wsgi(shop(**{"request.error_response": sorry}), "/item/broken").body == b"sorry"
    assert cherries.take() == [span(f"{HERE}.Root.item", "/item/broken")]


def test_an_error_response_that_fails_itself(cherries: Recorder) -> None:
    second = MissingError("the handler")

    def fail() -> None:
        raise second

    assert ask_wsgi(shop(**{"request.error_response": fail}), "/item/broken").status == 500
    assert cherries.take() == [span(f"{HERE}.Root.item", "/item/broken", 500, tags=failed(second))]


def test_a_stream_ends_the_span(cherries: Recorder) -> None:
    body: Any = shop()(environ("/lines"), lambda *_: lambda _data: None)
    assert next(iter(body)) == b"a"
    assert active.get() is None
    assert cherries.take() == []
    assert list(body) == [b"b"]
    body.close()
    found = [(item["name"], item["trace"], item["parent"]) for item in cherries.take()]
    assert found == [("cherrypy.request", 1, 0), ("part a", 1, 1), ("part b", 1, 1)]


def test_files(cherries: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    app = shop(tmp_path)
    assert ask_wsgi(app, "/static/a.txt").body == b"file"
    assert ask_wsgi(app, "/static/missing.txt").status == 404
    assert cherries.take() == [
        span("cherrypy.tools.staticdir", "/static/a.txt", trace=1),
        span("cherrypy.tools.staticdir", "/static/missing.txt", 404, trace=2),
    ]


def likeness(app: Any) -> Any:
    Likeness(cherrypy)
    return app


def all_of_them(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return wsgi.TraceMiddleware(TraceMiddleware(TraceMiddleware(likeness(app))))


@pytest.mark.parametrize("trace", [TraceMiddleware, likeness, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    assert ask_wsgi(trace(shop()), "/cups/item/7").body == b"7"
    assert recorder.take() == [span(f"{HERE}.Cups.item", "/cups/item/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = TraceMiddleware(shop()), cherrypy.Application(None)
    assert ask_wsgi(other).status == 404
    assert recorder.take() == []
    ask_wsgi(traced)
    assert recorder.take() == [span(f"{HERE}.Root.index", "/")]
