"""Every server sends the same bytes, and applications see the same calls, without us, with us, and with all we can."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.recording_agent import RecordingAgent, Spans
from tests.servers_real import asgi_shapes, wsgi_shapes
from tests.servers_real.servers import WAIT_S, Server, until

WSGI = "tests.servers_real.wsgi_shapes:app"
ASGI = "tests.servers_real.asgi_shapes:app"
WERKZEUG = (
    "from werkzeug.serving import run_simple; from tests.servers_real.wsgi_shapes import app; "
    "run_simple('127.0.0.1', 0, app, threaded=True)"
)
GUNICORN = ("gunicorn", "-b", "127.0.0.1:0", "--no-control-socket")
SERVERS = {
    "waitress": ("waitress-serve", "--listen=127.0.0.1:0", WSGI),
    "gunicorn sync": (*GUNICORN, WSGI),
    "gunicorn gthread": (*GUNICORN, "-k", "gthread", "--threads", "2", WSGI),
    "werkzeug": (sys.executable, "-c", WERKZEUG),
    "uvicorn httptools": ("uvicorn", "--port", "0", "--http", "httptools", "--ws", "wsproto", ASGI),
    "uvicorn h11": ("uvicorn", "--port", "0", "--http", "h11", "--ws", "websockets-sansio", ASGI),
    "hypercorn": (sys.executable, "-m", "hypercorn", "-b", "127.0.0.1:0", ASGI),
}
LIFESPANS = [name for name in SERVERS if name in ("uvicorn h11", "hypercorn")]
EVERYTHING = {
    "HOOKED": "true",
    "DD_TRACE_HEADER_TAGS": "Content-Type,Host,X-A",
    "DD_HTTP_SERVER_TAG_QUERY_STRING": "true",
    "DD_TRACE_QUERY_STRING_ENABLED": "true",
    "DD_TRACE_CLIENT_IP_ENABLED": "true",
    "DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED": "true",
    "DD_TRACE_EXCLUDED_URLS": "nothing-of-this",
    "DD_TRACE_HTTP_METRICS_ENABLED": "true",
    "DD_DOGSTATSD_URL": "udp://127.0.0.1:9",
}
_DATE = re.compile(rb"^date: [^\r]*\r\n", re.IGNORECASE | re.MULTILINE)
# A text frame, masked with zeros, that says "hi" (RFC 6455, section 5.2).
_FRAME = b"\x81\x82\x00\x00\x00\x00hi"
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_ADDRESS = re.compile("0x[0-9a-f]+")
# The last line of a traceback, with the name of an exception; our frames stand above it.
_RAISED = re.compile(r"^[\w.]*(?:Error|Exception|Cancelled)\b.*", re.MULTILINE)


def requests(command: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return methods and names of all that is asked of a server."""
    if WSGI in command or WERKZEUG in command:
        return [*(("GET", name) for name in wsgi_shapes.SHAPES), ("HEAD", "a_list"), ("HEAD", "a_generator")]
    return [*(("GET", name) for name in asgi_shapes.SHAPES), ("HEAD", "one_body"), ("HEAD", "bodies")]


