"""A DogStatsD server on a real socket: it takes datagrams and reads their lines strictly."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

WAIT_S = 15.0
_LINE = re.compile(r"([a-z0-9_.]+):(-?[0-9.]+(?:e[+-]?\d+)?(?::[0-9.]+(?:e[+-]?\d+)?)*)\|([gcd])(?:\|#([^|\n]+))?")


class Line(NamedTuple):
    """One metric."""

    name: str
    value: float
    kind: str
    tags: tuple[str, ...]


class MetricsServer:
    """Listens on a free UDP port of 127.0.0.1, or on a Unix socket at *path*."""

    def __init__(self, path: str | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)
        self.url = f"unix://{path}" if path else f"udp://127.0.0.1:{self.socket.getsockname()[1]}"

    def datagram(self) -> list[Line]:
        """Wait for the next datagram."""
        return [found for line in self.socket.recv(1 << 16).decode().split("\n") for found in _read(line)]

    def until(self, name: str) -> list[Line]:
        """Return all lines up to the datagram that has a metric *name*."""
        found: list[Line] = []
        while not any(line.name == name for line in found):
            found += self.datagram()
        return found

    def close(self) -> None:
        """Stop."""
        self.socket.close()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _read(line: str) -> list[Line]:
    """Return a metric of each value that a line packs."""
    match = _LINE.fullmatch(line)
    assert match, line
    name, values, kind, tags = match.groups()
    return [Line(name, float(value), kind, tuple(tags.split(",")) if tags else ()) for value in values.split(":")]
