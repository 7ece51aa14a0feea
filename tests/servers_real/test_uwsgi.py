"""The real uWSGI, which forks without Python's knowledge: one span per request, with ids that no two workers share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import BIN, FLASK_ROUTE, RUN, WAYS, Server, check

# A worker that is killed while it still logs its last request runs no exit handlers, so it is asked for.
GRACEFUL = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
KINDS = {
    "late": ("--lazy-apps",),
    "preload": (),
    "threads": ("--enable-threads", "--threads", "4"),
    "late threads": ("--lazy-apps", "--enable-threads", "--threads", "4"),
    "hooks": ("--enable-threads", "--py-call-uwsgi-fork-hooks"),
    "osafterfork": ("--enable-threads", "--py-call-osafterfork"),
}


class Uwsgi(Server):
    """With its workers spawned and its applications loaded."""

    def __init__(self, folder: Path, agent: RecordingAgent, run: tuple[str, ...], *options: str) -> None:
        binary = shutil.which("uwsgi", path=str(BIN))
        if binary is None:
            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail("uWSGI is not installed")
            pytest.skip("uWSGI is not installed: it needs a compiler (pip install uwsgi)")
        common = ("--http-socket", "127.0.0.1:0", "--need-app", "--home", sys.prefix)
        super().__init__(folder, agent.url, *run, binary, *common, *options)

    def wait_until_ready(self, workers: int, late: bool) -> None:
        """Wait for what it logs."""
        self.wait_for("spawned uWSGI worker", workers)
        self.wait_for("WSGI app 0", workers if late else 1)


@pytest.mark.parametrize("kind", KINDS)
@WAYS
def test_every_request_is_delivered_once(
    agent: RecordingAgent, tmp_path: Path, run: tuple[str, ...], traced: str, kind: str
) -> None:
    options = ("--master", "--processes", "2", *GRACEFUL, *KINDS[kind], "-w", f"shop{traced}:app")
    with Uwsgi(tmp_path, agent, run, *options) as server:
        server.wait_until_ready(2, "late" in kind)
        answered = server.serve_by(2)
        assert server.stop() == 0, server.output
        output = server.output
    check(agent, answered, output, FLASK_ROUTE)


def test_without_a_master(agent: RecordingAgent, tmp_path: Path) -> None:
    """Where a signal meets it at rest; while it still logs a request, it runs no exit handlers."""
    options = ("--die-on-term", "--enable-threads", "-w", "shop:app")
    with Uwsgi(tmp_path, agent, (RUN,), *options) as server:
        server.wait_until_ready(1, False)
        answered = server.serve(40)
        server.wait_for("GET /pid/", 40)  # logged, so it is at rest
        server.stop(signal.SIGINT)
        output = server.output
    check(agent, answered, output, FLASK_ROUTE)


POSTFORK = """
import flask, shop, uwsgidecorators
from ddmiddleware import tracer

app = shop.app

@uwsgidecorators.postfork
def warm_up():
    with tracer.trace("warm-up"):
        print("warm", flush=True)
"""
HOOK = """
import uwsgi
from ddmiddleware import tracer

def warm_up():
    with tracer.trace("warm-up"):
        print("warm", flush=True)

uwsgi.post_fork_hook = warm_up
from shop import app
"""


@pytest.mark.parametrize("code", [POSTFORK, HOOK], ids=["decorator", "hook"])
def test_the_applications_own_hooks_run_after_ours(agent: RecordingAgent, tmp_path: Path, code: str) -> None:
    (tmp_path / "own.py").write_text(code)
    options = ("--master", "--processes", "2", *GRACEFUL, "-w", "own:app")
    with Uwsgi(tmp_path, agent, (RUN,), *options) as server:
        server.wait_until_ready(2, False)
        server.wait_for("warm", 2)
        server.serve_by(2)  # a worker that is told to end before it serves hangs, with us or without
        assert server.stop() == 0, server.output
    warm_ups = [span for span in agent.spans if span["name"] == "warm-up"]
    assert len(warm_ups) == 2
    for key in ("span_id", "trace_id"):
        assert len({span[key] for span in warm_ups}) == 2
    assert len({span["metrics"]["process_id"] for span in warm_ups}) == 2
