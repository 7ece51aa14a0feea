"""A real HTTP server that takes profiles as an agent does, reads them strictly, and keeps them."""

from __future__ import annotations

import email.parser
import email.policy
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from tests.profiler.profile_proto import Read, read

WAIT_S = 30.0


class Upload(NamedTuple):
    """One upload."""

    path: str
    headers: dict[str, str]
    event: dict[str, Any]
    profile: Read
    provenance: dict[str, Any] | None

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the event."""
        return dict(tag.split(":", 1) for tag in self.event["tags_profiler"].split(","))


def parse(path: str, headers: dict[str, str], body: bytes) -> Upload:
    """Read one upload; raise for whatever does not fit together."""
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    assert message.is_multipart()
    parts = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]  # the policy makes it an EmailMessage
        assert part.get_content_disposition() == "form-data"
        parts[part.get_filename()] = part.get_payload(decode=True)
    event = json.loads(parts.pop("event.json"))
    assert sorted(event["attachments"]) == sorted(parts)
    provenance = parts.get("code-provenance.json")
    decoded = json.loads(gzip.decompress(provenance)) if provenance else None
    return Upload(path, headers, event, read(parts["profile.pprof"]), decoded)


class Receiver:
    """Takes uploads, and traces too; *status* is what it answers to uploads."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.uploads: list[Upload] = []
        self.problems: list[BaseException] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                status = outer.take(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PUT = do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Keep one request and return the status to answer."""
        if "multipart" not in headers.get("content-type", ""):
            return 200
        try:
            upload = parse(path, headers, body)
        except BaseException as error:
            self.problems.append(error)
            raise
        with self._changed:
            self.uploads.append(upload)
            self._changed.notify_all()
        return self.status

    def wait_for(self, count: int) -> list[Upload]:
        """Wait for *count* uploads and return all there are."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.uploads) >= count, WAIT_S), self.uploads
        return self.uploads

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.problems and error is None:
            raise self.problems[0]
