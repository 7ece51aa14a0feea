"""Whatever fails in our own code, aiohttp answers as it would without us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import ddmiddleware
from ddmiddleware import _arrival, _request
from ddmiddleware import aiohttp as our_aiohttp
from ddmiddleware._request import Request
from ddmiddleware.aiohttp import trace_app
from ddmiddleware.tracing import Span, active, default_tracer, guarded
from tests.integrations.recorder import Recorder
from tests.middleware.aiohttp_app import broken, forbidden, served
from tests.middleware.http_by_hand import ask_port

pytestmark = pytest.mark.once

FAULTS = [
    *((Request, name) for name, value in vars(Request).items() if callable(value)),
    (_request, "extract_headers"),
    (_arrival, "begin"),
    *((our_aiohttp, name) for name in ("begin", "_begin", "_served", "_name", "_raised")),
    (default_tracer, "trace"),
    (Span, "finish"),
    (Span, "set_exc_info"),
]


def _broken(*_args: Any, **_kwargs: Any) -> Any:
    raise ValueError("a mistake of ours")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{getattr(fault[0], '__name__', '')}.{fault[1]}")
def test_faults(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    paths = ("/users/3", "/stream", "/broken", "/forbidden", "/nowhere", "/posted", "/static/__init__.py")

    async def use(port: int) -> list[tuple[int, bytes]]:
        answers = [await ask_port(port, path, traceparent=f"00-{7:032x}-{9:016x}-01") for path in paths]
        return [(answer.status, answer.body) for answer in answers]

    app = web.Application()
    for path, handler in {"/users/{number}": plain, "/stream": plain_stream, "/broken": broken}.items():
        app.router.add_get(path, handler)
    app.router.add_get("/forbidden", forbidden)
    app.router.add_post("/posted", plain)
    app.router.add_static("/static", Path(__file__).parent)
    trace_app(app)
    ddmiddleware.patch(aiohttp=True)
    expected = [(200, b"plain"), (200, b"ab"), (500, None), (403, None), (404, None), (405, None), (200, None)]
    monkeypatch.setattr(guarded, "raises", False)
    with monkeypatch.context() as patch:
        patch.setattr(*fault, _broken)
        answers = served(app, use)
    for (status, body), (expected_status, expected_body) in zip(answers, expected, strict=True):
        assert status == expected_status
        assert expected_body is None or body == expected_body
    active.set(None)


async def plain_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a")
    await response.write(b"b")
    return response


async def plain(_request: web.Request) -> web.Response:
    return web.Response(text="plain")
