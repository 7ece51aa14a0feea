"""One span per request of every framework, however its ways of tracing are combined."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.tracer.processes import environment

pytestmark = pytest.mark.once

RESOURCES = {
    "flask": "GET /users/<int:number>",
    "django": "GET /users/<int:number>",
    "starlette": "GET /users/{number:int}",
    "fastapi": "GET /users/{number}",
    "falcon": "GET /users/{number:int}",
    "bottle": "GET /users/<number:int>",
    "pyramid": "GET /users/{number}",
    "cherrypy": "GET __main__.cherrypy.<locals>.Root.shown",
    "quart": "GET /users/<int:number>",
    "litestar": "GET /users/{number}",
    "sanic": "GET /users/<number:int>",
    "aiohttp": "GET /users/{number}",
    "tornado": r"GET /users/(\d+)",
}


@pytest.mark.parametrize("explicit", [False, True], ids=["", "explicit"])
@pytest.mark.parametrize("patch", [False, True], ids=["", "patch_all"])
@pytest.mark.parametrize("run", [False, True], ids=["", "run"])
def test_one_span(run: bool, patch: bool, explicit: bool) -> None:
    command = [sys.executable, *(("-m", "ddmiddleware", "run", sys.executable) if run else ())]
    command += ["-m", "tests.middleware.every_framework", *(["patch_all"] * patch), *(["explicit"] * explicit)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment("http://127.0.0.1:9"), timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    traced = run or patch or explicit
    assert json.loads(done.stdout) == {
        name: [[f"{name}.request", resource]] if traced else [] for name, resource in RESOURCES.items()
    }
