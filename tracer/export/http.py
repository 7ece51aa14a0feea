"""A kept-alive HTTP connection to an agent: over TCP, TLS or a Unix socket."""

from __future__ import annotations

import encodings.idna  # noqa: F401  # the first connection needs it, and would import it where a fork may come between
import io
import os
import socket
import time
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from typing import Any
from urllib.parse import urlsplit

_ANSWER_MAX = 1 << 16


class Unreachable(Exception):
    """The request got no usable answer; the message says why."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Answer(io.RawIOBase):
    """What HTTPResponse reads from: all reads together have to end *until* then, not each one for itself."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._socket, self._until = sock, until
        self._file = sock.makefile("rb", 0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Be the socket that HTTPResponse expects."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once, in the time that is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket; the connection keeps it."""
        self._file.close()
        super().close()


def _response(until: float, sock: socket.socket, **options: Any) -> HTTPResponse:
    return HTTPResponse(_Answer(sock, until), **options)  # type: ignore[arg-type]  # it only calls makefile


class Connection:
    """Sends requests to one address, re-using the connection between them."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._http: HTTPConnection | None = None
        parts = urlsplit(url)
        self._prefix = "" if parts.scheme == "unix" else parts.path.rstrip("/")

    def request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, deadline: float | None
    ) -> tuple[int, bytes]:
        """Send *body* and return the status and the first 64 KiB of the answer; raise Unreachable if none comes.

        A connection that the server closed while it was idle is opened anew, once.
        """
        reused = self._http is not None
        try:
            return self._request(method, path, headers, body, deadline)
        except (ConnectionError, HTTPException) as error:
            self.close()
            if not reused:
                raise Unreachable(_reason(error)) from None
        except (OSError, ValueError) as error:
            self.close()
            raise Unreachable(_reason(error)) from None
        try:
            return self._request(method, path, headers, body, deadline)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(_reason(error)) from None

    def _request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, deadline: float | None
    ) -> tuple[int, bytes]:
        timeout = self._timeout_s if deadline is None else min(self._timeout_s, deadline - time.monotonic())
        if timeout <= 0:
            raise TimeoutError("no time left")
        if self._http is None:
            self._http = self._open(timeout)
        http = self._http
        http.timeout = timeout
        http.response_class = partial(_response, time.monotonic() + timeout)  # type: ignore[assignment]  # it is called
        if http.sock is not None:
            http.sock.settimeout(timeout)
        http.request(method, self._prefix + path, body, headers)
        answer = http.getresponse()
        text = answer.read(_ANSWER_MAX)
        if not answer.isclosed() or answer.will_close:
            self.close()
        return answer.status, text

    def _open(self, timeout: float) -> HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "localhost", parts.port, timeout=timeout)

    def disown(self) -> None:
        """Close the socket's descriptor and no more: a thread that a fork left behind may hold the locks above it."""
        if self._http is not None and self._http.sock is not None:
            os.close(self._http.sock.detach())
        self._http = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, HTTPException) and not isinstance(error, InvalidURL):
        return "the answer is no HTTP"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
