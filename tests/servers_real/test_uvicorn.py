"""The real uvicorn and Flask's own server, started by ``ddmiddleware-run`` or by Python."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.recording_agent import RecordingAgent, plain
from tests.servers_real.servers import FLASK_ROUTE, RUN, STARLETTE_ROUTE, WAYS, Server, check, served
from tests.tracer.expected import root

UVICORN = ("uvicorn", "--port", "0", "cafe:app")
FLASK = ("flask", "--app", "shop", "run", "--port", "0")


@pytest.mark.parametrize("command", [UVICORN, (sys.executable, "-m", *UVICORN)], ids=["script", "module"])
def test_sigterm_loses_nothing(agent: RecordingAgent, tmp_path: Path, command: tuple[str, ...]) -> None:
    """uvicorn ends by the signal itself, so no exit handler runs: the end of the lifespan is the last moment."""
    with Server(tmp_path, agent.url, RUN, *command) as server:
        answered = server.serve(40)
        assert server.stop() in (0, -signal.SIGTERM), server.output
        assert "Traceback" not in server.output
    assert served(agent.spans) == answered


BARE = """
import os
from ddmiddleware.asgi import TraceMiddleware

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

app = TraceMiddleware(app)
"""


@WAYS
def test_workers(agent: RecordingAgent, tmp_path: Path, run: tuple[str, ...], traced: str) -> None:
    command = (*UVICORN[:-1], "--workers", "2", f"cafe{traced}:app")
    with Server(tmp_path, agent.url, *run, *command) as server:
        server.wait_for("startup complete", 2)
        answered = server.serve_by(2)
        assert server.stop() == 0, server.output
        output = server.output
    check(agent, answered, output, STARLETTE_ROUTE)


@pytest.mark.parametrize("workers", [1, 2])
def test_without_a_lifespan(agent: RecordingAgent, tmp_path: Path, workers: int) -> None:
    """Of which the application knows nothing, so that its end tells nobody of the server's."""
    (tmp_path / "bare.py").write_text(BARE)
    with Server(tmp_path, agent.url, *UVICORN[:-1], "--workers", str(workers), "bare:app") as server:
        server.wait_for("startup complete", workers)
        answered = server.serve_by(workers)
        assert server.stop() in (0, -signal.SIGTERM), server.output
        output = server.output
    check(agent, answered, output, "GET")


def test_what_uvicorn_serves_is_one_whole_span(agent: RecordingAgent, tmp_path: Path) -> None:
    with Server(tmp_path, agent.url, RUN, *UVICORN) as server:
        server.get("/pid/1")
        url = f"http://127.0.0.1:{server.port}/pid/1"
        server.stop()
    tags = {
        "component": "starlette",
        "span.kind": "server",
        "http.method": "GET",
        "http.route": "/pid/{number:int}",
        "http.status_code": "200",
        "http.url": url,
    }
    name, resource = "starlette.request", "GET /pid/{number:int}"
    assert plain(agent.spans) == [root(name, meta=tags, metrics={"_dd.measured": 1}, resource=resource, type="web")]


def test_a_client_that_hangs_up(agent: RecordingAgent, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(
        "import asyncio\n"
        "from starlette.applications import Starlette\n"
        "from starlette.responses import StreamingResponse\n"
        "from starlette.routing import Route\n"
        "async def parts():\n"
        "    while True:\n"
        "        yield b'x'\n"
        "        await asyncio.sleep(0.01)\n"
        "async def endless(request):\n"
        "    return StreamingResponse(parts())\n"
        "app = Starlette(routes=[Route('/endless', endless)])\n"
    )
    command = (*UVICORN[:-1], "endless:app")
    with Server(tmp_path, agent.url, RUN, *command, DD_TRACE_WRITER_INTERVAL_SECONDS="0.02") as server:
        server.wait_for("http://127.0.0.1")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
            assert client.recv(100)
        (span,) = agent.wait_for_spans(1)
        server.stop()
    assert (span["resource"], span["error"], span["meta"]["http.disconnected"]) == ("GET /endless", 0, "true")


def test_flask_run(agent: RecordingAgent, tmp_path: Path) -> None:
    """It handles no SIGTERM, and dies of it as before, with nothing that waits."""
    with Server(tmp_path, agent.url, RUN, *FLASK) as server:
        answered = server.serve(40)
        assert server.stop() == -signal.SIGTERM
        output = server.output
    check(agent, answered, output, FLASK_ROUTE)


def test_flask_runs_its_reloader(agent: RecordingAgent, tmp_path: Path) -> None:
    """The application is in a child interpreter then."""
    with Server(tmp_path, agent.url, RUN, *FLASK, "--reload", DD_TRACE_WRITER_INTERVAL_SECONDS="0.02") as server:
        number = int(server.get("/pid/7", 7))
        assert number != server.process.pid
        assert served(agent.wait_for_spans(1)) == [(number, 7)]
        server.stop(signal.SIGINT)
