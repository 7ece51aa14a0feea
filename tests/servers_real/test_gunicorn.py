"""The real gunicorn: pre-forked workers of every kind deliver each request once, however they end."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.profiler.receiver import Receiver
from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import FLASK_ROUTE, RUN, STARLETTE_ROUTE, Server, check, served, threads, until
from tests.tracer.processes import ROOT

WORKERS = {
    "sync": ("-k", "sync", "shop:app"),
    "gthread": ("-k", "gthread", "--threads", "4", "shop:app"),
    "gevent": ("-k", "gevent", "shop:app"),
    "uvicorn": ("-k", "uvicorn.workers.UvicornWorker", "cafe:app"),
}
ROUTES = {"shop": FLASK_ROUTE, "cafe": STARLETTE_ROUTE}


# A worker that gets SIGTERM while it boots misses it, with us or without. And what goes out by sendfile is said.
CONFIG = """
from gunicorn.http.wsgi import Response

bind = "127.0.0.1:0"
control_socket_disable = True
send = Response.sendfile

def post_worker_init(worker):
    print("worker is ready", flush=True)

def say_sent(self, respiter):
    sent = send(self, respiter)
    print("sendfile", sent, flush=True)
    return sent

Response.sendfile = say_sent
"""


class Gunicorn(Server):
    """With its workers booted."""

    def __init__(
        self, folder: Path, agent: RecordingAgent | Receiver, *options: str, workers: int = 4, **more: Any
    ) -> None:
        (folder / "conf.py").write_text(CONFIG)
        command = more.pop("command", (RUN, "gunicorn"))
        super().__init__(folder, agent.url, *command, "-c", "conf.py", "-w", str(workers), *options, **more)
        self._workers = workers

    def __enter__(self) -> Gunicorn:
        self.wait_for("worker is ready", self._workers)
        return self


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["late", "preload"])
@pytest.mark.parametrize("kind", WORKERS)
def test_every_request_is_delivered_once(
    agent: RecordingAgent, tmp_path: Path, kind: str, preload: tuple[str, ...]
) -> None:
    with Gunicorn(tmp_path, agent, *preload, *WORKERS[kind]) as server:
        answered = server.serve(200)
        assert server.stop() == 0, server.output  # right after the last answer
        output = server.output
    check(agent, answered, output, ROUTES["cafe" if kind == "uvicorn" else "shop"])


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["late", "preload"])
@pytest.mark.parametrize("kind", WORKERS)
def test_explicit_middleware(agent: RecordingAgent, tmp_path: Path, kind: str, preload: tuple[str, ...]) -> None:
    *options, app = WORKERS[kind]
    options.append(app.replace(":", "_traced:"))
    with Gunicorn(tmp_path, agent, *preload, *options, workers=2, command=("gunicorn",)) as server:
        answered = server.serve_by(2)
        assert server.stop() == 0, server.output
        output = server.output
    check(agent, answered, output, ROUTES[app.partition(":")[0]])


@pytest.mark.parametrize("kind", WORKERS)
def test_recycled_workers_lose_nothing(agent: RecordingAgent, tmp_path: Path, kind: str) -> None:
    with Gunicorn(tmp_path, agent, "--max-requests", "5", *WORKERS[kind], workers=2) as server:
        answered: list[tuple[int, int]] = []
        while len({pid for pid, _ in answered}) < 5:
            number = len(answered) + 1
            answered.append((_ask_until_answered(server, number), number))
        # gunicorn loses a signal to a worker that is just starting, and waits half a minute for it.
        started = 2 + server.output.count("Autorestarting")
        server.wait_for("Booting worker", started)
        server.wait_for("worker is ready", started)
        assert server.stop() == 0, server.output
    assert served(agent.spans) == sorted(answered)


def _ask_until_answered(server: Server, number: int) -> int:
    """A uvicorn worker that ends resets connections that it has taken but not served."""
    for _ in range(9):
        with contextlib.suppress(ConnectionError):
            return int(server.get(f"/pid/{number}", number))
    return int(server.get(f"/pid/{number}", number))


PLAIN = """
import os
from ddmiddleware.wsgi import TraceMiddleware

