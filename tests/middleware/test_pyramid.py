"""Pyramid: one span per request, named after the pattern of its route, prefixes included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPServiceUnavailable
from pyramid.response import FileResponse, Response

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.contrib import pyramid as likeness
from ddmiddleware.integrations import options_of
from ddmiddleware.pyramid import trace_pyramid
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, environ
from tests.middleware.requests_by_hand import span as request_span

ERROR = MissingError("no such cup")
seen: list[str] = []


@pytest.fixture
def pyramids(recorder: Recorder) -> Recorder:
    """Finished spans, with Pyramid patched."""
    ddmiddleware.patch(pyramid=True)
    seen.clear()
    return recorder


def span(name: str, route: str | None, path: str, status: int | None = 200, **changes: Any) -> dict[str, Any]:
    tags = {**({"pyramid.route.name": name} if name else {}), **changes.pop("tags", {})}
    return request_span("pyramid", route, path, status, tags=tags, **changes)


def note() -> None:
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)


def act(request: Any) -> Any:
    """Answer as the path says."""
    note()
    what = request.matchdict.get("what", "static")
    if what == "broken":
        raise ERROR
    if what == "forbidden":
        raise HTTPForbidden
    if what == "unavailable":
        raise HTTPServiceUnavailable("later")
    if what == "moved":
        return HTTPFound("/")
    return Response(what)


def factory(_request: Any) -> Any:
    """Make the root object, which Pyramid does before it looks for the view."""
    note()
    return object()


def inner(config: Any) -> None:
    config.add_route("user", "/users/{number}")
    config.add_view(act, route_name="user")
    config.include(innermost, route_prefix="/deep/{colour}")


def innermost(config: Any) -> None:
    config.add_route("deep", "cups")
    config.add_view(act, route_name="deep")


def configured(folder: Path | None = None) -> Any:
    config = Configurator(root_factory=factory)
    config.add_route("home", "/")
    config.add_route("item", "items/{what}")  # without a slash before it
    config.add_route("number", r"/numbers/{number:\d+}", request_method="GET")
    config.add_route("slash", "/slash/")
    config.add_route("rest", "/rest/*subpath")
    config.add_route("lines", "/lines")
    for name in ("home", "item", "number", "slash", "rest"):
        config.add_view(act, route_name=name)
    config.add_view(lambda request: Response(app_iter=iter([b"a", b"b"])), route_name="lines")
    config.include(inner, route_prefix="/api")
    config.add_notfound_view(append_slash=True)
    if folder is not None:
        config.add_static_view("static", str(folder))
        config.add_route("file", "/file")
        config.add_view(lambda request: FileResponse(str(folder / "a.txt"), request), route_name="file")
    return config


def shop(folder: Path | None = None) -> Any:
    return configured(folder).make_wsgi_app()


@pytest.mark.parametrize(
    ("path", "name", "route", "status"),
    [
        ("/", "home", "/", 200),
        ("/items/cup", "item", "/items/{what}", 200),
        ("/numbers/7", "number", r"/numbers/{number:\d+}", 200),
        ("/rest/a/b", "rest", "/rest/*subpath", 200),
        ("/slash/", "slash", "/slash/", 200),
        ("/api/users/7", "user", "/api/users/{number}", 200),
        ("/api/deep/red/cups", "deep", "/api/deep/{colour}/cups", 200),
        ("/items/moved", "item", "/items/{what}", 302),
        ("/items/forbidden", "item", "/items/{what}", 403),
    ],
)
def test_routes(pyramids: Recorder, path: str, name: str, route: str, status: int) -> None:
    assert ask_wsgi(shop(), path).status == status
    assert pyramids.take() == [span(name, route, path, status)]
    assert set(seen) == {f"GET {route}"}  # in the factory and in the view already


@pytest.mark.parametrize(
    ("path", "method", "status", "name", "route"),
    [
        ("/nowhere/12345", "GET", 404, "", None),
        ("/numbers/ada", "GET", 404, "", None),
        ("/slash", "GET", 307, "", None),
        ("/numbers/7", "DELETE", 404, "", None),  # Pyramid has no 405
        ("/numbers/7", "HEAD", 200, "number", r"/numbers/{number:\d+}"),
        ("/items/cup", "OPTIONS", 200, "item", "/items/{what}"),
    ],
)
def test_no_raw_path_is_a_resource(
    pyramids: Recorder, path: str, method: str, status: int, name: str, route: str | None
) -> None:
    assert ask_wsgi(shop(), path, method).status == status
    assert pyramids.take() == [span(name, route, path, status, method=method)]


def test_script_name(pyramids: Recorder) -> None:
    ask_wsgi(shop(), "/api/users/7", SCRIPT_NAME="/site")
    assert pyramids.take() == [span("user", "/site/api/users/{number}", "/site/api/users/7")]


def test_an_unhandled_exception(pyramids: Recorder) -> None:
    with pytest.raises(MissingError) as caught:
        ask_wsgi(shop(), "/items/broken")
    assert caught.value is ERROR
    assert pyramids.take() == [span("item", "/items/{what}", "/items/broken", 500, tags=failed(ERROR))]


@pytest.mark.parametrize("status", [200, 500])
def test_an_exception_view_decides(pyramids: Recorder, status: int) -> None:
    config = configured()
    config.add_exception_view(lambda error, request: Response("sorry", status), MissingError)
    assert ask_wsgi(config.make_wsgi_app(), "/items/broken").status == status
    tags = failed(ERROR) if status == 500 else {}
    assert pyramids.take() == [span("item", "/items/{what}", "/items/broken", status, tags=tags)]


def test_an_http_exception_of_ours(pyramids: Recorder) -> None:
    assert ask_wsgi(shop(), "/items/unavailable").status == 503
    tags = failed(HTTPServiceUnavailable("later"))
    assert pyramids.take() == [span("item", "/items/{what}", "/items/unavailable", 503, tags=tags)]


def test_a_tween_that_answers_an_exception(pyramids: Recorder) -> None:
    config = configured()
    config.add_tween("tests.middleware.test_pyramid.sorry")
    assert ask_wsgi(config.make_wsgi_app(), "/items/broken").status == 502
    assert pyramids.take() == [span("item", "/items/{what}", "/items/broken", 502, tags=failed(ERROR))]


def sorry(handler: Any, _registry: Any) -> Any:
    def tween(request: Any) -> Any:
        try:
            return handler(request)
        except MissingError:
            return Response("sorry", 502)

    return tween


def test_a_subrequest_is_no_request_of_its_own(pyramids: Recorder) -> None:
    config = configured()
    config.add_route("batch", "/batch")
    config.add_view(lambda request: request.invoke_subrequest(request.blank("/api/users/7")), route_name="batch")
    assert ask_wsgi(config.make_wsgi_app(), "/batch").body == b"static"
    assert pyramids.take() == [span("batch", "/batch", "/batch")]


def test_a_stream_ends_the_span(pyramids: Recorder) -> None:
    def parts() -> Iterator[bytes]:
        for part in "ab":
            with default_tracer.trace(f"part {part}"):
                yield part.encode()

    config = Configurator()
    config.add_route("parts", "/parts")
    config.add_view(lambda request: Response(app_iter=parts()), route_name="parts")
    body: Any = config.make_wsgi_app()(environ("/parts"), lambda *_: lambda _data: None)
    assert next(iter(body)) == b"a"
    assert active.get() is None
    assert pyramids.take() == []
    assert list(body) == [b"b"]
    body.close()
    found = [(item["name"], item["trace"], item["parent"]) for item in pyramids.take()]
    assert found == [("pyramid.request", 1, 0), ("part a", 1, 1), ("part b", 1, 1)]


def test_streams_and_files(pyramids: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    app = shop(tmp_path)
    assert ask_wsgi(app, "/lines").body == b"ab"
    assert ask_wsgi(app, "/file").body == b"file"
    assert ask_wsgi(app, "/static/a.txt").body == b"file"
    assert ask_wsgi(app, "/static/missing.txt").status == 307  # by append_slash
    assert ask_wsgi(app, "/static/missing.txt/").status == 404
    assert pyramids.take() == [
        span("lines", "/lines", "/lines", trace=1),
        span("file", "/file", "/file", trace=2),
        span("__static/", "/static/*subpath", "/static/a.txt", trace=3),
        span("__static/", "/static/*subpath", "/static/missing.txt", 307, trace=4),
        span("__static/", "/static/*subpath", "/static/missing.txt/", 404, trace=5),
    ]


def explicit(config: Any) -> Any:
    trace_pyramid(config)
    return config.make_wsgi_app()


def included(config: Any) -> Any:
    config.include("ddmiddleware.pyramid")
    return config.make_wsgi_app()


def alike(config: Any) -> Any:
    config.include("ddmiddleware.contrib.pyramid")
    return config.make_wsgi_app()


def all_of_them(config: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    trace_pyramid(config)
    trace_pyramid(config)
    return wsgi.TraceMiddleware(alike(config))


@pytest.mark.parametrize("trace", [explicit, included, alike, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    assert ask_wsgi(trace(configured()), "/api/users/7").body == b"static"
    assert recorder.take() == [span("user", "/api/users/{number}", "/api/users/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(configured()), Configurator().make_wsgi_app()
    assert ask_wsgi(other).status == 404
    assert recorder.take() == []
    ask_wsgi(traced)
    assert recorder.take() == [span("home", "/", "/")]


def test_the_settings_of_ddtrace(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_of("pyramid")
    monkeypatch.setattr(options, "_in_code", {})
    monkeypatch.setattr(options, "service", None)
    monkeypatch.setattr(options, "distributed_tracing", True)
    config = configured()
    config.registry.settings["datadog_trace_enabled"] = "false"
    likeness.trace_pyramid(config)
    seen.clear()
    config.add_settings({"datadog_trace_enabled": True, "datadog_trace_service": "front"})
    config.add_settings({"datadog_distributed_tracing": "false"})
    likeness.trace_pyramid(config)
    ask_wsgi(config.make_wsgi_app(), "/", HTTP_TRACEPARENT=f"00-{7:032x}-{9:016x}-01")
    assert recorder.take() == [span("home", "/", "/", service="front")]
