"""What comes over the wire, byte by byte, and clients that send three requests on one connection."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import requests
import urllib3

OURS = {
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-tags"),
    *("traceparent", "tracestate"),
}


class Wire:
    """A server that records the head of each request as it came, and answers with a cookie."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        wire = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                for line in self.rfile:
                    head += line
                    if line == b"\r\n":
                        wire.heads.append(head)
                        head = b""
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: seen=1\r\nContent-Length: 2\r\n\r\nok")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fields(self) -> list[dict[str, str]]:
        """Return the headers of each request since the last time; each may be there once."""
        heads, self.heads = self.heads, []
        found = []
        for head in heads:
            lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:-2]]
            names = [name.lower() for name, _, _ in lines]
            assert len(names) == len(set(names)), names
            found.append({name.lower(): value for name, _, value in lines})
        return found


def three_by_requests(url: str, **options: Any) -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            yield session.get(url, **options)


def three_by_httpx(url: str, **options: Any) -> Iterator[Any]:
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            yield client.get(url, **options)


def three_by_httpx_async(url: str, **options: Any) -> Iterator[Any]:
    async def run() -> list[Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return [await client.get(url, **options) for _ in range(3)]

    yield from asyncio.run(run())


def three_by_urllib3(url: str, **options: Any) -> Iterator[Any]:
    with urllib3.PoolManager() as pool:
        for _ in range(3):
            yield pool.request("GET", url, **options)


CLIENTS: dict[str, Callable[..., Iterator[Any]]] = {
    "requests": three_by_requests,
    "httpx": three_by_httpx,
    "httpx async": three_by_httpx_async,
    "urllib3": three_by_urllib3,
}
