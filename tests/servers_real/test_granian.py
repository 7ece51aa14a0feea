"""The real granian: one span per request, from every worker, delivered at SIGTERM."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integrations.servers import free_port
from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import FLASK_ROUTE, STARLETTE_ROUTE, WAYS, Server, check

# "mt" has the loop of Python beside more threads of its own.
KINDS = {
    "asgi": ("cafe", "--interface", "asgi"),
    "asginl": ("cafe", "--interface", "asginl", "--runtime-mode", "mt"),  # without a lifespan
    "wsgi": ("shop", "--interface", "wsgi", "--blocking-threads", "4"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@WAYS
def test_every_request_is_delivered_once(
    agent: RecordingAgent, tmp_path: Path, run: tuple[str, ...], traced: str, kind: str, workers: int
) -> None:
    app, *options = KINDS[kind]
    command = (sys.executable, "-m", "granian", "--port", str(free_port()), "--workers", str(workers), *options)
    with Server(tmp_path, agent.url, *run, *command, f"{app}{traced}:app") as server:
        server.wait_for("Started worker", workers)
        server.wait_until_it_listens()
        answered = server.serve_by(workers)
        assert server.stop() == 0, server.output
        output = server.output
    check(agent, answered, output, STARLETTE_ROUTE if app == "cafe" else FLASK_ROUTE)
