"""The servers that client libraries are measured against, in processes of their own: their CPU is in no figure.

`python -m benchmarks.servers` answers every HTTP request with the same few bytes, on a free port that it prints.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.peers import ROOT, WORK
from benchmarks.processes import NotMeasuredError

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@contextlib.contextmanager
def http_server() -> Iterator[str]:
    """Yield the URL of an HTTP server."""
    command = [sys.executable, "-m", "benchmarks.servers"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/users/1"
        finally:
            process.terminate()


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Yield the URL of ``redis-server``, which keeps nothing."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise NotMeasuredError("redis-server is not installed.")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    WORK.mkdir(exist_ok=True)
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(WORK))
    with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except ConnectionRefusedError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise NotMeasuredError("redis-server does not answer.") from None
                    time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(_ANSWER * len(requests))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
