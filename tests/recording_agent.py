"""A real HTTP server that plays the agent: it reads traces strictly and keeps every span as a dictionary.

What a lenient agent would take (unknown keys, a float duration, an index beside the table) is a problem here, and
``close()`` raises it.
"""

from __future__ import annotations

import copy
import math
import re
import socket
import socketserver
import ssl
import threading
from collections import deque
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, NamedTuple

import msgpack

WAIT_S = 15.0
_IDS = ("trace_id", "span_id", "parent_id")
_FIELDS = ("service", "name", "resource", *_IDS, "start", "duration", "error", "meta", "metrics", "type")
_FIELDS_OF_V04 = {"span_links", "span_events"}
_UNSIGNED_64 = range(1 << 64)
_SIGNED_64 = range(1 << 63)

Spans = list[dict[str, Any]]


class Request(NamedTuple):
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


def decode(path: str, body: bytes) -> list[Spans]:
    """Return the chunks of a v0.4 or v0.5 payload; raise AssertionError for whatever the protocol does not allow."""
    payload = msgpack.unpackb(body, strict_map_key=False)
    assert isinstance(payload, list), "the payload is no array"
    chunks = _v05(payload) if path == "/v0.5/traces" else payload
    for chunk in chunks:
        assert isinstance(chunk, list), "a chunk is no array"
        assert chunk, "a chunk is empty"
        for span in chunk:
            _check(span)
        assert len({span["trace_id"] for span in chunk}) == 1, "a chunk holds two traces"
        assert "_sampling_priority_v1" in chunk[0]["metrics"], "the first span has no sampling priority"
    return chunks


def _v05(payload: list[Any]) -> list[Spans]:
    assert len(payload) == 2, "a v0.5 payload is not [strings, chunks]"
    strings, chunks = payload
    assert strings[0] == "", "the string table does not begin with an empty string"
    assert all(type(string) is str for string in strings), "the string table holds something else"
    assert len(set(strings)) == len(strings), "the string table repeats itself"

    def text(index: object) -> str:
        assert type(index) is int, f"{index!r} is no index"
        assert 0 <= index < len(strings), f"index {index} is beside the table"
        return str(strings[index])

    def named(span: list[Any]) -> dict[str, Any]:
        assert len(span) == 12, f"a span has {len(span)} fields"
        found = dict(zip(_FIELDS, span, strict=True))
        for field in ("service", "name", "resource", "type"):
            found[field] = text(found[field])
        found["meta"] = {text(key): text(value) for key, value in found["meta"].items()}
        found["metrics"] = {text(key): value for key, value in found["metrics"].items()}
        return found

    return [[named(span) for span in chunk] for chunk in chunks]


def _check(span: dict[str, Any]) -> None:
    assert set(span) - _FIELDS_OF_V04 == set(_FIELDS), f"the fields are {sorted(span)}"
    assert all(span[field] for field in _FIELDS_OF_V04 & set(span)), "links or events are an empty list"
    for field in ("service", "name", "resource", "type"):
        assert type(span[field]) is str, f"{field} is {span[field]!r}"
    for field in _IDS:
        assert type(span[field]) is int, f"{field} is {span[field]!r}"
        assert span[field] in _UNSIGNED_64, f"{field} is {span[field]!r}"
    assert span["trace_id"], "trace_id is zero"
    assert span["span_id"], "span_id is zero"
    for field in ("start", "duration"):
        assert type(span[field]) is int, f"{field} is {span[field]!r}"
        assert span[field] in _SIGNED_64, f"{field} is {span[field]!r}"
    assert type(span["error"]) is int, f"error is {span['error']!r}"
    assert span["error"] in (0, 1), f"error is {span['error']!r}"
    assert all(type(key) is str and type(value) is str for key, value in span["meta"].items()), "a tag is no text"
    for key, value in span["metrics"].items():
        assert type(key) is str, f"{key!r} is no text"
        assert type(value) in (int, float), f"metric {key} is {value!r}"
        assert math.isfinite(value), f"metric {key} is {value!r}"


