"""Falcon: one span per request, named after the URI template, in WSGI and ASGI applications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
import pytest

import ddmiddleware
from ddmiddleware import asgi, wsgi
from ddmiddleware.contrib.falcon import TraceMiddleware as Component
from ddmiddleware.falcon import ASGITraceMiddleware, TraceMiddleware
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.falcon_shops import ERROR, asgi_shop, seen, wsgi_shop
from tests.middleware.requests_by_hand import EMPTY, Answer, Client, MissingError, ask_wsgi, asked, environ, run, scope
from tests.middleware.requests_by_hand import span as request_span


@pytest.fixture
def falcons(recorder: Recorder) -> Recorder:
    """Finished spans, with Falcon patched."""
    ddmiddleware.patch(falcon=True)
    seen.clear()
    return recorder


def span(route: str | None, path: str, status: int | None = 200, **changes: Any) -> dict[str, Any]:
    return request_span("falcon", route, path, status, **changes)


SHOPS = pytest.mark.parametrize(("shop", "ask"), [(wsgi_shop, ask_wsgi), (asgi_shop, asked)], ids=["wsgi", "asgi"])
Shop = Callable[..., Any]
Ask = Callable[..., Answer]


@SHOPS
@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/", "/", 200),
        ("/items/cup", "/items/{what}", 200),
        ("/users/7", "/users/{number:int}", 200),
        ("/proxy/any/thing", "/proxy/{path}", 200),
        ("/items/moved", "/items/{what}", 302),
        ("/items/forbidden", "/items/{what}", 403),
    ],
)
def test_routes(falcons: Recorder, shop: Shop, ask: Ask, path: str, route: str, status: int) -> None:
    assert ask(shop(), path).status == status
    assert falcons.take() == [span(route, path, status)]
    assert set(seen) == {f"GET {route}"}  # in process_resource and in the responder already


@SHOPS
@pytest.mark.parametrize(
    ("path", "method", "status", "route"),
    [
        ("/nowhere/12345", "GET", 404, None),
        ("/users/ada", "GET", 404, None),
        ("/items/cup/", "GET", 404, None),  # Falcon redirects no slashes
        ("/items/cup", "DELETE", 405, "/items/{what}"),
        ("/items/cup", "HEAD", 200, "/items/{what}"),
        ("/items/cup", "OPTIONS", 200, "/items/{what}"),
    ],
)
def test_no_raw_path_is_a_resource(
    falcons: Recorder, shop: Shop, ask: Ask, path: str, method: str, status: int, route: str | None
) -> None:
    assert ask(shop(), path, method).status == status
    assert falcons.take() == [span(route, path, status, method=method)]


def test_a_slash_that_is_stripped(falcons: Recorder) -> None:
    app = wsgi_shop()
    app.req_options.strip_url_path_trailing_slash = True
    assert ask_wsgi(app, "/users/7/").status == 200
    assert falcons.take() == [span("/users/{number:int}", "/users/7/")]


def test_mounts(falcons: Recorder) -> None:
    ask_wsgi(wsgi_shop(), "/users/7", SCRIPT_NAME="/site")
    asked(asgi_shop(), "/users/7", root_path="/site")
    route = "/site/users/{number:int}"
    assert falcons.take() == [span(route, "/site/users/7", trace=number) for number in (1, 2)]


@SHOPS
def test_an_unhandled_exception(
    falcons: Recorder, shop: Shop, ask: Ask, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(shop(), "/items/broken").status == 500
    assert falcons.take() == [span("/items/{what}", "/items/broken", 500, tags=failed(ERROR))]


@SHOPS
def test_an_http_error_of_ours(falcons: Recorder, shop: Shop, ask: Ask) -> None:
    assert ask(shop(), "/items/unavailable").status == 503
    error = falcon.HTTPServiceUnavailable()
    found = falcons.take()
    assert found[0]["tags"]["error.type"] == "falcon.errors.HTTPServiceUnavailable"
    tags = {**failed(error), "error.stack": found[0]["tags"]["error.stack"]}
    assert found == [span("/items/{what}", "/items/unavailable", 503, tags=tags)]


@pytest.mark.parametrize("status", [200, 502])
def test_an_error_handler_decides(falcons: Recorder, status: int) -> None:
    def handle(req: Any, resp: Any, error: BaseException, params: Any) -> None:
        resp.status = status

    app = wsgi_shop()
    app.add_error_handler(MissingError, handle)
    assert ask_wsgi(app, "/items/broken").status == status
    tags = failed(ERROR) if status == 502 else {}
    assert falcons.take() == [span("/items/{what}", "/items/broken", status, tags=tags)]


def test_an_error_handler_that_raises(falcons: Recorder) -> None:
    def handle(req: Any, resp: Any, error: BaseException, params: Any) -> None:
        raise error

    app = wsgi_shop()
    app.add_error_handler(Exception, handle)
    with pytest.raises(MissingError) as caught:
        ask_wsgi(app, "/items/broken")
    assert caught.value is ERROR
    assert falcons.take() == [span("/items/{what}", "/items/broken", 500, tags=failed(ERROR))]


def test_a_stream_ends_the_span(falcons: Recorder) -> None:
    class Streaming:
        def on_get(self, req: Any, resp: Any) -> None:
            def parts() -> Iterator[bytes]:
                for part in "ab":
                    with default_tracer.trace(f"part {part}"):
                        yield part.encode()

            resp.stream = parts()

    app: falcon.App[Any, Any] = falcon.App()
    app.add_route("/parts", Streaming())
    body: Any = app(environ("/parts"), lambda *_: lambda _data: None)
    assert next(iter(body)) == b"a"
    assert active.get() is None
    assert falcons.take() == []
    assert list(body) == [b"b"]
    body.close()
    found = [(item["name"], item["trace"], item["parent"]) for item in falcons.take()]
    assert found == [("falcon.request", 1, 0), ("part a", 1, 1), ("part b", 1, 1)]


@SHOPS
def test_streams_and_files(falcons: Recorder, shop: Shop, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    app = shop(tmp_path)
    assert ask(app, "/lines").body == b"ab"
    assert ask(app, "/static/a.txt").body == b"file"
    assert ask(app, "/static/missing.txt").status == 404
    assert falcons.take() == [
        span("/lines", "/lines", trace=1),
        span("/static/{path}", "/static/a.txt", trace=2),
        span("/static/{path}", "/static/missing.txt", 404, trace=3),
    ]


def test_a_file_wrapper(falcons: Recorder) -> None:
    class Wrapper:
        def __init__(self, file: Any, size: int) -> None:
            self.file = file
            self.close = file.close

        def __iter__(self) -> Iterator[bytes]:
            return iter([self.file.read()])

    found = wsgi_shop()({**environ("/file"), "wsgi.file_wrapper": Wrapper}, lambda *_: lambda _data: None)
    assert type(found) is Wrapper
    assert falcons.take() == []
    found.close()
    assert falcons.take() == [span("/file", "/file")]


def test_a_websocket(falcons: Recorder) -> None:
    client = Client({"type": "websocket.connect"}, {"type": "websocket.disconnect"})

    async def main() -> None:
        given = scope("/items/cup", type="websocket", scheme="ws", subprotocols=[])
        del given["method"]
        await asgi_shop()(given, client.receive, client.send)

    run(main)
    url = {"http.url": "ws://testserver/items/cup"}
    handshake, end = falcons.take()
    assert handshake == span("/items/{what}", "/items/cup", 101, tags=url)
    assert (end["name"], end["resource"]) == ("websocket.close", "websocket /items/{what}")


def explicit(app: Any) -> Any:
    return ASGITraceMiddleware(app) if isinstance(app, falcon.asgi.App) else TraceMiddleware(app)


def component(app: Any) -> Any:
    app.add_middleware(Component())
    return app


def all_of_them(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    component(app)
    if isinstance(app, falcon.asgi.App):
        return asgi.TraceMiddleware(ASGITraceMiddleware(ASGITraceMiddleware(app)))
    return wsgi.TraceMiddleware(TraceMiddleware(TraceMiddleware(app)))


@SHOPS
@pytest.mark.parametrize("trace", [explicit, component, all_of_them])
def test_one_span_however_it_is_traced(recorder: Recorder, shop: Shop, ask: Ask, trace: Shop) -> None:
    assert ask(trace(shop()), "/users/7").body == b"7"
    assert recorder.take() == [span("/users/{number:int}", "/users/7")]


def test_two_applications_of_which_one_is_traced(recorder: Recorder) -> None:
    traced, other = explicit(wsgi_shop()), falcon.App()
    assert ask_wsgi(other).status == 404
    assert recorder.take() == []
    ask_wsgi(traced)
    assert recorder.take() == [span("/", "/")]


def test_it_continues_the_trace(falcons: Recorder) -> None:
    parent = f"00-{7:032x}-{9:016x}-01"
    ask_wsgi(wsgi_shop(), "/", HTTP_TRACEPARENT=parent)

    async def main() -> None:
        client = Client(EMPTY)
        headers = [(b"host", b"testserver"), (b"traceparent", parent.encode())]
        await asgi_shop()(scope(headers=headers), client.receive, client.send)

    before = [root.trace_id for root in falcons]
    run(main)
    assert [root.trace_id for root in falcons] == [*before, *before] == [7, 7]
