"""A Tornado application of many shapes, how it is traced, and a server for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import flask
from tornado import httpserver, routing, testing, web, websocket, wsgi

import ddmiddleware
from ddmiddleware.contrib import tornado as contrib
from ddmiddleware.tornado import trace_app
from ddmiddleware.tracing import default_tracer
from tests.middleware.http_by_hand import ask_port
from tests.middleware.requests_by_hand import Answer, MissingError, run

seen: list[str] = []
begun: list[asyncio.Event] = []


class View(web.RequestHandler):
    """Note what the resource is while the handler runs."""

    async def get(self, *_args: str, **_kwargs: str) -> None:
        root = default_tracer.current_root_span()
        if root is not None:
            seen.append(root.resource)
        self.set_status(int(self.get_argument("status", "200")))
        self.write("shown")

    head = get


class Sync(web.RequestHandler):
    def get(self, *_args: str) -> None:
        self.write("shown")


class Stream(web.RequestHandler):
    async def get(self) -> None:
        self.write("a")
        await self.flush()
        default_tracer.trace("early").finish()
        if self.get_argument("broken", ""):
            raise MissingError("broken")
        self.write("b")
        await self.finish()
        default_tracer.trace("late").finish()


class Broken(web.RequestHandler):
    def get(self, kind: str) -> None:
        if kind == "forbidden":
            raise web.HTTPError(403)
        if kind == "unavailable":
            raise web.HTTPError(503)
        if kind == "finish":
            raise web.Finish
        raise MissingError(kind)


class Talk(websocket.WebSocketHandler):
    def open(self, *_args: str) -> None:
        default_tracer.trace("message").finish()
        self.close()


class Endless(web.RequestHandler):
    async def get(self) -> None:
        self.write("begun")
        await self.flush()
        begun[0].set()
        while True:
            self.write("more")
            await self.flush()
            await asyncio.sleep(0)


def shop(**settings: Any) -> web.Application:
    inner = flask.Flask("inner")
    inner.add_url_rule("/wsgi/<name>", "view", lambda name: "from flask")
    return web.Application(
        [
            (r"/", View),
            (r"/users/([0-9]+)", View),
            (r"/named/(?P<name>[^/]+)/?$", View),
            (r"^/sync/(.*)", Sync),
            (r"/stream", Stream),
            (r"/broken/(.*)", Broken),
            (r"/talk/(\w+)", Talk),
            (r"/endless", Endless),
            (r"/static/(.*)", web.StaticFileHandler, {"path": str(Path(__file__).parent)}),
            (r"/moved/(.*)", web.RedirectHandler, {"url": "/"}),
            (r"/wsgi/.*", web.FallbackHandler, {"fallback": wsgi.WSGIContainer(inner)}),
            (r"/api/.*", [(r"/api/users/(\d+)", View), (r"/api/v(\d)/.*", [(r"/api/v(\d)/items/(\d+)", View)])]),
            routing.Rule(routing.HostMatches("shop.example.org"), [(r"/hosted/(.*)", View)]),
        ],
        log_function=lambda _handler: None,
        **settings,
    )


def served(app: Any, use: Callable[[int], Awaitable[Any]]) -> Any:
    """Serve *app* while *use* has its port; afterwards nothing of a request still runs."""

    async def main() -> Any:
        server = httpserver.HTTPServer(app)
        socket, port = testing.bind_unused_port()
        server.add_socket(socket)
        try:
            return await use(port)
        finally:
            server.stop()
            await server.close_all_connections()
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    return run(main)


def asked(app: Any, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """Ask once."""

    async def use(port: int) -> Answer:
        return await ask_port(port, path, method, **headers)

    answer: Answer = served(app, use)
    return answer


def automatic(app: web.Application) -> web.Application:
    contrib.patch()
    return app


def explicit(app: web.Application) -> web.Application:
    trace_app(app)
    return app


def both(app: web.Application) -> web.Application:
    trace_app(app)
    ddmiddleware.patch_all(logging=False)
    return app
