"""Tornado over the shared table of route shapes: its rules have whole paths, so that mounts are written out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tornado import httputil, web, websocket

import ddmiddleware
from ddmiddleware.tornado import trace_app
from tests.integrations.recorder import Recorder
from tests.middleware.http_by_hand import UPGRADE, ask_port
from tests.middleware.route_runs import Found, check, resources_in_loop, shapes_without
from tests.middleware.route_shapes import ERROR, PLACES, YEAR, Place, Shape, check_resources, expected, full, written
from tests.middleware.tornado_app import served

_SERVER = "a server of its own has no prefix"
OWN = shapes_without(
    {
        "prefix": _SERVER,
        "prefix and mount": _SERVER,
        "prefix and root": _SERVER,
        "404 below a prefix": _SERVER,
        "street": "a rule is matched with the path as it came, percent signs and all",
    }
)
# Slashes are added by a decorator only, and OPTIONS is a method like any other.
STATUSES = {"slash missing": 404, "OPTIONS": 405}
_KINDS = {
    "str": "[^/]+",
    "int": "[0-9]+",
    "float": r"[0-9]+\.[0-9]+",
    "path": ".+",
    "uuid": "[0-9a-f-]{36}",
    "year": YEAR,
}


async def act(handler: Any, does: str) -> None:
    """Answer as a place says."""
    match does:
        case "raise":
            raise ERROR
        case "abort":
            raise web.HTTPError(403)
        case "missing":
            raise web.HTTPError(404)
        case "redirect":
            handler.redirect("/about", status=302)
        case "empty":
            handler.set_status(204)
        case "file":
            handler.write(Path(__file__).read_bytes())
        case "stream":
            handler.write("one")
            await handler.flush()
            handler.write("two")
        case _:
            handler.set_status({"create": 201, "unavailable": 503, "handled": 409}.get(does, 200))
            handler.write("shown")


def handler_of(places: list[Place]) -> Any:
    """Return the handler of one template, which Tornado looks for without the method."""
    if places[0].does == "chat":
        return type("Chat", (websocket.WebSocketHandler,), {"open": lambda self, **_values: self.close()})

    def method(does: str) -> Callable[..., Any]:
        async def answering(self: Any, **_values: str) -> None:
            await act(self, does)

        return answering

    methods = {name.lower(): method(place.does) for place in places for name in place.methods}
    if "get" in methods:
        methods["head"] = methods["get"]
    return type("Handler", (web.RequestHandler,), methods)


def form(name: str, kind: str) -> str:
    return f"(?P<{name}>{_KINDS[kind]})"


def application() -> web.Application:
    places: dict[str, list[Place]] = {}
    for place in PLACES.values():
        places.setdefault(full(place), []).append(place)
    rules = [(written(template, form), handler_of(together)) for template, together in places.items()]
    return web.Application(rules, log_function=lambda _handler: None)


def automatic(app: web.Application) -> web.Application:
    ddmiddleware.patch(tornado=True)
    return app


def explicit(app: web.Application) -> web.Application:
    trace_app(app)
    return app


def both(app: web.Application) -> web.Application:
    ddmiddleware.patch_all(logging=False)
    return explicit(app)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[web.Application], web.Application]) -> None:
    async def use(port: int) -> Found:
        found: Found = {}
        for shape in OWN:
            headers = UPGRADE if shape.place.endswith("chat") else {}
            status = (await ask_port(port, quote(shape.path), shape.method, **headers)).status
            spans: list[dict[str, Any]] = []
            for _ in range(10_000):  # the span ends after the last byte
                await asyncio.sleep(0)
                spans = recorder.take()
                if spans:
                    break
            found[shape.name] = status, spans
        return found

    def expect(shape: Shape, status: int) -> dict[str, Any]:
        made = expected(shape, "tornado", form, status)
        made["tags"]["http.url"] = f"http://testserver{shape.path}"  # a websocket begins as a request
        return made

    found = served(trace(application()), use)
    assert recorder.take() == []
    check(found, OWN, STATUSES, expect)


def test_the_table_says_what_the_rules_say() -> None:
    shapes = [shape for shape in OWN if shape.values is not None]
    for shape in shapes:
        found = re.fullmatch(written(full(PLACES[shape.place]), form), shape.path)
        assert found, shape
        assert found.groupdict() == {name: str(value) for name, value in (shape.values or {}).items()}


class Connection(httputil.HTTPConnection):
    """The other end, in the process; nobody reads it."""

    context = None

    def __init__(self) -> None:
        self.done = asyncio.Event()

    def set_close_callback(self, callback: Any) -> None:
        """Never close."""

    def write_headers(self, *_args: Any, **_kwargs: Any) -> Any:
        """Do nothing."""
        return self.write(b"")

    def write(self, chunk: bytes) -> Any:
        """Do nothing."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def finish(self) -> None:
        """Be done."""
        self.done.set()


def test_random_requests(recorder: Recorder) -> None:
    app = automatic(application())

    async def ask(path: str, method: str) -> None:
        connection = Connection()
        headers = httputil.HTTPHeaders({"Host": "testserver"})
        start = httputil.RequestStartLine(method, quote(path, safe="/%"), "HTTP/1.1")
        request = httputil.HTTPServerRequest(start_line=start, headers=headers, connection=connection)
        app(request)
        await connection.done.wait()
        await asyncio.sleep(0)

    found = resources_in_loop(recorder, ask)
    check_resources(found)
    assert {f"GET {written(full(PLACES[name]), form)}" for name in ("home", "user", "shop_user")} <= found
