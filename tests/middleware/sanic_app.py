"""A Sanic application of many shapes, how it is traced, and both kinds of servers for it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sanic
from sanic.exceptions import Forbidden, ServiceUnavailable
from sanic.views import HTTPMethodView

import ddmiddleware
from ddmiddleware.sanic import trace_app
from ddmiddleware.tracing import default_tracer
from tests.integrations.servers import free_port
from tests.middleware.http_by_hand import ask_port
from tests.middleware.requests_by_hand import Answer, MissingError, ask_asgi, run

seen: list[str] = []
begun: list[asyncio.Event] = []
_numbers = itertools.count()


class CupError(Exception):
    """What a handler of the application answers."""


async def view(request: Any, **_values: Any) -> Any:
    """Note what the resource is while the handler runs."""
    root = default_tracer.current_root_span()
    if root is not None:
        seen.append(root.resource)
    return sanic.text("shown", int(request.args.get("status", 200)))


def sync(_request: Any) -> Any:
    return sanic.text("shown")


async def stream(request: Any) -> None:
    response = await request.respond()
    await response.send("a")
    default_tracer.trace("early").finish()
    if "broken" in request.args:
        raise MissingError("broken")
    await response.send("b")
    await response.eof()
    default_tracer.trace("late").finish()


async def fail(_request: Any, kind: str) -> Any:
    raise {
        "forbidden": Forbidden("no"),
        "unavailable": ServiceUnavailable("later"),
        "cup": CupError("cup"),
        "teapot": CupError("teapot"),
    }.get(kind) or MissingError(kind)


async def wait(request: Any) -> Any:
    """Wait until the client has gone."""
    if "begun" in request.args:
        await (await request.respond()).send("a")
    begun[-1].set()
    await asyncio.Event().wait()


async def talk(_request: Any, ws: Any, **_values: Any) -> None:
    default_tracer.trace("message").finish()
    await ws.send("hello")


async def refuse(_request: Any, _ws: Any) -> None:
    raise AssertionError("nobody comes here")


class Thing(HTTPMethodView):
    """A class of handlers."""

    async def get(self, request: Any, **values: Any) -> Any:
        return await view(request, **values)

    post = get


def named() -> Any:
    """Return an empty application; Sanic wants each to have a name of its own."""
    app: Any = sanic.Sanic(f"shop{next(_numbers)}", configure_logging=False)
    app.config.MOTD = False
    app.config.TOUCHUP = False  # it is for one application in a process: tests/servers_real/test_sanic.py
    for logger in ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets"):
        logging.getLogger(logger).disabled = True
    return app


def shop() -> Any:
    """Return an application of many shapes."""
    app = named()
    inner = sanic.Blueprint(f"inner{app.name}", url_prefix="/areas/<area:int>")
    inner.add_route(view, "/users/<number:int>", name="inner_user")
    app.blueprint(sanic.Blueprint.group(inner, url_prefix="/tenants/<tenant>"))
    versioned = sanic.Blueprint(f"versioned{app.name}", url_prefix="/in", version=1)
    versioned.add_route(view, "/users/<number:int>", name="user")
    versioned.add_websocket_route(talk, "/talk/<room>", name="talk")
    app.blueprint(versioned)
    app.add_route(view, "/", name="home")
    app.add_route(sync, "/sync", name="sync")
    app.add_route(view, "/users/<number:int>", name="user", methods=["GET", "HEAD"])
    app.add_route(view, "/posted", name="posted", methods=["POST"])
    app.add_route(view, "/any/<rest:path>", name="any")
    app.add_route(view, r"/years/<year:[0-9]{4}>", name="year")
    app.add_route(view, "/strict/", name="strict", strict_slashes=True)
    app.add_route(Thing.as_view(), "/things/<name>", name="thing")
    app.add_route(stream, "/stream", name="stream")
    app.add_route(fail, "/fail/<kind>", name="fail")
    app.add_route(wait, "/wait", name="wait")
    app.add_route(lambda _request: sanic.redirect("/"), "/moved", name="moved")
    app.add_websocket_route(talk, "/talk/<room>", name="talk")
    app.static("/static", Path(__file__).parent, name="static")
    app.on_request(lambda request: sanic.text("stopped", 418) if "stopped" in request.args else None)
    app.exception(CupError)(lambda _request, error: sanic.text("cup", 503 if str(error) == "teapot" else 409))
    return app


def automatic(app: Any) -> Any:
    ddmiddleware.patch(sanic=True)
    return app


def explicit(app: Any) -> Any:
    trace_app(app)
    return app


def both(app: Any) -> Any:
    return explicit(automatic(explicit(app)))


def served(app: Any, asking: Callable[[int], Awaitable[Any]]) -> Any:
    """Serve *app* by Sanic's own server while *asking*, with its port, runs."""

    async def main() -> Any:
        port = free_port()
        server = await app.create_server("127.0.0.1", port, return_asyncio_server=True, access_log=False)
        await server.startup()
        try:
            return await asking(port)
        finally:
            server.close()
            for connection in list(server.connections):
                connection.close(timeout=0.1)
            while server.connections:
                await asyncio.sleep(0)

    return run(main)


def asked(app: Any, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """Make one request to Sanic's own server."""
    answer = served(app, lambda port: ask_port(port, path, method, **headers))
    assert isinstance(answer, Answer)
    return answer


def begins(app: Any) -> Any:
    """Return *app* as an ASGI application that begins with its first request."""

    ready = False

    async def serving(*connection: Any) -> None:
        nonlocal ready
        if not ready:
            ready = app.asgi = True
            app.signalize(False)
            app.finalize()
        await app(*connection)

    return serving


def asked_by_asgi(app: Any, path: str = "/", method: str = "GET", **changes: Any) -> Answer:
    """Make one request as an ASGI server does."""
    path, _, query = path.partition("?")
    changes["query_string"] = query.encode()
    answer = run(lambda: ask_asgi(begins(app), path, method, **changes))
    assert isinstance(answer, Answer)
    return answer
