"""An agent that misbehaves, for tests of everything that talks to one: ``with HostileAgent("hanging") as agent``."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

WAIT_S = 15.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class HostileAgent:
    """One real socket per way to misbehave; ``BEHAVIOURS`` names them, ``requests`` counts what came in."""

    def __init__(self, behaviour: str) -> None:
        self.requests = 0
        self.warns = behaviour != "closes_idle"
        self._answer = _ANSWERS[behaviour]
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # Bound without listening, the port is ours and every connection to it is refused.
        self.listens = behaviour != "refused"
        if self.listens:
            self._socket.listen(16)
            self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while self._answer(self, connection) and not self._closing.is_set():
                    pass
        except OSError:
            return

    def read(self, connection: socket.socket) -> bool:
        """Read one whole request; return whether there was one."""
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return False
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"GET "):  # the question who we are, between requests, is not one of them
            self.count()
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        while len(body) < length:
            part = connection.recv(65536)
            if not part:
                return False
            body += part
        return True

    def count(self) -> None:
        """Note that a request came."""
        with self._changed:
            self.requests += 1
            self._changed.notify_all()

    def wait_for_requests(self, count: int) -> None:
        """Wait until *count* requests came."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests >= count, WAIT_S), f"{self.requests} of {count} came"

    def pause(self, seconds: float) -> bool:
        """Wait, unless the agent is closed meanwhile; return whether it is still open."""
        return not self._closing.wait(seconds)

    def __enter__(self) -> HostileAgent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.set()
        for connection in (self._socket, *self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._socket.close()
        for thread in self._threads:
            thread.join(WAIT_S)


def _hang(agent: HostileAgent, connection: socket.socket) -> bool:
    agent.count()
    agent.pause(3600)
    return False


def _drip(agent: HostileAgent, connection: socket.socket) -> bool:
    """Send one byte every tenth of a second: no single wait is long, all of them are."""
    if not agent.read(connection):
        return False
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 600:
        if not agent.pause(0.1):
            return False
        connection.sendall(bytes((byte,)))
    return False


def _reset(agent: HostileAgent, connection: socket.socket) -> bool:
    """End the connection in the middle of the request's body."""
    connection.recv(64)
    agent.count()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def _garbage(agent: HostileAgent, connection: socket.socket) -> bool:
    if agent.read(connection):
        connection.sendall(bytes(range(256)) * 4)
    return False


def _close_idle(agent: HostileAgent, connection: socket.socket) -> bool:
    """Answer well and hang up without having said so."""
    if agent.read(connection):
        connection.sendall(_OK)
    return False


def _status(line: str) -> Callable[[HostileAgent, socket.socket], bool]:
    def answer(agent: HostileAgent, connection: socket.socket) -> bool:
        if not agent.read(connection):
            return False
        connection.sendall(f"HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nno".encode())
        return True

    return answer


_ANSWERS: dict[str, Callable[[HostileAgent, socket.socket], bool]] = {
    "refused": _hang,
    "hanging": _hang,
    "slow_drip": _drip,
    "500": _status("500 Internal Server Error"),
    "413": _status("413 Content Too Large"),
    "429": _status("429 Too Many Requests"),
    "reset": _reset,
    "garbage": _garbage,
    "closes_idle": _close_idle,
}
BEHAVIOURS = tuple(_ANSWERS)
