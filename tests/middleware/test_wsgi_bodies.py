"""The bodies that WSGI applications return: they stream, close and end as they did, and the span ends with them."""

from __future__ import annotations

import gc
import io
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from waitress.server import create_server  # type: ignore[import-untyped]

from ddmiddleware.tracing import active
from ddmiddleware.wsgi import TraceMiddleware
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, environ, span


def returning(make: Callable[[], Iterable[bytes]]) -> Any:
    """Return a traced application with the body that *make* makes."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return make()

    return TraceMiddleware(app)


class Body:
    """An iterable that is not its own iterator, and counts what is done to it."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed += 1


class SizedBody(Body):
    def __len__(self) -> int:
        return len(self.parts)


def test_close_is_called_once_on_the_iterable(recorder: Recorder) -> None:
    body = Body(b"a", b"b")
    assert ask_wsgi(returning(lambda: body)).body == b"ab"
    assert body.closed == 1
    assert recorder.take() == [span("wsgi", None, "/")]


def test_validated_body_that_is_closed_early(recorder: Recorder) -> None:
    body = Body(b"a", b"b")
    served: Any = validator(returning(lambda: body))(environ(), lambda *_: lambda _data: None)
    assert next(iter(served)) == b"a"
    assert recorder.take() == []
    served.close()
    assert body.closed == 1
    assert recorder.take() == [span("wsgi", None, "/")]


@pytest.mark.parametrize("make", [Body, SizedBody])
def test_a_length_only_where_there_was_one(recorder: Recorder, make: type[Body]) -> None:
    served: Any = returning(lambda: make(b"a"))(environ(), lambda *_: None)
    assert hasattr(served, "__len__") == hasattr(make, "__len__")
    if make is SizedBody:
        assert len(served) == 1
    served.close()


def test_each_part_is_handed_on_before_the_next_is_made(recorder: Recorder) -> None:
    made = []

    def parts() -> Iterator[bytes]:
        for part in (b"a", b"b"):
            made.append(part)
            yield part

    served = iter(returning(parts)(environ(), lambda *_: None))
    assert made == []
    assert next(served) == b"a"
    assert made == [b"a"]
    assert list(served) == [b"b"]
    assert recorder.names() == ["wsgi.request"]


def test_the_span_lasts_as_long_as_the_body(recorder: Recorder) -> None:
    served = returning(lambda: Body(b"a", b"b"))(environ(), lambda *_: None)
    assert active.get() is None
    for _ in served:
        assert recorder.take() == []
        assert active.get() is None
    assert recorder.names() == ["wsgi.request"]


@pytest.mark.parametrize("steps", [0, 1])
def test_a_body_that_nobody_closes(recorder: Recorder, steps: int) -> None:
    app = returning(lambda: Body(b"a", b"b"))
    served = iter(app(environ(), lambda *_: None))
    for _ in range(steps):
        next(served)
    later = app(environ("/later"), lambda *_: None)
    later.close()
    assert recorder.take() == [span("wsgi", None, "/later")]
    del served
    gc.collect()
    assert recorder.take() == [span("wsgi", None, "/")]


def test_an_error_in_the_body(recorder: Recorder) -> None:
    def parts() -> Iterator[bytes]:
        yield b"a"
        raise MissingError("half-way")

    with pytest.raises(MissingError):
        ask_wsgi(returning(parts))
    tags = failed(MissingError("half-way"))
    assert recorder.take() == [span("wsgi", None, "/", tags=tags, error=1)]


def test_an_error_in_close(recorder: Recorder) -> None:
    class Failing(Body):
        def close(self) -> None:
            raise MissingError("shut")

    served = returning(lambda: Failing(b"a"))(environ(), lambda *_: None)
    with pytest.raises(MissingError, match="shut"):
        served.close()
    assert recorder.take() == [span("wsgi", None, "/", tags=failed(MissingError("shut")), error=1)]


def test_a_generator_is_closed_where_it_stands(recorder: Recorder) -> None:
    ended = []

    def parts() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(active.get() is not None)

    served = iter(returning(parts)(environ(), lambda *_: None))
    next(served)
    served.close()
    assert ended == [True]
    assert recorder.take() == [span("wsgi", None, "/")]


BODIES: dict[str, Callable[[], Iterable[bytes]]] = {
    "list": lambda: [b"a", b"bc"],
    "tuple": lambda: (b"a", b"bc"),
    "empty": list,
    "bytes in a set": lambda: {b"abc"},
    "generator": lambda: (part for part in (b"a", b"bc")),
    "iterator": lambda: iter([b"a", b"bc"]),
    "map": lambda: map(bytes.upper, [b"a", b"bc"]),
    "iterable": lambda: Body(b"a", b"", b"bc"),
    "sized": lambda: SizedBody(b"abc"),
    "file": lambda: io.BytesIO(b"a\nbc\n"),
    "deque": lambda: deque([b"a", b"bc"]),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_bytes_on_the_wire_are_the_same(recorder: Recorder, name: str) -> None:
    """Under waitress, which looks at length, close and type of what it gets."""
    traced = returning(BODIES[name])
    assert _wire(traced) == _wire(traced.app)
    assert recorder.take() == [span("wsgi", None, "/", tags={"http.url": "http://t/"})]


def _wire(app: Any) -> bytes:
    server = create_server(app, host="127.0.0.1", port=0, threads=1)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            server.asyncore.loop(timeout=0.02, map=server._map, count=1)
        server.task_dispatcher.shutdown()
        server.asyncore.close_all(server._map)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", server.effective_port), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        done.set()
        thread.join(10)
    return b"\r\n".join(line for line in received.split(b"\r\n") if not line.startswith(b"Date:"))
