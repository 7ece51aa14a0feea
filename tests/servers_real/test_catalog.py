"""The example project on Django calls the example service on Starlette: one trace through both."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import RUN, Server, until
from tests.tracer.processes import ROOT

GUNICORN = ("gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "example_apps.catalog.wsgi")
UVICORN = ("uvicorn", "--port", "0", "example_apps.catalog.asgi:application")
STOCK = ("inventory", "starlette.request", "GET /stock/{sku}")


@pytest.mark.parametrize("command", [(RUN, *GUNICORN), GUNICORN, (RUN, *UVICORN)], ids=["gunicorn", "bare", "uvicorn"])
def test_one_trace_through_both(agent: RecordingAgent, tmp_path: Path, command: tuple[str, ...]) -> None:
    common = {"DD_TRACE_WRITER_INTERVAL_SECONDS": "0.05", "PYTHONPATH": str(ROOT)}
    inventory = (RUN, "uvicorn", "--port", "0", "example_apps.inventory.app:app")
    with Server(tmp_path, agent.url, *inventory, DD_SERVICE="inventory", **common) as below:
        below.wait_for("Uvicorn running")
        environ = {
            "DD_SERVICE": "catalog",
            "CATALOG_DATABASE": str(tmp_path / "catalog.db"),
            "INVENTORY_URL": f"http://127.0.0.1:{below.port}",
            "XDG_RUNTIME_DIR": str(tmp_path),  # of gunicorn's control socket
        }
        with Server(tmp_path, agent.url, *command, **environ, **common) as server:
            assert "Mugs" in server.get("/", 1)
            assert "100000" in server.get("/catalog/books/1/", 2)
            assert "Pans" in server.get("/catalog/authors/2/", 3)
            assert "password" in server.get("/admin/login/", 4)
            until(lambda: {span["trace_id"] for span in agent.spans} >= {1, 2, 3, 4})
            server.stop()
            assert "Traceback" not in server.output, server.output
        below.stop()
    found = {
        number: Counter(
            (span["service"], span["name"], span["resource"])
            for span in agent.spans
            if span["trace_id"] == number and span["type"] != "sql" and span["type"] != "http"
        )
        for number in (1, 2, 3, 4)
    }
    view = "example_apps.catalog.views"
    cached = {("catalog", "django.cache", verb): 1 for verb in ("get", "set")}
    assert found[1] == {
        ("catalog", "django.request", "GET /"): 1,
        ("catalog", "django.view", f"{view}.home"): 1,
        ("catalog", "django.template.render", "catalog/home.html"): 1,
        **cached,
    }
    # Without ddmiddleware-run, nobody traces the HTTP client, and so nobody tells the inventory of the trace.
    assert found[2] == {
        ("catalog", "django.request", "GET /catalog/books/<int:pk>/"): 1,
        ("catalog", "django.view", f"{view}.BookView.get"): 1,
        **({STOCK: 1} if command[0] == RUN else {}),
    }
    assert found[3] == {
        ("catalog", "django.request", "GET /catalog/authors/<int:pk>/"): 1,
        ("catalog", "django.view", f"{view}.author"): 1,
        **({STOCK: 3} if command[0] == RUN else {}),
    }
    assert found[4]["catalog", "django.request", "GET /admin/login/"] == 1
