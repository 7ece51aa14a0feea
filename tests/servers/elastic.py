"""A server that answers as Elasticsearch does, by HTTP: documents in memory, found by equal fields."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.servers.sockets import Server

Document = dict[str, Any]
Answer = tuple[int, Any]


class ElasticServer(Server):
    """The index ``slow`` is answered when ``released`` is set, ``drop`` closes the connection, ``broken`` is a 500, and
    ``old`` warns.

    Everything else below ``/INDEX`` is ``_doc``, ``_search`` or ``_bulk``.
    """

    def __init__(self, product: bool = True, version: str = "9.0.0") -> None:
        """*product* says whether it says that it is Elasticsearch, or is OpenSearch."""
        super().__init__(_Handler)
        self.product, self.version = product, version
        self.documents: dict[str, Document] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()

    def ended(self) -> None:
        """Let go of those that wait."""
        self.released.set()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Return the status and the document that answer a request."""
        index, _, rest = path.strip("/").partition("/")
        kind, _, number = rest.partition("/")
        if index == "slow":
            self.released.wait(10)
        if index == "drop":
            raise ConnectionAbortedError
        if index == "broken":
            return _failure(500, "internal_error", "hunter2")
        if not index:
            return 200, {
                "version": {"number": self.version, "build_flavor": "default"},
                "tagline": "You Know, for Search",
            }
        if kind == "_doc" and method in ("PUT", "POST"):
            number = number or str(len(self.documents))
            self.documents[number] = json.loads(body)
            return 201, {"_index": index, "_id": number, "result": "created"}
        if kind == "_doc":
            found = self.documents.get(number)
            return (200 if found else 404), {"_index": index, "_id": number, "found": bool(found), "_source": found}
        if kind == "_search" and b"nonsense" in body:
            return _failure(400, "parsing_exception", "unknown query [nonsense] for hunter2")
        if kind == "_search":
            hits = [{"_id": number, "_source": document} for number, document in self.documents.items()]
            return 200, {"took": 3, "hits": {"total": {"value": len(hits)}, "hits": hits}}
        if "_bulk" in (index, kind):
            return 200, {
                "took": 5,
                "errors": False,
                "items": [{"index": {"status": 201}} for _ in body.splitlines()[::2]],
            }
        return _failure(404, "index_not_found_exception", "no such index")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        """Answer."""
        owner: ElasticServer = self.server.owner
        owner.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, document = owner.answer(self.command, self.path.partition("?")[0], body)
            self._send(status, json.dumps(document).encode())
        except OSError:  # which includes that the client has given up
            self.close_connection = True

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        speaks_9 = self.server.owner.product and self.server.owner.version >= "8"
        kind = "application/vnd.elasticsearch+json" if speaks_9 else "application/json"
        version = ";compatible-with=9" if speaks_9 else ""
        self.send_header("Content-Type", kind + version)
        if self.server.owner.product:
            self.send_header("X-Elastic-Product", "Elasticsearch")
        if self.path.startswith("/old/"):
            self.send_header("Warning", '299 Elasticsearch-9.0.0 "this index is old"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


def _failure(status: int, kind: str, reason: str) -> Answer:
    cause = {"type": kind, "reason": reason}
    return status, {"error": {"root_cause": [cause], **cause}, "status": status}
