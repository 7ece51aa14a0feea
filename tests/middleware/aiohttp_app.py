"""An aiohttp application of many shapes, how it is traced, and a server for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

import ddmiddleware
from ddmiddleware.aiohttp import trace_app
from ddmiddleware.contrib import aiohttp as contrib
from ddmiddleware.tracing import default_tracer
from tests.integrations.servers import free_port
from tests.middleware.http_by_hand import ask_port
from tests.middleware.requests_by_hand import Answer, MissingError, run

seen: list[str] = []


class LateError(asyncio.TimeoutError):
    """What a handler that took too long raises."""


async def view(request: web.Request) -> web.StreamResponse:
    """Note what the resource is while the handler runs."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return web.Response(text="shown", status=int(request.query.get("status", 200)))


class Resource(web.View):
    async def get(self) -> web.StreamResponse:
        return await view(self.request)


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    default_tracer.trace("early").finish()
    await response.write(b"a")
    if request.query.get("broken"):
        raise MissingError("broken")
    default_tracer.trace("late").finish()
    await response.write(b"b")
    return response


async def generated(request: web.Request) -> web.StreamResponse:
    async def parts() -> AsyncIterator[bytes]:
        default_tracer.trace("part").finish()
        yield b"a"

    return web.Response(body=parts())


async def broken(request: web.Request) -> web.StreamResponse:
    raise MissingError("broken")


async def forbidden(request: web.Request) -> web.StreamResponse:
    raise web.HTTPForbidden


async def unavailable(request: web.Request) -> web.StreamResponse:
    raise web.HTTPServiceUnavailable


async def late(request: web.Request) -> web.StreamResponse:
    raise LateError("late")


async def nothing(request: web.Request) -> Any:
    return None


async def talk(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    default_tracer.trace("message").finish()
    await socket.close()
    return socket


@web.middleware
async def passing(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
    default_tracer.trace("inside").finish()
    return await handler(request)


def routes(app: web.Application) -> web.Application:
    app.router.add_get("/", view)
    app.router.add_get("/users/{number:\\d+}", view)
    app.router.add_view("/class/{name}", Resource)
    app.router.add_post("/posted", view)
    app.router.add_static("/static", Path(__file__).parent)
    return app


def shop(*middlewares: Any) -> web.Application:
    app = routes(web.Application(middlewares=middlewares))
    for path, handler in {
        "/stream": stream,
        "/generated": generated,
        "/broken": broken,
        "/forbidden": forbidden,
        "/unavailable": unavailable,
        "/late": late,
        "/nothing": nothing,
        "/talk/{room}": talk,
    }.items():
        app.router.add_get(path, handler)
    app.router.add_route("*", "/any/{rest:.*}", view)
    inner = routes(web.Application())
    inner.add_subapp("/areas/", routes(web.Application()))
    app.add_subapp("/tenants", inner)
    app.add_domain("*.example.org", routes(web.Application()))
    return app


def served(app: web.Application, use: Callable[[int], Awaitable[Any]], **options: Any) -> Any:
    """Serve *app* while *use* has its port; afterwards every request has been finished."""

    async def main() -> Any:
        runner = web.AppRunner(app, access_log=None, **options)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            return await use(port)
        finally:
            await runner.cleanup()

    return run(main)


def asked(app: web.Application, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """Ask once."""

    async def use(port: int) -> Answer:
        return await ask_port(port, path, method, **headers)

    answer: Answer = served(app, use)
    return answer


def automatic(app: web.Application) -> web.Application:
    ddmiddleware.patch(aiohttp=True)
    return app


def explicit(app: web.Application) -> web.Application:
    trace_app(app)
    return app


def both(app: web.Application) -> web.Application:
    ddmiddleware.patch_all(logging=False)
    before = len(app.middlewares)
    trace_app(app)
    contrib.trace_app(app, default_tracer)
    assert len(app.middlewares) == before + 1
    return app