def pid(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]

app = TraceMiddleware(pid)
"""


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["late", "preload"])
def test_a_worker_of_gevents_that_ends_soon(agent: RecordingAgent, tmp_path: Path, preload: tuple[str, ...]) -> None:
    """Its first connection is made at exit, by name, and gevent has not loaded what resolves names.

    Beside a thread, here the profiler's, it does not do so when it patches the process.
    """
    (tmp_path / "plain.py").write_text(PLAIN)
    profiler = {"DD_PROFILING_ENABLED": "true", "DD_PROFILING_OUTPUT_PPROF": str(tmp_path / "profile")}
    environ = {**profiler, "DD_TRACE_AGENT_URL": f"http://localhost:{agent.port}"}
    with Gunicorn(tmp_path, agent, *preload, "-k", "gevent", "plain:app", workers=1, **environ) as server:
        answered = [(int(server.get("/pid/1", 1)), 1)]
        assert server.stop() == 0, server.output
        output = server.output
    assert served(agent.spans) == answered, output
    assert "ddmiddleware:" not in output
    assert len(list(tmp_path.glob("profile.*"))) == 1


def test_no_thread_before_the_first_span(agent: RecordingAgent, tmp_path: Path) -> None:
    with Gunicorn(tmp_path, agent, "--preload", *WORKERS["sync"], workers=2) as server:
        before = server.children()
        assert len(before) == 2
        assert [threads(pid) for pid in (server.process.pid, *before)] == [1, 1, 1]
        pid = int(server.get("/pid/1"))
        until(lambda: threads(pid) == 2)
        assert threads(server.process.pid) == 1
        assert server.stop() == 0
    assert [span["metrics"]["process_id"] for span in agent.spans] == [pid]


def test_a_file_goes_out_by_sendfile(agent: RecordingAgent, tmp_path: Path) -> None:
    """Which gunicorn only uses if what it gets is of its own type."""
    with Gunicorn(tmp_path, agent, *WORKERS["sync"], workers=1) as server:
        assert server.get("/file") == (tmp_path / "shop.py").read_text()
        server.wait_for("sendfile True")
        assert server.stop() == 0
    assert [span["resource"] for span in agent.spans] == ["GET /file"]


def test_a_child_interpreter_is_traced(agent: RecordingAgent, tmp_path: Path) -> None:
    with Gunicorn(tmp_path, agent, *WORKERS["sync"], workers=1) as server:
        assert server.get("/child") == "done\n"
        assert [span["name"] for span in agent.wait_for_spans(1)] == ["child"]
        assert server.stop() == 0
    assert sorted(span["name"] for span in agent.spans) == ["child", "flask.request"]


def _python_312() -> str:
    """Return an interpreter that warns when a process with threads forks."""
    if sys.version_info[:2] == (3, 12):
        return sys.executable
    shim = shutil.which("python3.12")
    if shim is None:
        pytest.skip("there is no python3.12")
    listed = (
        subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True) if "shims" in shim else None
    )
    versions = [line for line in listed.stdout.split() if line.startswith("3.12.")] if listed else []
    environ = {**os.environ, **({"PYENV_VERSION": versions[-1]} if versions else {})}
    asked = subprocess.run(
        [shim, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, env=environ
    )
    if asked.returncode:
        pytest.skip("python3.12 does not run")
    return asked.stdout.strip()


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["late", "preload"])
def test_no_fork_warning(agent: RecordingAgent, tmp_path: Path, preload: tuple[str, ...]) -> None:
    """On 3.12, with our own environment's packages: all of these run without their C parts."""
    python = _python_312()
    path = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))
    ours = (python, "-m", "ddmiddleware", "run")
    command = (*ours, python, "-W", "error::DeprecationWarning", "-m", "gunicorn", "--max-requests", "5")
    with Gunicorn(tmp_path, agent, *preload, "shop:app", command=command, PYTHONPATH=path) as server:
        answered = server.serve(40)
        assert server.stop() == 0, server.output
        assert "Warning" not in server.output
    assert served(agent.spans) == answered
