"""Real servers in processes of their own, on ports that they choose."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import pytest

from tests.recording_agent import RecordingAgent, Spans
from tests.tracer.processes import environment

WAIT_S = 30.0
BIN = Path(sys.executable).parent
RUN = str(BIN / "ddmiddleware-run")
_ADDRESS = re.compile(r"(?:http://|TCP address )127\.0\.0\.1:(\d+)")

FLASK = """
import os
import flask

app = flask.Flask("shop")

@app.get("/pid/<int:number>")
def pid(number):
    return str(os.getpid())

@app.get("/file")
def file():
    return flask.send_file(__file__, mimetype="text/plain")

@app.get("/child")
def child():
    import subprocess, sys
    code = "from ddmiddleware import tracer; tracer.trace('child').finish(); print('done')"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
"""
STARLETTE = """
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def pid(request):
    return PlainTextResponse(str(os.getpid()))

app = Starlette(routes=[Route("/pid/{number:int}", pid)])
"""
# The same ones, traced by explicit middleware.
FLASK_TRACED = """
from ddmiddleware.flask import TraceMiddleware
from shop import app

TraceMiddleware(app)
"""
STARLETTE_TRACED = """
from cafe import app
from ddmiddleware.starlette import TraceMiddleware

app = TraceMiddleware(app)
"""
# How a server is started, and what is appended to the name of the application's module.
WAYS = pytest.mark.parametrize(("run", "traced"), [((RUN,), ""), ((), "_traced")], ids=["run", "explicit"])


FLASK_ROUTE, STARLETTE_ROUTE = "GET /pid/<int:number>", "GET /pid/{number:int}"


class Server:
    """A command that serves; its output is read all the time."""

    def __init__(self, folder: Path, agent_url: str, *command: str, **environ: str) -> None:
        (folder / "shop.py").write_text(FLASK)
        (folder / "cafe.py").write_text(STARLETTE)
        (folder / "shop_traced.py").write_text(FLASK_TRACED)
        (folder / "cafe_traced.py").write_text(STARLETTE_TRACED)
        # On a busy machine the usual 0.8 seconds are over before four workers have sent what they have.
        defaults = {"DD_TRACE_WRITER_INTERVAL_SECONDS": "60", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "20"}
        variables = environment(agent_url, **{**defaults, **environ})
        variables["PATH"] = f"{BIN}{os.pathsep}{variables['PATH']}"
        self.lines: list[str] = []
        self.port = 0
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line)
                found = _ADDRESS.search(line)
                if found:
                    self.port = int(found[1])
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        """Everything it wrote so far."""
        return "".join(self.lines)

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until *text* was written *count* times."""

        def written() -> bool:
            return self.output.count(text) >= count or self.process.poll() is not None

        with self._changed:
            found = self._changed.wait_for(written, WAIT_S)
        if not found or self.output.count(text) < count:
            self.__exit__(None, None, None)
            raise AssertionError(self.output)

    def get(self, path: str, trace_id: int | None = None) -> str:
        """Return the body of the answer to a GET, which must be 200, when the server has closed the connection.

        Until then a thread may have to end a span yet, and a server that SIGTERM ends at once waits for none.
        """
        with self._changed:
            assert self._changed.wait_for(lambda: self.port, WAIT_S), self.output
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        headers = {"connection": "close"}
        if trace_id:
            headers["traceparent"] = f"00-{trace_id:032x}-{1:016x}-01"
        try:
            connection.request("GET", path, headers=headers)
            with connection.sock.dup() as line:
                answer = connection.getresponse()
                body = answer.read().decode()
                assert line.recv(1) == b""
        finally:
            connection.close()
        assert answer.status == 200, (answer.status, body, self.output)
        return body

    def wait_until_it_listens(self) -> None:
        """Wait for the first connection that is taken; some servers say sooner that they serve."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.port, WAIT_S), self.output

        def connects() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", self.port)) == 0

        until(connects)

    def serve(self, count: int, first: int = 1) -> list[tuple[int, int]]:
        """Make *count* requests, 8 at a time; return which process served which trace."""
        numbers = range(first, first + count)
        with ThreadPoolExecutor(8) as pool:
            pids = pool.map(lambda number: int(self.get(f"/pid/{number}", number)), numbers)
            return sorted(zip(pids, numbers, strict=True))

    def serve_by(self, workers: int) -> list[tuple[int, int]]:
        """Make requests until each of *workers* processes has served some; return which served which trace."""
        answered: list[tuple[int, int]] = []
        while len({pid for pid, _ in answered}) < workers:
            answered += self.serve(40, len(answered) + 1)
        return sorted(answered)

    def children(self) -> list[int]:
        """Return the ids of its child processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return status

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout
        self.process.stdout.close()


def served(spans: Spans) -> list[tuple[int, int]]:
    """Return which process sent which trace, as ``Server.serve`` does."""
    return sorted((int(span["metrics"]["process_id"]), span["trace_id"]) for span in spans if "request" in span["name"])


def check(agent: RecordingAgent, answered: list[tuple[int, int]], output: str, resource: str) -> None:
    """Each request has one span, from the process that served it; no two have an id in common, and we said nothing."""
    assert served(agent.spans) == answered, output
    assert len(agent.spans) == len(answered) == len({span["span_id"] for span in agent.spans})
    assert {span["resource"] for span in agent.spans} == {resource}
    assert {span["service"] for span in agent.spans} == {"shop"}
    assert len({span["meta"]["runtime-id"] for span in agent.spans}) == len({pid for pid, _ in answered})
    assert not re.search("Traceback|internal error|ddmiddleware:", output), output


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells us."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
