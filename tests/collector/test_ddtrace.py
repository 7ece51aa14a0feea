"""The real ddtrace as a client, with its defaults."""

from __future__ import annotations

import http.client
import os
import subprocess
from pathlib import Path

import pytest

from tests.collector.conftest import ROOT, Collector, missing

PYTHON = ROOT / ".venv-peers" / "bin" / "python"

# A real server: Flask's test client does not close bodies, and ddtrace 4.16 leaves their spans open then.
PROGRAM = """
import logging
import flask
from werkzeug.serving import make_server

app = flask.Flask("shop")
logging.getLogger("werkzeug").disabled = app.logger.disabled = True

@app.get("/carts/<int:number>")
def cart(number):
    return {"number": number}

@app.get("/broken")
def broken():
    raise RuntimeError("out of stock")

server = make_server("127.0.0.1", 0, app)
print(server.port, flush=True)
server.handle_request()
server.handle_request()
server.server_close()
"""


@pytest.mark.parametrize("version", [None, "v0.4", "v0.5"])
def test_ddtrace_run(fresh: Collector, tmp_path: Path, version: str | None) -> None:
    if not PYTHON.exists():
        missing(str(PYTHON))
    program = tmp_path / "shop.py"
    program.write_text(PROGRAM)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DD_", "PYTHONPATH"))}
    env |= {"DD_TRACE_AGENT_URL": fresh.url, "DD_SERVICE": "shop"}
    if version:
        env["DD_TRACE_API_VERSION"] = version
    shop = subprocess.Popen(
        [PYTHON.with_name("ddtrace-run"), PYTHON, str(program)],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert shop.stdout
    if port := shop.stdout.readline():
        for path, status in (("/carts/7", 200), ("/broken", 500)):
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
            connection.request("GET", path)
            assert connection.getresponse().status == status
            connection.close()
    _, errors = shop.communicate(timeout=60)
    assert (shop.returncode, errors) == (0, "")
    rows = fresh.wait_for(lambda: found if len(found := fresh.get("/traces.json").json["traces"]) == 2 else None)
    by_resource = {row["resource"]: row for row in rows}
    assert set(by_resource) == {"GET /carts/<int:number>", "GET /broken"}
    cart, broken = by_resource["GET /carts/<int:number>"], by_resource["GET /broken"]
    assert (cart["service"], cart["status"], cart["error"], cart["type"]) == ("shop", "200", 0, "web")
    assert (broken["status"], broken["error"]) == ("500", 1)
    assert not cart["trace_id"].startswith("0" * 16)
    trace = fresh.get(f"/traces/{cart['trace_id']}.json").json
    assert trace["spans_total"] == cart["spans"] > 1
    assert [found["depth"] for found in trace["spans"]].count(0) == 1
    assert trace["spans"][0]["tags"]["http.status_code"] == "200"
    assert "out of stock" in fresh.get(f"/traces/{broken['trace_id']}").text
    endpoints = fresh.get("/endpoints.json").json
    assert (endpoints["requests"], endpoints["errors"]) == (2, 1)
    for path in ("/", "/traces"):
        assert "GET /carts/&lt;int:number&gt;" in fresh.get(path).text
