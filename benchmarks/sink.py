"""The other end of the wire: `python -m benchmarks.sink count|hang` prints its port and serves until its input ends.

`count` answers as an agent and as an OTLP collector do, keeps the bodies, and decodes them when asked at `COUNTED`, so
that decoding never competes with the peer being measured. `hang` accepts connections and never says a word.
"""

import gzip
import json
import socket
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.workload import COUNTED, TAG_PREFIX

_INFO = {
    "version": "7.60.0",
    "endpoints": [
        "/v0.4/traces",
        "/v0.5/traces",
        "/v0.6/stats",
        "/v0.7/config",
        "/telemetry/proxy/",
        "/debugger/v1/input",
        "/debugger/v1/diagnostics",
        "/debugger/v2/input",
    ],
    "client_drop_p0s": False,
}


class Tally:
    """Spans and tags counted so far, and the bodies not decoded yet."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.names: Counter[str] = Counter()
        self.spans = self.tags = self.payloads = self.bytes = 0

    def count(self) -> dict[str, Any]:
        bodies, self.bodies = self.bodies, []
        for path, body in bodies:
            self.payloads += 1
            self.bytes += len(body)
            for name, keys in _spans(path, body):
                self.spans += 1
                self.names[name] += 1
                self.tags += sum(key.startswith(TAG_PREFIX) for key in keys)
        return {name: getattr(self, name) for name in ("spans", "tags", "payloads", "bytes", "names")}


def _spans(path: str, body: bytes) -> list[tuple[str, list[str]]]:
    """Name and tag keys of each span: Datadog agent v0.4 and v0.5 msgpack, OTLP protobuf."""
    if path == "/v1/traces":
        request = ExportTraceServiceRequest.FromString(body)
        return [
            (span.name, [attribute.key for attribute in span.attributes])
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    document = msgpack.unpackb(body, strict_map_key=False)
    if path == "/v0.5/traces":
        strings, traces = document
        return [(strings[span[1]], [strings[key] for key in span[9]]) for trace in traces for span in trace]
    return [(span["name"], list(span.get("meta") or ())) for trace in document for span in trace]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    tally = Tally()

    def do_GET(self) -> None:
        if self.path == COUNTED:
            self._answer(json.dumps(self.tally.count()).encode())
        else:
            self._answer(json.dumps(_INFO if self.path == "/info" else {}).encode())

    def do_POST(self) -> None:
        body = self._body()
        if self.path in ("/v0.4/traces", "/v0.5/traces", "/v1/traces"):
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.tally.bodies.append((self.path, body))
        if self.path.startswith("/v1/"):
            self._answer(b"", "application/x-protobuf")
        else:
            self._answer(b'{"rate_by_service": {}}' if self.path.endswith("/traces") else b"{}")

    do_PUT = do_POST

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _count() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def _hang() -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            held.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


if __name__ == "__main__":
    print({"count": _count, "hang": _hang}[sys.argv[1]](), flush=True)
    sys.stdin.read()