def plain(spans: Iterable[dict[str, Any]]) -> Spans:
    """Return *spans* in the order in which they started, with ids counting from 1 and without what differs each time.

    Left out, and checked: start, duration, ``_dd.p.tid``, ``runtime-id`` and ``process_id``.
    """
    ordered = sorted(copy.deepcopy(list(spans)), key=lambda span: span["start"])
    ids = {0: 0}
    traces: dict[int, int] = {}
    for span in ordered:
        ids[span["span_id"]] = len(ids)
        traces.setdefault(span["trace_id"], len(traces) + 1)
    for span in ordered:
        span["span_id"] = ids[span["span_id"]]
        span["parent_id"] = ids.get(span["parent_id"], span["parent_id"])
        span["trace_id"] = traces[span["trace_id"]]
        assert span.pop("start") > 1_600_000_000_000_000_000
        span.pop("duration")
        assert re.fullmatch("[0-9a-f]{16}", span["meta"].pop("_dd.p.tid", "0" * 16))
        assert re.fullmatch("[0-9a-f]{32}", span["meta"].pop("runtime-id", "0" * 32))
        assert span["metrics"].pop("process_id", 1) > 0
    return ordered


class RecordingAgent:
    """Listens on a free port of 127.0.0.1, or on a Unix socket at *path*, with TLS where *tls* is given."""

    answer = b'{"rate_by_service":{}}'

    def __init__(self, path: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.info: bytes | None = None  # what GET /info answers; without it there is no such page
        self.asked = 0  # how often
        self.requests: list[Request] = []
        self.chunks: list[Spans] = []
        self.answers: deque[Any] = deque()  # status, body, and headers if there are any
        self.problems: list[AssertionError] = []
        self._changed = threading.Condition()
        self._connections: list[socket.socket] = []
        self._server = _Server(self, path, tls)
        if path is None:
            self.port = int(self._server.server_address[1])
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        else:
            self.url = f"unix://{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def spans(self) -> Spans:
        """Every span received so far."""
        return [span for chunk in list(self.chunks) for span in chunk]

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return len(self._connections)

    def wait_for_spans(self, count: int, timeout: float = WAIT_S) -> Spans:
        """Return the spans once there are at least *count*."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, timeout), f"{len(self.spans)} of {count}"
        return self.spans

    def wait_for_requests(self, count: int, timeout: float = WAIT_S) -> None:
        """Wait until *count* requests came in, whatever they were answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, timeout), f"{len(self.requests)} came"

    def tell(self, path: str) -> tuple[int, bytes]:
        """Answer a GET."""
        with self._changed:
            self.asked += 1
            self._changed.notify_all()
        return (404, b"") if self.info is None or path != "/info" else (200, self.info)

    def wait_until_asked(self) -> None:
        """Wait for a GET."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked, WAIT_S), "nobody asked"

    def receive(self, request: Request) -> tuple[Any, ...]:
        """Take one request; return status, body and headers of the answer, from ``answers`` while there are any."""
        with self._changed:
            self.requests.append(request)
            status, answer, *headers = self.answers.popleft() if self.answers else (200, self.answer)
            if status == 200:
                try:
                    self.chunks += self._read(request)
                except AssertionError as problem:
                    self.problems.append(problem)
                    status = 400
            self._changed.notify_all()
        return status, answer, *headers

    def _read(self, request: Request) -> list[Spans]:
        headers = request.headers
        assert request.path in ("/v0.4/traces", "/v0.5/traces"), request.path
        assert headers["content-type"] == "application/msgpack", headers
        assert headers["datadog-meta-lang"] == "python", headers
        assert headers["datadog-meta-tracer-version"], headers
        chunks = decode(request.path, request.body)
        assert headers["x-datadog-trace-count"] == str(len(chunks)), headers
        return chunks

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to end it with the server."""
        self._connections.append(connection)

    def hang_up(self) -> None:
        """Close all connections; new ones are still taken."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Stop, and raise the first thing that was wrong with what came in."""
        self._server.shutdown()
        self._thread.join()
        self.hang_up()
        self._server.server_close()
        if self.problems:
            raise self.problems[0]

    def __enter__(self) -> RecordingAgent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, agent: RecordingAgent, path: str | None, tls: ssl.SSLContext | None) -> None:
        self.agent = agent
        self.tls = tls
        self.address_family = socket.AF_UNIX if path else socket.AF_INET
        super().__init__(path or ("127.0.0.1", 0), _Handler)  # type: ignore[arg-type]

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True)
        self.agent.opened(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about connections that break: that is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.agent.connections

    def do_PUT(self) -> None:
        """Take a payload."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._say(*self.server.agent.receive(Request(self.path, headers, body, self.number)))

    do_POST = do_PUT

    def do_GET(self) -> None:
        """Say what the agent can do."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._say(*self.server.agent.tell(self.path))

    def _say(self, status: int, answer: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Write nothing to stderr."""
