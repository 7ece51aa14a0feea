"""A kept-alive HTTP connection to an agent or a collector: over TCP, TLS or a Unix socket."""

from __future__ import annotations

import _socket
import encodings.idna  # noqa: F401  # the first connection needs it, and would import it where a fork may come between
import io
import os
import socket
import ssl
import sys
import time
from email.utils import parsedate_to_datetime
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


def _connected(address: tuple[str, int], timeout: float, *source: Any) -> socket.socket:
    """Be ``socket.create_connection``; where gevent's can resolve no name any more, do without gevent.

    It resolves them in threads, and from 3.12 on Python starts none once its exit has begun.
    """
    try:
        return socket.create_connection(address, timeout, *source)
    except RuntimeError:
        original = sys.modules["gevent.monkey"].get_original("socket", "socket")
        family, kind, protocol, _, found = _socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)[0]
        opened: socket.socket = original(family, kind, protocol)
        opened.settimeout(timeout)
        opened.connect(found)
        return opened


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
    """Sends requests to one address, re-using the connection between them.

    *url*'s path comes before that of each request. *certificate* is a file with the authorities to trust, in PEM; where
    it is empty, the system's are trusted.
    """

    def __init__(self, url: str, timeout_s: float, certificate: str = "") -> None:
        self.url = url
        self.retry_after_s = 0.0  # what the last answer asked for
        self._timeout_s = timeout_s
        self._certificate = certificate
        self._http: HTTPConnection | None = None
        parts = urlsplit(url)
        self._prefix = "" if parts.scheme == "unix" else parts.path.rstrip("/")
        self.address = url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)  # to be logged: no password

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
            vars(self._http)["_create_connection"] = _connected  # http.client's own way to have another
            vars(self._http)["_ddmiddleware_own"] = True  # no span is made of what takes spans away
        http = self._http
        http.timeout = timeout
        http.response_class = partial(_response, time.monotonic() + timeout)  # type: ignore[assignment]  # it is called
        if http.sock is not None:
            http.sock.settimeout(timeout)
        http.request(method, self._prefix + path, body, headers)
        answer = http.getresponse()
        text = answer.read(_ANSWER_MAX)
        self.retry_after_s = _retry_after(answer.headers.get("Retry-After", ""))
        if not answer.isclosed() or answer.will_close:
            self.close()
        return answer.status, text

    def _open(self, timeout: float) -> HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        host = parts.hostname or "localhost"
        if parts.scheme != "https":
            return HTTPConnection(host, parts.port, timeout=timeout)
        context = None
        if self._certificate:
            with open(self._certificate, encoding="ascii") as file:  # an error of ssl's would not name the file
                context = ssl.create_default_context(cadata=file.read())
        return HTTPSConnection(host, parts.port, timeout=timeout, context=context)

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


def _retry_after(value: str) -> float:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110, section 10.2.3): a number, or a date."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, HTTPException) and not isinstance(error, InvalidURL):
        return "the answer is no HTTP"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
