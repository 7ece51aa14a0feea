"""Any WSGI application: the span of its request, and what the server still sees."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from ddmiddleware import asgi
from ddmiddleware.tracing import default_tracer
from ddmiddleware.wsgi import TraceMiddleware
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import Answer, MissingError, ask_wsgi, asked, environ, span


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_one_request(recorder: Recorder) -> None:
    answer = ask_wsgi(TraceMiddleware(hello), "/café".encode().decode("latin-1"), HTTP_USER_AGENT="curl/8")
    assert answer == Answer(200, {"Content-Type": "text/plain"}, b"hello")
    assert recorder.take() == [span("wsgi", None, "/café", tags={"http.useragent": "curl/8"})]


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"SCRIPT_NAME": "/shop"}, "http://testserver/shop/x"),
        ({"HTTP_HOST": "example.org:8080"}, "http://example.org:8080/x"),
        ({"HTTP_HOST": "", "SERVER_NAME": "::1", "SERVER_PORT": "8000"}, "http://::1:8000/x"),
        ({"wsgi.url_scheme": "https"}, "https://testserver/x"),
        ({"QUERY_STRING": "token=secret"}, "http://testserver/x"),
    ],
)
def test_url(recorder: Recorder, changes: dict[str, str], url: str) -> None:
    ask_wsgi(TraceMiddleware(hello), "/x", **changes)
    assert recorder.take()[0]["tags"]["http.url"] == url


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PATCH", "PROPFIND", "get"])
def test_methods_nobody_defined_are_one_resource(recorder: Recorder, method: str) -> None:
    ask_wsgi(TraceMiddleware(hello), method=method)
    expected = method if method in ("GET", "HEAD", "OPTIONS", "PATCH") else "_OTHER"
    assert recorder.take() == [span("wsgi", None, "/", method=expected)]


def test_the_callers_trace_goes_on(recorder: Recorder) -> None:
    seen = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found = default_tracer.current_span()
        assert found
        seen.append((found.trace_id, found.parent_id))
        return hello(environ, start_response)

    ask_wsgi(TraceMiddleware(app), HTTP_TRACEPARENT=f"00-{7:032x}-{9:016x}-01")
    ask_wsgi(TraceMiddleware(app), HTTP_X_DATADOG_TRACE_ID="5", HTTP_X_DATADOG_PARENT_ID="6")
    ask_wsgi(TraceMiddleware(app))
    assert seen[:2] == [(7, 9), (5, 6)]
    assert seen[2][1] is None
    assert len(recorder.take()) == 3


def test_both_sides_see_valid_wsgi(recorder: Recorder) -> None:
    checked = validator(TraceMiddleware(validator(hello)))
    assert ask_wsgi(checked).body == b"hello"
    assert recorder.names() == ["wsgi.request"]


def test_write_callable(recorder: Recorder) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"written ")
        return [b"returned"]

    assert ask_wsgi(TraceMiddleware(app)).body == b"written returned"
    assert recorder.take() == [span("wsgi", None, "/")]


def test_exc_info_is_the_error(recorder: Recorder) -> None:
    error = MissingError("missing")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise error
        except MissingError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    assert ask_wsgi(TraceMiddleware(app)).status == 500
    assert recorder.take() == [span("wsgi", None, "/", 500, tags=failed(error))]


def test_a_second_status_that_comes_too_late_was_never_sent(recorder: Recorder) -> None:
    """PEP 3333: where headers went out, the server raises what it is given."""
    error = MissingError("missing")

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        try:
            raise error
        except MissingError:
            start_response("500 Oops", [], sys.exc_info())

    handler = SimpleHandler(io.BytesIO(), out := io.BytesIO(), io.StringIO(), environ())
    handler.run(TraceMiddleware(app))
    assert out.getvalue().startswith(b"HTTP/1.0 200 OK")
    assert recorder.take() == [{**span("wsgi", None, "/", 200, tags=failed(error)), "error": 1}]


def test_an_exception_that_leaves_is_the_same_object(recorder: Recorder) -> None:
    error = MissingError("missing")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise error

    with pytest.raises(MissingError) as caught:
        ask_wsgi(TraceMiddleware(app))
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert recorder.take() == [span("wsgi", None, "/", 500, tags=failed(error))]


def test_the_file_wrapper_stays_one(recorder: Recorder, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    sent = environ() | {"wsgi.file_wrapper": FileWrapper}
    body: Any = TraceMiddleware(app)(sent, lambda *_: None)
    assert type(body) is FileWrapper
    assert recorder.take() == []
    body.close()
    assert body.filelike.closed
    assert recorder.names() == ["wsgi.request"]


def test_a_list_is_returned_as_it_is(recorder: Recorder) -> None:
    whole = [b"a", b"b"]

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return whole

    assert TraceMiddleware(app)(environ(), lambda *_: None) is whole
    assert recorder.names() == ["wsgi.request"]


def test_nested_middleware_makes_one_span(recorder: Recorder) -> None:
    assert ask_wsgi(TraceMiddleware(TraceMiddleware(TraceMiddleware(hello), "bottle"))).body == b"hello"
    assert recorder.take() == [span("bottle", None, "/")]


def test_an_asgi_application_that_runs_it_by_a2wsgi(recorder: Recorder) -> None:
    """Which shows the scope in the environ."""

    async def bridge(scope: Any, receive: Any, send: Any) -> None:
        answer = ask_wsgi(TraceMiddleware(hello, "bottle"), **{"asgi.scope": scope})
        await send({"type": "http.response.start", "status": answer.status})
        await send({"type": "http.response.body", "body": answer.body})

    assert asked(asgi.TraceMiddleware(bridge)).body == b"hello"
    assert recorder.take() == [span("bottle", None, "/")]


def test_what_the_request_starts_is_its_child(recorder: Recorder) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        default_tracer.trace("before").finish()
        start_response("200 OK", [])
        with default_tracer.trace("around"):
            yield b"a"
            default_tracer.trace("inside").finish()
            yield b"b"
        default_tracer.trace("after").finish()

    with default_tracer.trace("server"):
        assert ask_wsgi(TraceMiddleware(app)).body == b"ab"
    ask_wsgi(TraceMiddleware(hello))
    shown = [(found["name"], found["trace"], found["parent"]) for found in recorder.take()]
    assert shown == [
        ("server", 1, 0),
        ("wsgi.request", 1, 1),
        ("before", 1, 2),
        ("around", 1, 2),
        ("inside", 1, 4),
        ("after", 1, 2),
        ("wsgi.request", 2, 0),
    ]


def test_a_switched_off_tracer_stands_aside(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_tracer, "enabled", False)
    seen = environ()
    body = TraceMiddleware(hello)(seen, lambda *_: None)
    assert body == [b"hello"]
    assert seen.keys() == environ().keys()
    assert recorder.take() == []


def test_a_request_leaves_no_cycle(recorder: Recorder) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"

    ask_wsgi(TraceMiddleware(app))
    recorder.take()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            ask_wsgi(TraceMiddleware(app))
        recorder.take()
        assert gc.collect() == 0
    finally:
        gc.enable()
