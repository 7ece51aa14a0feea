"""Requests over real sockets to frameworks that are servers themselves."""

from __future__ import annotations

import asyncio

from tests.middleware.requests_by_hand import Answer


async def ask_port(port: int, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Make one request on a connection of its own; ``_`` in the names of headers stands for ``-``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = {"Host": "testserver", "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in sent.items())]
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        answered = dict(line.split(": ", 1) for line in rest if line)
        if status.split()[1] == "101":
            return Answer(101, answered, b"")
        content = await reader.read()
        if answered.get("Transfer-Encoding") == "chunked":
            content = _joined(content)
        return Answer(int(status.split()[1]), answered, content)
    finally:
        writer.close()


def _joined(chunks: bytes) -> bytes:
    """Return what RFC 9112, section 7.1, has in *chunks*, which may be cut off."""
    content = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size, 16)
        content += chunks[:length]
        chunks = chunks[length + 2 :]
    return content


async def leave(port: int, path: str, begun: asyncio.Event) -> None:
    """Make one request, and go once *begun* is set."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: testserver\r\n\r\n".encode())
    await begun.wait()
    writer.transport.abort()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
