"""The real hypercorn: one span per request, from every worker, delivered at SIGTERM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integrations.servers import free_port
from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import FLASK_ROUTE, STARLETTE_ROUTE, WAYS, Server, check


@pytest.mark.parametrize("workers", [0, 1, 2])  # without any, the process itself serves
@pytest.mark.parametrize("app", ["cafe", "shop"])
@WAYS
def test_every_request_is_delivered_once(
    agent: RecordingAgent, tmp_path: Path, run: tuple[str, ...], traced: str, app: str, workers: int
) -> None:
    command = ("hypercorn", "-w", str(workers), "-b", f"127.0.0.1:{free_port()}", f"{app}{traced}:app")
    with Server(tmp_path, agent.url, *run, *command) as server:
        server.wait_for("Running on", max(workers, 1))
        answered = server.serve_by(max(workers, 1))
        assert server.stop() == 0, server.output
        output = server.output
    check(agent, answered, output, STARLETTE_ROUTE if app == "cafe" else FLASK_ROUTE)
