"""Asynchronous frameworks that serve the same views in one event loop, and clients that ask, leave or are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import quart
from aiohttp import web as aiohttp_web
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path as django_path
from tornado import web as tornado_web

from tests.middleware import aiohttp_app, tornado_app
from tests.middleware.django_requests import asgi_app
from tests.middleware.http_by_hand import ask_port, leave
from tests.middleware.requests_by_hand import EMPTY, Client, run, scope
from tests.middleware.route_runs import Visitor

# What serves GET /<name>/<number>, by its name.
Views = dict[str, Callable[[int], Awaitable[None]]]


class Clients(Protocol):
    """The clients of one server."""

    async def ask(self, path: str) -> None:
        """Make one request, and wait for all of its answer."""

    async def leave(self, path: str, begun: asyncio.Event) -> None:
        """Make one request, and go once *begun* is set."""


Use = Callable[[Clients], Awaitable[Any]]


class AsgiClients:
    """Clients of an ASGI application, by hand."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(self, path: str) -> None:
        """Make one request, and wait for all of its answer."""
        client = Visitor(EMPTY)
        await self._app(scope(path), client.receive, client.send)
        assert client.answer.status == 200

    async def leave(self, path: str, begun: asyncio.Event) -> None:
        """Make one request, and go once *begun* is set."""
        client = Client(EMPTY)
        task = asyncio.ensure_future(self._app(scope(path), client.receive, client.send))
        await begun.wait()
        client.leave()
        await asyncio.gather(task, return_exceptions=True)


class PortClients:
    """Clients of a server, over sockets."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def ask(self, path: str) -> None:
        """Make one request, and wait for all of its answer."""
        assert (await ask_port(self._port, path)).status == 200

    async def leave(self, path: str, begun: asyncio.Event) -> None:
        """Make one request, and go once *begun* is set."""
        await leave(self._port, path, begun)


def with_django(views: Views, use: Use) -> Any:
    """Serve by Django's ASGI handler."""

    def view_of(view: Callable[[int], Awaitable[None]]) -> Any:
        async def shown(_request: HttpRequest, number: int) -> HttpResponse:
            await view(number)
            return HttpResponse("fine")

        return shown

    urls = tuple(django_path(f"{name}/<int:number>", view_of(view)) for name, view in views.items())
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
        clients = AsgiClients(asgi_app())
        return run(lambda: use(clients))


def with_quart(views: Views, use: Use) -> Any:
    """Serve by Quart."""
    app = quart.Quart("shop", static_folder=None)

    def view_of(view: Callable[[int], Awaitable[None]]) -> Any:
        async def shown(number: int) -> str:
            await view(number)
            return "fine"

        return shown

    for name, view in views.items():
        app.add_url_rule(f"/{name}/<int:number>", name, view_of(view))
    return run(lambda: use(AsgiClients(app)))


def with_aiohttp(views: Views, use: Use) -> Any:
    """Serve by aiohttp, which cancels the handlers of clients that leave."""
    app = aiohttp_web.Application()

    def view_of(view: Callable[[int], Awaitable[None]]) -> Any:
        async def shown(request: aiohttp_web.Request) -> aiohttp_web.Response:
            await view(int(request.match_info["number"]))
            return aiohttp_web.Response(text="fine")

        return shown

    for name, view in views.items():
        app.router.add_get(f"/{name}/{{number}}", view_of(view))
    return aiohttp_app.served(app, lambda port: use(PortClients(port)), handler_cancellation=True)


def with_tornado(views: Views, use: Use) -> Any:
    """Serve by Tornado; its handlers cancel what they wait for when the client has left."""

    class Shown(tornado_web.RequestHandler):
        def initialize(self, view: Callable[[int], Awaitable[None]]) -> None:
            self._view = view
            self._waiting: asyncio.Future[None] | None = None

        async def get(self, number: str) -> None:
            self._waiting = asyncio.ensure_future(self._view(int(number)))
            with suppress(asyncio.CancelledError):
                await self._waiting

        def on_connection_close(self) -> None:
            super().on_connection_close()
            if self._waiting is not None:
                self._waiting.cancel()

    rules = [(rf"/{name}/([0-9]+)", Shown, {"view": view}) for name, view in views.items()]
    app = tornado_web.Application(rules, log_function=lambda _handler: None)
    return tornado_app.served(app, lambda port: use(PortClients(port)))
