"""Real servers on free ports."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.servers.process import ServerProcess


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RedisServer(ServerProcess):
    """``redis-server`` without persistence, by itself or as a cluster of one node."""

    def __init__(self, directory: Path, *more: str) -> None:
        """*more* are options of the server."""
        port = free_port()
        options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory))
        super().__init__(port, "redis-server", *options, *more)


class MemcachedServer(ServerProcess):
    """``memcached``."""

    def __init__(self) -> None:
        port = free_port()
        super().__init__(port, "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(port))


class HttpServer:
    """Answers by path, and records each request's path and headers (names in lower case).

    ``/status/503`` answers with that status, ``/redirect/2`` leads to ``/redirect/1`` and so on to ``/ok``, ``/away``
    leads to ``/ok`` at the server's address, ``/slow`` answers when ``released`` is set, ``/drop`` closes the
    connection, ``/stream`` sends three lines.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> HttpServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def header(self, name: str) -> list[str | None]:
        """Return a header of each request."""
        return [headers.get(name) for _, headers in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                _, what, argument, *_ = f"{self.path.partition('?')[0]}/".split("/")
                if what == "drop":
                    return
                if what == "slow":
                    server.released.wait(10)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has given up
                    self._answer(what, argument)

            def _answer(self, what: str, argument: str) -> None:
                self.send_response(302 if what in ("redirect", "away") else int(argument) if what == "status" else 200)
                if what == "redirect":
                    left = int(argument) - 1
                    self.send_header("Location", f"/redirect/{left}" if left else "/ok")
                elif what == "away":
                    self.send_header("Location", f"{server.url}/ok")
                self.end_headers()
                self.wfile.write(b"line\n" * 3 if what == "stream" else b"hello")

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
