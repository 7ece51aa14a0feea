"""The real waitress: one whole span of each WSGI framework, started by ``ddmiddleware-run``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.recording_agent import RecordingAgent, plain
from tests.servers_real.servers import RUN, Server
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
        server.stop(signal.SIGINT)  # SIGTERM is nothing that it handles
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
