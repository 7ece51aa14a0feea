"""What the servers here share: a socket on a free port, and a thread that listens on it."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Any, Protocol, TypeVar

_Self = TypeVar("_Self", bound="Server")


class Readable(Protocol):
    """What bytes can be read from."""

    def recv(self, count: int, /) -> bytes:
        """Return up to *count* bytes, none at the end."""
        ...


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    owner: Any


class Server:
    """Runs a thread for each connection, which *handler* serves; it finds this object at ``server.owner``."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        self._listener = _Listener(("127.0.0.1", 0), handler)
        self._listener.owner = self
        self.port = int(self._listener.server_address[1])
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self: _Self) -> _Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.ended()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(10)

    def ended(self) -> None:
        """Let go of what waits, before the end."""


def exactly(connection: Readable, count: int) -> bytes:
    """Read *count* bytes; ConnectionError where the other side has closed."""
    parts = []
    while count:
        part = connection.recv(count)
        if not part:
            raise ConnectionAbortedError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
