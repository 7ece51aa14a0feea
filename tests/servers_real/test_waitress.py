"""The real waitress: one whole span of each WSGI framework, started by ``ddmiddleware-run``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recording_agent import RecordingAgent, plain
from tests.servers_real.servers import FLASK_ROUTE, RUN, WAYS, Server, check
from tests.tracer.expected import root

CHERRYPY = """
import cherrypy

class Shop:
    @cherrypy.expose
    def pid(self, number):
        yield b"pid "
        yield number.encode()

    pid._cp_config = {"response.stream": True}

app = cherrypy.Application(Shop())
"""
FALCON = """
import falcon

class Pid:
    def on_get(self, req, resp, number):
        resp.stream = iter([b"pid ", str(number).encode()])

app = falcon.App()
app.add_route("/pid/{number:int}", Pid())
"""
BOTTLE = """
import bottle

app = bottle.Bottle()
app.route("/pid/<number:int>", callback=lambda number: (part for part in ["pid ", str(number)]))
"""
PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response

def pid(request):
    return Response(app_iter=iter([b"pid ", request.matchdict["number"].encode()]))

with Configurator() as config:
    config.add_route("pid", "/pid/{number}")
    config.add_view(pid, route_name="pid")
app = config.make_wsgi_app()
"""
FRAMEWORKS: list[tuple[str, str, dict[str, Any]]] = [
    ("bottle", BOTTLE, {"http.route": "/pid/<number:int>"}),
    ("cherrypy", CHERRYPY, {"resource": "GET front.Shop.pid"}),
    ("falcon", FALCON, {"http.route": "/pid/{number:int}"}),
    ("pyramid", PYRAMID, {"http.route": "/pid/{number}", "pyramid.route.name": "pid"}),
]


@pytest.mark.parametrize(("name", "code", "tags"), FRAMEWORKS, ids=[row[0] for row in FRAMEWORKS])
def test_one_whole_span(agent: RecordingAgent, tmp_path: Path, name: str, code: str, tags: dict[str, Any]) -> None:
    (tmp_path / "front.py").write_text(code)
    with Server(tmp_path, agent.url, RUN, "waitress-serve", "--listen=127.0.0.1:0", "front:app") as server:
        assert server.get("/pid/7") == "pid 7"
        url = f"http://127.0.0.1:{server.port}/pid/7"
        server.stop()
        assert "Traceback" not in server.output
    given = {"resource": f"GET {tags.get('http.route')}", **tags}
    resource = given.pop("resource")
    meta = {
        "component": name,
        "span.kind": "server",
        "http.method": "GET",
        "http.status_code": "200",
        "http.url": url,
        **given,
    }
    expected = root(f"{name}.request", meta=meta, metrics={"_dd.measured": 1}, resource=resource, type="web")
    assert plain(agent.spans) == [expected]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("listen", [1, 2])
@WAYS
def test_nothing_is_lost(
    agent: RecordingAgent, tmp_path: Path, run: tuple[str, ...], traced: str, listen: int, number: int
) -> None:
    """It handles no SIGTERM, and ends of it as it would without us."""
    command = ("waitress-serve", *["--listen=127.0.0.1:0"] * listen, f"shop{traced}:app")
    with Server(tmp_path, agent.url, *run, *command) as server:
        answered = server.serve(40)
        assert server.stop(number) == (-number if number == signal.SIGTERM else 0), server.output
        output = server.output
    check(agent, answered, output, FLASK_ROUTE)


SIGNALS = """
import os, signal, sys
import flask, waitress
from ddmiddleware.flask import TraceMiddleware

%s
app = flask.Flask("shop")
TraceMiddleware(app)

@app.get("/child")
def child():
    pid = os.fork()
    if not pid:
        os._exit(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

server = waitress.create_server(app, listen="127.0.0.1:0")
print(f"http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
print("waitress has returned")
"""


def test_a_child_does_not_wait_for_its_end(agent: RecordingAgent, tmp_path: Path) -> None:
    with _signals(agent, tmp_path, "") as server:
        assert server.get("/child") == "1"
        assert server.stop() == -signal.SIGTERM
    assert [span["resource"] for span in agent.spans] == ["GET /child"]


def test_the_applications_own_handler_stays(agent: RecordingAgent, tmp_path: Path) -> None:
    with _signals(agent, tmp_path, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))") as server:
        assert server.get("/child") == "0"
        # waitress takes SystemExit for an interrupt, and returns.
        assert server.stop() == 0
        assert "waitress has returned" in server.output
    assert [span["resource"] for span in agent.spans] == ["GET /child"]


def _signals(agent: RecordingAgent, folder: Path, line: str) -> Server:
    (folder / "signals.py").write_text(SIGNALS % line)
    return Server(folder, agent.url, sys.executable, "signals.py")
