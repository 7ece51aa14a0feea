"""Flask's errors and streams: what is an error, what stands on the span, and when that ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.exceptions import ServiceUnavailable

from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import Answer, MissingError, ask_wsgi, environ, span

ERROR = MissingError("no such cup")


def shop() -> flask.Flask:
    app = flask.Flask("shop")
    app.logger.disabled = True

    @app.get("/<what>")
    def view(what: str) -> Any:
        if what == "broken":
            raise ERROR
        if what == "forbidden":
            flask.abort(403)
        if what == "unavailable":
            raise ServiceUnavailable("later")
        return "failed on purpose", 503

    return app


def tags(error: BaseException | None = None) -> dict[str, Any]:
    return {"flask.endpoint": "view", **(failed(error) if error else {})}


def test_an_unhandled_exception(patched: Recorder) -> None:
    assert ask_wsgi(shop(), "/broken").status == 500
    assert patched.take() == [span("flask", "/<what>", "/broken", 500, tags=tags(ERROR))]


def test_an_exception_that_propagates(patched: Recorder) -> None:
    app = shop()
    app.testing = True
    with pytest.raises(MissingError) as caught:
        ask_wsgi(app, "/broken")
    assert caught.value is ERROR
    assert patched.take() == [span("flask", "/<what>", "/broken", 500, tags=tags(ERROR))]


def test_an_abort_of_the_clients_making_is_no_error(patched: Recorder) -> None:
    assert ask_wsgi(shop(), "/forbidden").status == 403
    assert patched.take() == [span("flask", "/<what>", "/forbidden", 403, tags=tags())]


def test_an_http_exception_of_ours_is_one(patched: Recorder) -> None:
    assert ask_wsgi(shop(), "/unavailable").status == 503
    error = ServiceUnavailable("later")
    assert patched.take() == [span("flask", "/<what>", "/unavailable", 503, tags=tags(error))]


def test_an_error_status_without_an_exception(patched: Recorder) -> None:
    assert ask_wsgi(shop(), "/other").status == 503
    assert patched.take() == [span("flask", "/<what>", "/other", 503, tags=tags())]


@pytest.mark.parametrize("status", [200, 500])
def test_an_error_handler_decides(patched: Recorder, status: int) -> None:
    app = shop()
    app.register_error_handler(Exception, lambda error: ("handled", status))
    assert ask_wsgi(app, "/broken") == Answer(
        status, {"Content-Type": "text/html; charset=utf-8", "Content-Length": "7"}, b"handled"
    )
    error = ERROR if status == 500 else None
    assert patched.take() == [span("flask", "/<what>", "/broken", status, tags=tags(error))]


def test_an_error_handler_that_fails_itself(patched: Recorder) -> None:
    app = shop()
    second = MissingError("the handler")

    def fail(_error: Exception) -> str:
        raise second

    app.register_error_handler(MissingError, fail)
    assert ask_wsgi(app, "/broken").status == 500
    assert patched.take() == [span("flask", "/<what>", "/broken", 500, tags=tags(second))]


def test_middleware_below_that_answers_an_exception(patched: Recorder) -> None:
    app = shop()
    app.testing = True
    inner = app.wsgi_app

    def sorry(environ: Any, start_response: Any) -> Any:
        try:
            return inner(environ, start_response)
        except MissingError:
            start_response("502 Bad Gateway", [])
            return [b"sorry"]

    app.wsgi_app = sorry  # type: ignore[method-assign]
    assert ask_wsgi(app, "/broken").body == b"sorry"
    assert patched.take() == [span("flask", "/<what>", "/broken", 502, tags=tags(ERROR))]


def test_a_hostile_exception(patched: Recorder) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    app = shop()

    @app.get("/hostile")
    def hostile() -> str:
        raise Hostile

    assert ask_wsgi(app, "/hostile").status == 500
    assert patched.take()[0]["tags"]["error.message"] == "<Hostile>"


def test_streaming_with_context(patched: Recorder) -> None:
    app = flask.Flask("shop")

    @app.get("/lines")
    def lines() -> flask.Response:
        def parts() -> Iterator[str]:
            for part in "ab":
                with default_tracer.trace(f"part {part}"):
                    yield part + flask.request.path

        return flask.Response(flask.stream_with_context(parts()))

    served = iter(app(environ("/lines"), lambda *_: lambda _data: None))
    assert next(served) == b"a/lines"
    assert active.get() is None
    assert patched.take() == []
    assert list(served) == [b"b/lines"]
    served.close()  # type: ignore[attr-defined]
    found = [(item["name"], item["trace"], item["parent"]) for item in patched.take()]
    assert found == [("flask.request", 1, 0), ("part a", 1, 1), ("part b", 1, 1)]


def test_what_runs_after_the_body_is_linked(patched: Recorder) -> None:
    app = flask.Flask("shop")

    @app.get("/")
    def home() -> flask.Response:
        response = flask.Response("hello")
        response.call_on_close(lambda: default_tracer.trace("after").finish())
        return response

    ask_wsgi(app)
    found = [(item["name"], item["trace"], item["parent"], item.get("links")) for item in patched.take()]
    assert found == [("flask.request", 1, 0, None), ("after", 2, 0, [1])]


def test_a_sent_file(patched: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"file")
    app = flask.Flask("shop", static_folder=tmp_path, static_url_path="/static")
    answer = ask_wsgi(app, "/static/a.txt")
    assert (answer.status, answer.body) == (200, b"file")
    route, path = "/static/<path:filename>", "/static/a.txt"
    assert patched.take() == [span("flask", route, path, tags={"flask.endpoint": "static"})]
