"""Metrics to a DogStatsD server, by datagrams that are never waited for.

https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
"""

from __future__ import annotations

import os
import platform
import socket
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCAL_SOCKET = "/var/run/datadog/dsd.socket"
_PORT = 8125
_UDP_BYTES = 1432  # what fits into one Ethernet frame
_UNIX_BYTES = 8192
_LINES_MAX = 10_000
_PACKED = 40  # so many values leave room for the tags
_UNSAFE = str.maketrans("|,\n\r", "____")


def address(settings: Settings, local_socket: str = LOCAL_SOCKET) -> str:
    """Return the server's URL: as set, from host and port, the agent's socket if there is one, or the local port."""
    url: str = settings["DD_DOGSTATSD_URL"]
    if url:
        return url
    host = settings["DD_DOGSTATSD_HOST"] or settings["DD_AGENT_HOST"]
    port = settings["DD_DOGSTATSD_PORT"]
    if host == "localhost" and not port and os.path.exists(local_socket):
        return f"unix://{local_socket}"
    return f"udp://{f'[{host}]' if ':' in host else host}:{port or _PORT}"


def tags(settings: Settings) -> list[str]:
    """Return the tags of every metric: what this process is, and what it runs on."""
    found = {
        "service": settings.service,
        "env": settings.env,
        "version": settings.version,
        "lang": "python",
        "lang_interpreter": platform.python_implementation(),
        "lang_version": platform.python_version(),
        "tracer_version": __version__,
    }
    if settings["DD_RUNTIME_METRICS_RUNTIME_ID_ENABLED"]:
        found["runtime-id"] = process.runtime_id
    return [f"{key}:{value}" for key, value in found.items() if value]


class DogStatsD:
    """Collects lines on any thread, and sends them with ``flush``.

    Only ``flush`` touches the network. A line too many, or a datagram that cannot go at once, is dropped and counted.
    """

    def __init__(self, url: str, tags: Iterable[str] = ()) -> None:
        """Send to *url* (``udp://host:port`` or ``unix:///path``); every line has *tags* (``key:value``)."""
        parts = urlsplit(url)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host, self._port = parts.hostname or "localhost", parts.port or _PORT
        self._datagram_bytes = _UNIX_BYTES if self._path else _UDP_BYTES
        self._tags = [tag.translate(_UNSAFE) for tag in tags]
        self._socket: socket.socket | None = None
        self._lines: deque[bytes] = deque()
        self.sent = 0
        self.dropped = 0

    def gauge(self, name: str, value: float, tags: Iterable[str] = ()) -> None:
        """Report the current value of something."""
        self._add(name, value, "g", tags)

    def count(self, name: str, value: float = 1, tags: Iterable[str] = ()) -> None:
        """Report how often something happened."""
        self._add(name, value, "c", tags)

    def distribution(self, name: str, value: float, tags: Iterable[str] = ()) -> None:
        """Report one of many values, of which the server keeps the distribution."""
        self._add(name, value, "d", tags)

    def distributions(self, name: str, values: list[float], tags: Iterable[str] = ()) -> None:
        """Report several of many values, packed into lines (protocol 1.1: agents from 6.25 and 7.25 on)."""
        tags = list(tags)
        for first in range(0, len(values), _PACKED):
            self._add(name, ":".join([f"{value:.9g}" for value in values[first : first + _PACKED]]), "d", tags)

    def _add(self, name: str, value: float | str, kind: str, tags: Iterable[str]) -> None:
        if len(self._lines) >= _LINES_MAX:
            self.dropped += 1
            return
        line = f"{name}:{value}|{kind}"
        tags = [*self._tags, *(tag.translate(_UNSAFE) for tag in tags)]
        if tags:
            line += "|#" + ",".join(tags)
        self._lines.append(line.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Send the lines collected so far, as few datagrams as they fit into."""
        datagram: list[bytes] = []
        size = 0
        for _ in range(len(self._lines)):
            line = self._lines.popleft()
            if datagram and size + len(line) > self._datagram_bytes:
                self._send(datagram)
                datagram, size = [], 0
            datagram.append(line)
            size += len(line) + 1
        if datagram:
            self._send(datagram)

    def _send(self, lines: list[bytes]) -> None:
        try:
            if self._socket is None:
                self._socket = self._open()
            self._socket.send(b"\n".join(lines))
        except OSError:  # nobody listens, or too slowly, or the line is too long
            self.dropped += len(lines)
            self.close()
        else:
            self.sent += len(lines)

    def _open(self) -> socket.socket:
        if self._path:
            return _connected(socket.AF_UNIX, self._path)
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        return _connected(found[0][0], found[0][4])

    def close(self) -> None:
        """Close the socket; the next flush opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(family: int, to: object) -> socket.socket:
    found = socket.socket(family, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        found.connect(to)  # type: ignore[arg-type]  # a path, or what getaddrinfo returned
    except OSError:
        found.close()
        raise
    return found
