"""Real profilers as clients, with their defaults: ours, and ddtrace's, which compresses with zstd."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.collector.conftest import ROOT, Collector, missing

PEERS = ROOT / ".venv-peers" / "bin"
OURS = Path(sys.executable).parent

# A request works until so much CPU time is used, however busy the machine is.
PROGRAM = """
import logging
import time
import flask
from werkzeug.serving import make_server

app = flask.Flask("shop")
logging.getLogger("werkzeug").disabled = app.logger.disabled = True

def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))

@app.get("/pay/<int:number>")
def pay(number):
    spin(1.2)
    return {"number": number}

server = make_server("127.0.0.1", 0, app)
print(server.port, flush=True)
server.handle_request()
server.server_close()
"""


def run(collector: Collector, folder: Path, command: list[Any]) -> str:
    program = folder / "shop.py"
    program.write_text(PROGRAM)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DD_", "PYTHONPATH"))}
    env |= {"DD_TRACE_AGENT_URL": collector.url, "DD_SERVICE": "shop", "DD_ENV": "test"}
    # The last profile goes out at the exit, and the machine may be busy.
    env |= {"DD_PROFILING_ENABLED": "true", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "30"}
    shop = subprocess.Popen(
        [*command, str(program)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    assert shop.stdout
    if port := shop.stdout.readline():
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        connection.request("GET", "/pay/7")
        assert connection.getresponse().status == 200
        connection.close()
    _, errors = shop.communicate(timeout=60)
    assert shop.returncode == 0, errors
    return errors


def test_ddtrace(fresh: Collector, tmp_path: Path) -> None:
    if not PEERS.exists():
        missing(str(PEERS))
    errors = run(fresh, tmp_path, [PEERS / "ddtrace-run", PEERS / "python"])
    assert "profil" not in errors
    data = fresh.wait_for(lambda: found if (found := fresh.get("/profiles.json").json)["drawn"] else None)
    assert (data["service"], data["envs"], data["profiles"]) == ("shop", ["test"], 1)
    assert {"cpu-time", "wall-time", "alloc-space", "heap-space"} <= {kind["name"] for kind in data["values"]}
    assert "spin" in {item["name"] for item in data["functions"]}
    (row,) = [row for row in data["endpoints"] if row["endpoint"] == "GET /pay/<int:number>"]
    assert row["requests"] == 1
    assert fresh.get("/profiles", endpoint="GET /pay/<int:number>").status == 200


def test_ours(fresh: Collector, tmp_path: Path) -> None:
    assert run(fresh, tmp_path, [OURS / "ddmiddleware-run", sys.executable]) == ""
    data = fresh.wait_for(lambda: found if (found := fresh.get("/profiles.json").json)["drawn"] else None)
    assert (data["service"], data["envs"], data["profiles"]) == ("shop", ["test"], 1)
    endpoint = fresh.get("/profiles.json", endpoint="GET /pay/<int:number>", value="cpu-time").json
    assert endpoint["functions"][0]["name"] == "spin"
    assert endpoint["amount"] > 0.6e9
    assert Path(endpoint["functions"][0]["file"]).name == "shop.py"
    # From the endpoint and from the span to what was done for it.
    assert "Profile of GET /pay" in fresh.get("/").text
    (trace,) = fresh.get("/traces.json").json["traces"]
    root = fresh.get(f"/traces/{trace['trace_id']}.json").json["spans"][0]
    of_span = fresh.get("/profiles.json", trace=trace["trace_id"], span=root["span_id"], service=root["profiled"]).json
    assert of_span["functions"][0]["name"] == "spin"
