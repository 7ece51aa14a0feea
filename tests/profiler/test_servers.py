"""Real servers and Datadog's own test agent."""

from __future__ import annotations

import base64
import json
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.profiling.asking import ask_all, processes
from tests.integrations.servers import free_port
from tests.profiler.conftest import MakeProfiler
from tests.profiler.fake_collector import STACK
from tests.profiler.receiver import Receiver, parse
from tests.servers_real.servers import RUN, Server, threads, until
from tests.servers_real.test_gunicorn import WORKERS, Gunicorn
from tests.tracer.test_agent_checks import test_agent  # noqa: F401  # a fixture

ENVIRON = {"DD_PROFILING_ENABLED": "true", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "10"}


def test_datadogs_agent_takes_uploads(test_agent: str, make_profiler: MakeProfiler) -> None:  # noqa: F811
    made = make_profiler(test_agent)
    made.start()
    made.stop()
    with urllib.request.urlopen(f"{test_agent}/test/session/requests", timeout=10) as answer:
        requests: list[dict[str, Any]] = json.loads(answer.read())
    (request,) = [one for one in requests if one["url"].endswith("/profiling/v1/input")]
    headers = {key.lower(): value for key, value in request["headers"].items()}
    upload = parse("/profiling/v1/input", headers, base64.b64decode(request["body"]))
    assert upload.tags["service"] == "shop"
    assert [stack for stack, _, _ in upload.profile.samples] == [STACK, STACK[1:]]


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["late", "preload"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "uvicorn"])
def test_gunicorns_workers(receiver: Receiver, tmp_path: Path, kind: str, preload: tuple[str, ...]) -> None:
    environ = {**ENVIRON, "DD_PROFILING_ON_DEMAND_DIR": str(tmp_path / "sockets")}
    environ["DD_TRACE_AGENT_URL"] = receiver.url.replace("127.0.0.1", "localhost")  # a name, to be resolved at exit
    with Gunicorn(tmp_path, receiver, *preload, *WORKERS[kind], workers=2, **environ) as server:
        workers = set(server.children())
        answered = server.serve(20)
        assert {pid for pid, _ in answered} <= workers
        until(lambda: set(processes(str(tmp_path / "sockets"))) == workers)
        answers, problems = ask_all(processes(str(tmp_path / "sockets")).items(), 0.1, "top")
        assert ([answer.told["pid"] for answer in answers], problems) == (sorted(workers), [])
        assert threads(server.process.pid) == 1
        assert server.stop() == 0, server.output
        output = server.output
    assert "Traceback" not in output
    assert "internal error" not in output
    profiled = sorted(int(upload.tags["process_id"]) for upload in receiver.uploads)
    assert profiled == sorted(workers)
    assert {upload.tags["service"] for upload in receiver.uploads} == {"shop"}


def test_workers_that_are_recycled(receiver: Receiver, tmp_path: Path) -> None:
    options = ("--preload", "--max-requests", "5", *WORKERS["sync"])
    with Gunicorn(tmp_path, receiver, *options, workers=2, **ENVIRON) as server:
        served: set[int] = set()
        number = 0
        while len(served) < 4:
            number += 1
            served.add(int(server.get(f"/pid/{number}", number)))
        started = 2 + server.output.count("Autorestarting")
        server.wait_for("worker is ready", started)
        assert server.stop() == 0, server.output
    profiled = [int(upload.tags["process_id"]) for upload in receiver.uploads]
    assert served <= set(profiled)
    assert len(profiled) == len(set(profiled))
    assert server.process.pid not in profiled


SUPERVISED = {
    "uvicorn": ("uvicorn", "--workers", "2", "--port", "{port}", "cafe:app"),
    "uvicorn reloading": ("uvicorn", "--reload", "--port", "{port}", "cafe:app"),
    "hypercorn": ("hypercorn", "-w", "2", "-b", "127.0.0.1:{port}", "cafe:app"),
    "granian": (
        sys.executable,
        "-m",
        "granian",
        "--workers",
        "2",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "cafe:app",
    ),
}


@pytest.mark.parametrize("name", SUPERVISED)
def test_what_only_looks_after_workers_is_not_profiled(receiver: Receiver, tmp_path: Path, name: str) -> None:
    port, workers, sockets = free_port(), 1 if "reload" in name else 2, str(tmp_path / "sockets")
    command = [word.format(port=port) for word in SUPERVISED[name]]
    environ = {**ENVIRON, "DD_PROFILING_ON_DEMAND_DIR": sockets}
    with Server(tmp_path, receiver.url, RUN, *command, **environ) as server:
        server.port = port
        server.wait_until_it_listens()
        serving = {pid for pid, _ in server.serve_by(workers)}
        until(lambda: set(processes(sockets)) == serving)
        assert server.stop() in (0, -signal.SIGTERM), server.output
        output = server.output
    assert "Traceback" not in output
    assert "internal error" not in output
    profiled = {int(upload.tags["process_id"]) for upload in receiver.uploads}
    # hypercorn ends its other workers by a signal as soon as one has left.
    assert profiled == serving or (name == "hypercorn" and profiled and profiled <= serving)
