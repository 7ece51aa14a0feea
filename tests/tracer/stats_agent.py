"""A real HTTP server that takes traces and statistics, and says what it is at ``/info``."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

import msgpack
from ddsketch.pb.ddsketch_pb2 import DDSketch

from tests.recording_agent import WAIT_S, Spans, decode

STATS = "/v0.6/stats"
TOP = {
    *("Hostname", "Env", "Version", "Stats", "Lang", "TracerVersion", "RuntimeID", "Sequence", "AgentAggregation"),
    *("Service", "ContainerID", "Tags"),
}


class Request(NamedTuple):
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class StatsAgent:
    """Listens on a free port of 127.0.0.1; *info* is what it answers at ``/info``."""

    def __init__(self, **info: Any) -> None:
        self.info: dict[str, Any] = {"endpoints": ["/v0.5/traces", STATS], "client_drop_p0s": False, **info}
        self.requests: list[Request] = []
        self.answers: deque[int] = deque()  # statuses of the next answers to statistics
        self._asked = 0
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def receive(self, request: Request) -> int:
        """Take one request; return the status of the answer."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return self.answers.popleft() if request.path == STATS and self.answers else 200

    def tell(self) -> bytes:
        """Return what ``/info`` says."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
        return json.dumps(self.info).encode()

    def wait_until_asked(self) -> None:
        """Wait for somebody to read ``/info``."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._asked, WAIT_S)

    def wait_for(self, path: str, count: int = 1) -> None:
        """Wait until *count* requests came in at *path*."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.at(path)) >= count, WAIT_S), self.requests

    def at(self, path: str) -> list[Request]:
        """Return what came in at *path*."""
        return [request for request in self.requests if request.path == path]

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The decoded statistics."""
        found = [msgpack.unpackb(request.body) for request in self.at(STATS)]
        assert all(set(payload) == TOP for payload in found)
        return found

    @property
    def groups(self) -> list[dict[str, Any]]:
        """All groups, with the counts of their sketches in place of the sketches."""
        found = [group for payload in self.payloads for bucket in payload["Stats"] for group in bucket["Stats"]]
        return [group | {name: _count(group[name]) for name in ("OkSummary", "ErrorSummary")} for group in found]

    @property
    def spans(self) -> Spans:
        """Every span received so far."""
        traces = self.at("/v0.5/traces")
        return [span for request in traces for chunk in decode(request.path, request.body) for span in chunk]

    def __enter__(self) -> StatsAgent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _count(sketch: bytes) -> float:
    message = DDSketch.FromString(sketch)
    return float(message.zeroCount + sum(message.positiveValues.contiguousBinCounts))


def _handler(agent: StatsAgent) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(agent.receive(Request(self.path, headers, body)), b"{}")

        do_POST = do_PUT

        def do_GET(self) -> None:
            self._answer(200, agent.tell())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Write nothing to stderr."""

    return Handler
