"""Two applications whose endpoints share the CPU 70/20/10, and which profile themselves: for real servers to run.

``/start`` begins; ``/stop`` answers with how many points the profile is off, and how many per cent are nobody's.
"""

from __future__ import annotations

import asyncio
import time

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import ddmiddleware
from ddmiddleware import tracer
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import SETTINGS, Nowhere, by, endpoint_of
from tests.profiler.truth import COST_MS, step, truth
from tests.profiler.workloads import error, shares

ddmiddleware.patch(flask=True, starlette=True)
tracer.divert(Nowhere())
collector = StackCollector(Settings(SETTINGS))
ROUTES = {"much": "GET /much", "some": "GET /some", "little": "GET /little"}


def start() -> str:
    truth.clear()
    collector.start()
    return "started"


def stop() -> str:
    collector.stop()
    samples = list(collector.collect())
    counts = collector.endpoint_counts()
    assert set(COST_MS) <= set(counts), counts
    seen = by(samples, "cpu-time", endpoint_of)
    return f"{error(truth, seen)} {shares(seen).get('no endpoint', 0.0)}"


wsgi = flask.Flask("served")
wsgi.get("/start")(start)
wsgi.get("/stop")(stop)


def blocking(name: str) -> str:
    for _ in range(COST_MS[ROUTES[name]]):
        step(ROUTES[name])
        time.sleep(0.001)
    return "done"


async def coroutine(request: Request) -> PlainTextResponse:
    name = request.url.path.strip("/")
    for _ in range(COST_MS[ROUTES[name]]):
        step(ROUTES[name])
        await asyncio.sleep(0.01)
    return PlainTextResponse("done")


for name in ROUTES:
    wsgi.get(f"/{name}", endpoint=name, defaults={"name": name})(blocking)


async def begin(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(start())


async def end(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(stop())


asgi = Starlette(
    routes=[Route("/start", begin), Route("/stop", end), *(Route(f"/{name}", coroutine) for name in ROUTES)]
)
