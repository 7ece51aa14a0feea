"""Django under the real gunicorn and uvicorn: every request once, files by sendfile, connections closed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import RUN, Server, served
from tests.servers_real.test_gunicorn import Gunicorn

PROJECT = """
import asyncio, os, sys
import django
from django.conf import settings
from django.http import FileResponse, HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[*%s, "django.middleware.common.CommonMiddleware"],
    DDMIDDLEWARE={"SERVICE": "books"}, SECRET_KEY="of no use",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "books.db"}},
)
django.setup()

def pid(request, number):
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(str(os.getpid()))

async def later(request, number):
    await asyncio.sleep(0.001)
    return HttpResponse(str(os.getpid()))

def file(request):
    return FileResponse(open(__file__, "rb"), content_type="text/plain")

urlpatterns = [path("pid/<int:number>", %s), path("file", file)]

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
wsgi = get_wsgi_application()
asgi = get_asgi_application()
"""
WITH = '["ddmiddleware.django.TraceMiddleware"]'
KINDS = {
    "sync": ("-k", "sync", "books:wsgi"),
    "gthread": ("-k", "gthread", "--threads", "4", "books:wsgi"),
    "gevent": ("-k", "gevent", "books:wsgi"),
    "uvicorn": ("-k", "uvicorn.workers.UvicornWorker", "books:asgi"),
}


def project(folder: Path, middleware: str = "[]", view: str = "pid") -> None:
    """Write the project into the folder that servers run in."""
    (folder / "books.py").write_text(PROJECT % (middleware, view))


def check(agent: RecordingAgent, answered: list[tuple[int, int]]) -> None:
    """Each request has one span, which bears its route."""
    assert served(agent.spans) == answered
    requests = [span for span in agent.spans if span["name"] == "django.request"]
    assert {span["resource"] for span in requests} == {"GET /pid/<int:number>"}
    assert {span["service"] for span in requests} == {"books"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["run", "both", "explicit"])
def test_gunicorn(agent: RecordingAgent, tmp_path: Path, kind: str, how: str) -> None:
    project(tmp_path, "[]" if how == "run" else WITH)
    command: dict[str, Any] = {"command": ("gunicorn",)} if how == "explicit" else {}
    # Django that is imported before gevent patches threads shares its connections among them, with us or without.
    preload = () if kind == "gevent" else ("--preload",)
    with Gunicorn(tmp_path, agent, *preload, *KINDS[kind], workers=2, **command) as server:
        answered = server.serve(60)
        assert server.stop() == 0, server.output
        assert "Traceback" not in server.output
        assert "ddmiddleware:" not in server.output
    check(agent, answered)
    queries = [span for span in agent.spans if span["type"] == "sql" and span["resource"] == "SELECT ?"]
    assert {span["meta"]["component"] for span in queries} == {"django" if how == "explicit" else "sqlite3"}
    assert len(queries) == 60


@pytest.mark.parametrize("view", ["pid", "later"])
def test_uvicorn(agent: RecordingAgent, tmp_path: Path, view: str) -> None:
    """It ends by the signal itself, and Django knows no lifespan."""
    project(tmp_path, view=view)
    with Server(tmp_path, agent.url, RUN, "uvicorn", "--port", "0", "books:asgi") as server:
        answered = server.serve(40)
        assert server.stop() in (0, -signal.SIGTERM), server.output
        assert "Traceback" not in server.output
    check(agent, answered)


def test_a_file_goes_out_by_sendfile(agent: RecordingAgent, tmp_path: Path) -> None:
    project(tmp_path)
    with Gunicorn(tmp_path, agent, *KINDS["sync"], workers=1) as server:
        assert server.get("/file") == (tmp_path / "books.py").read_text()
        server.wait_for("sendfile True")
        assert server.stop() == 0
    assert [span["resource"] for span in agent.spans] == ["GET /file"]
