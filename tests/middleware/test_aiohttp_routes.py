"""aiohttp over the shared table of route shapes, with applications in applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

import ddmiddleware
from ddmiddleware.aiohttp import trace_app
from tests.integrations.recorder import Recorder
from tests.middleware.aiohttp_app import served
from tests.middleware.http_by_hand import UPGRADE, ask_port
from tests.middleware.route_runs import Found, check, resources_in_loop, shapes_without
from tests.middleware.route_shapes import ERROR, PLACES, YEAR, Shape, below, check_resources, expected, full, written

_SERVER = "a server of its own has no prefix"
_FIXED = "what an application is added at has no parameters"
OWN = shapes_without(
    {
        "prefix": _SERVER,
        "prefix and mount": _SERVER,
        "prefix and root": _SERVER,
        "404 below a prefix": _SERVER,
        "tenant_user": _FIXED,
        "area_user": _FIXED,
        "street": "a template is matched as its percent signs have it, and the path without them",
        "405 by a method that nobody knows": "the parser in front refuses it, before there is a request",
    }
)
# Slashes are added by a middleware only, and OPTIONS is a method like any other.
STATUSES = {"slash missing": 404, "OPTIONS": 405}


class Thing(web.View):
    async def get(self) -> web.StreamResponse:
        return web.Response(text="shown")

    post = get


def answer(status: int) -> Callable[..., Any]:
    async def view(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    return view


async def stream(_request: web.Request) -> web.StreamResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return web.Response(body=parts())


async def file(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(__file__)


async def fail(_request: web.Request) -> web.StreamResponse:
    raise ERROR


async def handled(_request: web.Request) -> web.StreamResponse:
    raise KeyError("cup")


async def abort(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPForbidden


async def missing(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def redirect(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/about")


async def chat(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    return socket


VIEWS: dict[str, Any] = {
    "text": answer(200),
    "async": answer(200),
    "class": Thing,
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": file,
    "raise": fail,
    "handled": handled,
    "abort": abort,
    "missing": missing,
    "redirect": redirect,
    "chat": chat,
}
_KINDS = {"int": r"\d+", "float": r"\d+\.\d+", "path": ".+", "uuid": "[0-9a-f-]{36}", "year": YEAR}


@web.middleware
async def conflict(request: web.Request, handler: Any) -> Any:
    try:
        return await handler(request)
    except KeyError:
        return web.Response(status=409)


def pattern(name: str, kind: str) -> str:
    """Return a parameter as it is written for a route."""
    return f"{{{name}}}" if kind == "str" else f"{{{name}:{_KINDS[kind]}}}"


def form(name: str, _kind: str) -> str:
    """Return a parameter as aiohttp has it in the canonical form of a resource."""
    return f"{{{name}}}"


def application(mounts: tuple[str, ...] = ()) -> web.Application:
    app = web.Application(middlewares=[conflict] if not mounts else [])
    places, nested = below(mounts)
    for place in places:
        path = written(place.route, pattern)
        for method in ("*",) if place.does == "class" else place.methods:
            app.router.add_route(method, path, VIEWS[place.does])
            if method == "GET":
                app.router.add_route("HEAD", path, VIEWS[place.does])
    for mount in nested:
        if "{" not in mount:
            app.add_subapp(mount, application((*mounts, mount)))
    return app


def automatic(app: web.Application) -> web.Application:
    ddmiddleware.patch(aiohttp=True)
    return app


def explicit(app: web.Application) -> web.Application:
    trace_app(app)
    return app


def both(app: web.Application) -> web.Application:
    ddmiddleware.patch_all(logging=False)
    return explicit(app)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[web.Application], web.Application]) -> None:
    async def ask(port: int, shape: Shape) -> int:
        headers = UPGRADE if shape.place.endswith("chat") else {}
        return (await ask_port(port, quote(shape.path), shape.method, **headers)).status

    async def use(port: int) -> Found:
        found: Found = {}
        for shape in OWN:
            status = await ask(port, shape)
            spans: list[dict[str, Any]] = []
            for _ in range(10_000):  # the span ends after the last byte
                await asyncio.sleep(0)
                spans = recorder.take()
                if spans:
                    break
            found[shape.name] = status, spans
        return found

    def expect(shape: Shape, status: int) -> dict[str, Any]:
        made = expected(shape, "aiohttp", form, status)
        made["tags"]["http.url"] = f"http://testserver{shape.path}"  # a websocket begins as a request
        return made

    found = served(trace(application()), use)
    assert recorder.take() == []
    check(found, OWN, STATUSES, expect)


class Transport(asyncio.Transport):
    """What the server writes to; nobody reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        """Do nothing."""

    writelines = write

    def close(self) -> None:
        """Be closed."""
        self.closed.set()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed.is_set()


def test_random_requests(recorder: Recorder) -> None:
    """The server's protocol is given bytes in the process."""
    app = automatic(application())
    servers: list[Any] = []

    async def ask(path: str, method: str) -> None:
        if not servers:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            servers.append(runner)
        protocol, transport = servers[0].server(), Transport()
        protocol.connection_made(transport)
        head = f"{method} {quote(path, safe='/%')} HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n"
        protocol.data_received(head.encode())
        await transport.closed.wait()
        protocol.connection_lost(None)

    found = resources_in_loop(recorder, ask)
    check_resources(found)
    assert {f"GET {written(full(PLACES[name]), form)}" for name in ("home", "user", "shop_user")} <= found
