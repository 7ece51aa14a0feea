"""Sanic's own server, with the methods that it compiles anew at its start: one whole span, also from its workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.servers import free_port
from tests.recording_agent import RecordingAgent, plain
from tests.servers_real.servers import RUN, Server
from tests.tracer.expected import root

FRONT = """
from sanic import Sanic

app = Sanic("front")

@app.get("/pid/<number:int>")
async def pid(request, number):
    response = await request.respond(content_type="text/plain")
    await response.send("pid ")
    await response.send(str(number))
"""
EXPLICIT = FRONT + "\nfrom ddmiddleware.sanic import trace_app\ntrace_app(app)\n"
COMMAND = ("setsid", sys.executable, "-m", "sanic", "front:app", "--host=127.0.0.1")


WAYS = pytest.mark.parametrize(("code", "command"), [(FRONT, (RUN, *COMMAND)), (EXPLICIT, COMMAND)], ids=["run", "own"])


def expected(port: int) -> dict[str, Any]:
    meta = {
        "component": "sanic",
        "span.kind": "server",
        "http.method": "GET",
        "http.status_code": "200",
        "http.url": f"http://127.0.0.1:{port}/pid/7",
        "http.route": "/pid/<number:int>",
    }
    resource = "GET /pid/<number:int>"
    return root("sanic.request", meta=meta, metrics={"_dd.measured": 1}, resource=resource, type="web")


@WAYS
def test_one_process(agent: RecordingAgent, tmp_path: Path, code: str, command: tuple[str, ...]) -> None:
    (tmp_path / "front.py").write_text(code)
    with Server(tmp_path, agent.url, *command, f"--port={free_port()}", "--single-process") as server:
        server.wait_for("Worker ready")
        assert server.get("/pid/7") == "pid 7"
        server.stop(signal.SIGTERM)
        assert "Traceback" not in server.output
    assert plain(agent.spans) == [expected(server.port)]


@WAYS
def test_workers(agent: RecordingAgent, tmp_path: Path, code: str, command: tuple[str, ...]) -> None:
    (tmp_path / "front.py").write_text(code)
    options = (f"--port={free_port()}", "--workers=2")
    with Server(tmp_path, agent.url, *command, *options, DD_TRACE_WRITER_INTERVAL_SECONDS="0.1") as server:
        server.wait_for("Worker ready", 2)
        assert server.get("/pid/7") == "pid 7"
        agent.wait_for_spans(1)
        # Not by SIGTERM: told this early, Sanic 25.12 may hang, without us too; told twice, it kills its process group.
        children = server.children()
        server.process.kill()
        for child in children:
            os.kill(child, signal.SIGKILL)
        server.stop(signal.SIGKILL)
        assert "Traceback" not in server.output
    assert plain(agent.spans) == [expected(server.port)]