class Differing(Server):
    """One of the two."""

    def __init__(
        self, folder: Path, url: str, command: tuple[str, ...], traced: bool, lifespan: str = "works", **more: str
    ) -> None:
        folder.mkdir()
        given = {"TRACED": str(traced).lower(), "LIFESPAN": lifespan, "DD_TRACE_WRITER_INTERVAL_SECONDS": "0.02"}
        given |= more
        super().__init__(folder, url, *command, **given)

    def ready(self) -> None:
        """Wait until it serves."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.port or self.process.poll() is not None, WAIT_S), self.output
        assert self.port, self.output

    def ask(self, method: str, name: str) -> bytes:
        """Return all that the server sends, but for the date."""
        more = _UPGRADE if name.startswith("ws_") else "Connection: close\r\n"
        content = b"question" if name == "what_it_is_given" else b""
        more += f"Content-Length: {len(content)}\r\n" if content else ""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S) as client:
            client.sendall(f"{method} /{name}?page=1 HTTP/1.1\r\nHost: test\r\n{more}\r\n".encode() + content)
            if name == "hung_up":
                return _DATE.sub(b"", client.recv(100))[:15]
            found = bytearray()
            spoken = name != "ws_echo"
            while part := client.recv(65536):
                found += part
                if not spoken and found.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in found:
                    spoken = True
                    client.sendall(_FRAME)
                if name.startswith("ws_") and (_closed(found) or _complete(found)):
                    break
        return _DATE.sub(b"", bytes(found)).replace(str(self.port).encode(), b"PORT")

    def log(self) -> Any:
        """Return what the applications have seen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request("GET", "/log")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    @property
    def raised(self) -> list[str]:
        """The exceptions that the server reports."""
        return sorted(_RAISED.findall(_ADDRESS.sub("0x", self.output)))


def _closed(found: bytearray) -> bool:
    """Return whether the frame that closes a websocket (opcode 8) is there: all frames here are short."""
    head, separator, frames = bytes(found).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101") or not separator:
        return False
    while len(frames) >= 2:
        if frames[0] == 0x88 and len(frames) >= 2 + frames[1]:
            return True
        frames = frames[2 + frames[1] :]
    return False


def _complete(found: bytearray) -> bool:
    """Return whether a handshake was refused, with the whole of a body."""
    head, separator, rest = bytes(found).partition(b"\r\n\r\n")
    if not separator or head.startswith(b"HTTP/1.1 101"):
        return False
    if b"transfer-encoding: chunked" in head.lower():
        return rest.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return length is not None and len(rest) >= int(length[1])


def served(agent: RecordingAgent) -> Spans:
    """Return the spans of requests; messages of websockets have others."""
    return [span for span in agent.spans if span["name"].endswith(".request")]


@pytest.mark.parametrize("name", SERVERS)
def test_nothing_differs(tmp_path: Path, agent: RecordingAgent, name: str) -> None:
    command = SERVERS[name]
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        plain = stack.enter_context(Differing(tmp_path / "plain", agent.url, command, False))
        traced = stack.enter_context(Differing(tmp_path / "traced", agent.url, command, True))
        full = stack.enter_context(Differing(tmp_path / "full", agent.url, command, True, **EVERYTHING))
        servers = plain, traced, full
        list(pool.map(Differing.ready, servers))
        for method, shape in requests(command):
            expected, *found = pool.map(Differing.ask, servers, (method,) * 3, (shape,) * 3)
            assert found == [expected] * 2, (method, shape)
        until(lambda: plain.log() == traced.log() == full.log())
        assert traced.log().keys() >= {shape for _, shape in requests(command)}
        until(lambda: len(served(agent)) == 2 * len(requests(command)))
        assert len({server.stop() for server in servers}) == 1
        assert full.raised == traced.raised == plain.raised
        assert "internal error" not in traced.output + full.output
    assert len(served(agent)) == 2 * len(requests(command))
    assert sum("hook" in span["meta"] for span in served(agent)) == len(requests(command))


@pytest.mark.parametrize("name", LIFESPANS)
@pytest.mark.parametrize("kind", ["works", "raises", "fails"])
def test_lifespans(tmp_path: Path, agent: RecordingAgent, name: str, kind: str) -> None:
    found = []
    for traced in (False, True):
        with Differing(tmp_path / str(traced), agent.url, SERVERS[name], traced, kind) as server:
            if kind == "fails":
                status = server.process.wait(WAIT_S)
                server._reader.join(WAIT_S)
            else:
                server.ready()
                server.ask("GET", "one_body")
                log = server.log()
                status = server.stop()
                found.append((log,))
            text = re.sub(r"\d+", "N", server.output)
            found.append((status, "lifespan.shutdown" in text, server.raised, "not today" in text))
    half = len(found) // 2
    assert found[:half] == found[half:]
