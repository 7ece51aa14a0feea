"""Falcon applications of both kinds that answer the same."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi

from ddmiddleware.tracing import default_tracer
from tests.middleware.requests_by_hand import MissingError

ERROR = MissingError("no such cup")
seen: list[str] = []


def note() -> None:
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)


def act(what: str, resp: Any) -> None:
    """Answer as *what* says."""
    note()
    if what == "broken":
        raise ERROR
    if what == "forbidden":
        raise falcon.HTTPForbidden
    if what == "unavailable":
        raise falcon.HTTPServiceUnavailable
    if what == "moved":
        raise falcon.HTTPFound("/")
    resp.text = what


class Noting:
    """What runs between routing and the responder."""

    def process_resource(self, req: Any, resp: Any, resource: Any, params: Any) -> None:
        note()

    async def process_resource_async(self, req: Any, resp: Any, resource: Any, params: Any) -> None:
        note()


class Item:
    def on_get(self, req: Any, resp: Any, what: str = "static") -> None:
        act(what, resp)

    def on_get_user(self, req: Any, resp: Any, number: int) -> None:
        act(str(number), resp)

    def on_get_lines(self, req: Any, resp: Any) -> None:
        resp.stream = iter([b"a", b"b"])

    def on_get_file(self, req: Any, resp: Any) -> None:
        resp.stream = io.BytesIO(b"file")

    def on_head(self, req: Any, resp: Any, what: str = "") -> None:
        resp.text = what


class AsyncItem:
    async def on_get(self, req: Any, resp: Any, what: str = "static") -> None:
        act(what, resp)

    async def on_get_user(self, req: Any, resp: Any, number: int) -> None:
        act(str(number), resp)

    async def on_get_lines(self, req: Any, resp: Any) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        resp.stream = parts()

    async def on_head(self, req: Any, resp: Any, what: str = "") -> None:
        resp.text = what

    async def on_websocket(self, req: Any, ws: Any, what: str = "") -> None:
        note()
        await ws.accept()


async def async_sink(req: Any, resp: Any, **params: Any) -> None:
    note()


def wsgi_shop(folder: Path | None = None) -> falcon.App[Any, Any]:
    app: falcon.App[Any, Any] = falcon.App(middleware=[Noting()])
    app.add_sink(lambda req, resp, **params: note(), "/proxy")
    return furnished(app, Item(), folder)


def asgi_shop(folder: Path | None = None) -> Any:
    app: Any = falcon.asgi.App(middleware=[Noting()])
    app.add_sink(async_sink, "/proxy")
    return furnished(app, AsyncItem(), folder)


def furnished(app: Any, item: Any, folder: Path | None) -> Any:
    app.add_route("/", item)
    app.add_route("/items/{what}", item)
    app.add_route("/users/{number:int}", item, suffix="user")
    app.add_route("/lines", item, suffix="lines")
    if hasattr(item, "on_get_file"):
        app.add_route("/file", item, suffix="file")
    if folder is not None:
        app.add_static_route("/static", folder)
    return app
