"""Django: the span of a request covers its body, in whatever way that is sent."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.test import AsyncClient, Client
from waitress.buffers import ReadOnlyFileBasedBuffer

from ddmiddleware import patch, tracer
from ddmiddleware.tracing import active
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import asgi_app, request, wsgi_app
from tests.middleware.requests_by_hand import EMPTY, ask_wsgi, asked, environ, run, scope
from tests.middleware.requests_by_hand import Client as AsgiClient


def child(name: str) -> dict[str, Any]:
    """Return the span of one part of a body."""
    made = {"trace": 1, "parent": 1, "service": "shop", "name": name, "resource": name, "type": None, "error": 0}
    return {**made, "tags": {}}


def test_a_stream(recorder: Recorder) -> None:
    patch(django=True)
    body = wsgi_app()(environ("/lines"), lambda *_: None)
    parts = iter(body)
    assert next(parts) == b"a"
    assert active.get() is None
    assert recorder.take() == []
    assert list(parts) == [b"b"]
    assert recorder.take() == [request("/lines", "/lines", 200, "lines"), child("a"), child("b")]
    body.close()
    assert recorder.take() == []


def test_a_stream_that_is_closed_early(recorder: Recorder) -> None:
    patch(django=True)
    body = wsgi_app()(environ("/lines"), lambda *_: None)
    assert next(iter(body)) == b"a"
    body.close()
    assert [span["name"] for span in recorder.take()] == ["django.request", "a"]


def test_an_asynchronous_stream(recorder: Recorder) -> None:
    patch(django=True)

    async def ask() -> bytes:
        client = AsgiClient(EMPTY)
        await asgi_app()(scope("/async-lines"), client.receive, client.send)
        return client.answer.body

    assert run(ask) == b"ab"
    assert recorder.take() == [request("/async-lines", "/async-lines", 200, "async_lines"), child("a"), child("b")]


def test_a_file_stays_one_for_the_server(recorder: Recorder) -> None:
    """The server looks at its type, and closes it; that ends the request."""
    patch(django=True)
    body = wsgi_app()(environ("/file", **{"wsgi.file_wrapper": ReadOnlyFileBasedBuffer}), lambda *_: None)
    assert type(body) is ReadOnlyFileBasedBuffer
    assert recorder.take() == []
    body.close()
    assert recorder.take() == [request("/file", "/file", 200, "file")]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("path", ["/file", "/memory"])
def test_a_file_without_such_a_server(recorder: Recorder, path: str) -> None:
    expected = ask_wsgi(wsgi_app(), path)
    patch(django=True)
    assert ask_wsgi(wsgi_app(), path) == expected
    assert asked(asgi_app(), path) == expected
    view = path[1:]
    assert recorder.take() == [request(path, path, 200, view, trace=number) for number in (1, 2)]


def test_the_test_client(recorder: Recorder) -> None:
    """It calls no server's handler, and reads the body itself."""
    patch(django=True)
    client = Client()
    assert client.get("/users/7").content == b"shown"
    assert client.get("/nowhere").status_code == 404
    answer = client.get("/lines")
    assert [span["resource"] for span in recorder.take()] == ["GET /users/<int:pk>", "GET 404"]
    with tracer.trace("test"):
        assert answer.getvalue() == b"ab"
    assert "GET /lines" in [span["resource"] for span in recorder.take()]


def test_the_asynchronous_test_client(recorder: Recorder) -> None:
    patch(django=True)

    async def ask() -> bytes:
        async with ThreadSensitiveContext():  # else asgiref's thread would stay
            answer = await AsyncClient().get("/later/x")
        content: bytes = answer.content
        return content

    assert asyncio.run(ask()).startswith(b"x")
    assert [(span["name"], span["resource"]) for span in recorder.take()] == [
        ("django.request", "GET /later/<str:name>"),
        ("outer", "outer"),
        ("inner", "inner"),
    ]


def test_a_body_that_is_sent_in(recorder: Recorder) -> None:
    patch(django=True)
    sent = {
        "wsgi.input": io.BytesIO(b"a=1"),
        "CONTENT_LENGTH": "3",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
    }
    assert ask_wsgi(wsgi_app(), "/post-only", "POST", **sent).status == 200
    assert recorder.take() == [request("/post-only", "/post-only", 200, "post_only", method="POST")]
