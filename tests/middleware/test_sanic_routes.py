"""Sanic over the shared table of route shapes, with blueprints in groups, on its own server and on those of ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import sanic
from sanic.views import HTTPMethodView

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.sanic import trace_app
from tests.integrations.recorder import Recorder
from tests.middleware.http_by_hand import UPGRADE, ask_port
from tests.middleware.requests_by_hand import ask_asgi
from tests.middleware.route_runs import (
    Found,
    ask_shape_in_loop,
    check,
    found_in_loop,
    random_asgi,
    resources_in_loop,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, YEAR, Shape, below, check_resources, expected, written
from tests.middleware.sanic_app import begins, named, served

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:sanic")

_WITHOUT = {
    "span": "a parameter is a whole segment",
    "report": "a parameter is a whole segment; what it may end with is a kind of its own",
}
OWN = shapes_without(_WITHOUT)
ON_ITS_SERVER = [shape for shape in OWN if not shape.script]  # which knows no prefix
# OPTIONS and HEAD are methods like any other, and where a slash makes a difference, none is added.
STATUSES = {"OPTIONS": 405, "HEAD": 405, "slash missing": 404}


def answer(status: int) -> Callable[..., Any]:
    async def view(_request: Any, **_values: Any) -> Any:
        return sanic.text("shown", status) if status != 204 else sanic.empty()

    return view


def sync(_request: Any, **_values: Any) -> Any:
    return sanic.text("shown")


class Thing(HTTPMethodView):
    async def get(self, _request: Any, **_values: Any) -> Any:
        return sanic.text("shown")

    post = get


async def stream(request: Any, **_values: Any) -> None:
    response = await request.respond()
    await response.send("one")
    await response.send("two")
    await response.eof()


async def file(_request: Any, **_values: Any) -> Any:
    return await sanic.file(__file__)


def raising(error: Callable[[], BaseException]) -> Callable[..., Any]:
    async def view(_request: Any, **_values: Any) -> Any:
        raise error()

    return view


async def redirect(_request: Any, **_values: Any) -> Any:
    return sanic.redirect("/about")


async def chat(_request: Any, _socket: Any, **_values: Any) -> None:
    """Return at once."""


VIEWS: dict[str, Any] = {
    "text": sync,
    "class": Thing.as_view(),
    "async": answer(200),
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": file,
    "raise": raising(lambda: ERROR),
    "handled": raising(lambda: KeyError("cup")),
    "abort": raising(sanic.exceptions.Forbidden),
    "missing": raising(sanic.exceptions.NotFound),
    "redirect": redirect,
}


def form(name: str, kind: str) -> str:
    """Return a parameter as Sanic has it, with its kind."""
    return f"<{name}:{YEAR if kind == 'year' else kind}>"


def fill(into: Any, mounts: tuple[str, ...], prefix: str) -> list[Any]:
    """Add the places right below *mounts*, and return the blueprints, or groups of them, of what is nested there."""
    places, nested = below(mounts)
    for place in places:
        if place.name in _WITHOUT:
            continue
        if place.does == "chat":
            into.add_websocket_route(chat, written(place.route, form), name=place.name)
        else:
            methods = ["GET", "POST"] if place.does == "class" else place.methods
            route = written(place.route, form)
            strict = place.route.endswith("/")
            into.add_route(VIEWS[place.does], route, methods, name=place.name, strict_slashes=strict, unquote=True)
    found = []
    for mount in nested:
        name = f"{prefix}_{len(mounts)}{''.join(filter(str.isalnum, mount))}"
        blueprint = sanic.Blueprint(name)
        inner = fill(blueprint, (*mounts, mount), prefix)
        found.append(sanic.Blueprint.group(blueprint, *inner, url_prefix=written(mount, form)))
    return found


def application() -> Any:
    app = named()
    for each in fill(app, (), app.name):
        app.blueprint(each)
    app.exception(KeyError)(lambda _request, _error: sanic.text("handled", 409))
    return app


def automatic(app: Any) -> Any:
    ddmiddleware.patch(sanic=True)
    return begins(app)


def explicit(app: Any) -> Any:
    trace_app(app)
    return begins(app)


def both(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        return expected(shape, "sanic", form, status)

    app = trace(application())

    async def ask(shape: Shape) -> int:
        if shape.script:  # Sanic wants it cut off, as servers did before version 3 of the specification
            return (await ask_asgi(app, shape.path, shape.method, root_path=shape.script)).status
        return await ask_shape_in_loop(app, shape)

    found = found_in_loop(recorder, OWN, ask)
    check(found, OWN, STATUSES, expect)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes_on_its_own_server(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    async def use(port: int) -> Found:
        found: Found = {}
        for shape in ON_ITS_SERVER:
            headers = UPGRADE if shape.place.endswith("chat") else {}
            status = (await ask_port(port, quote(shape.path), shape.method, **headers)).status
            spans: list[dict[str, Any]] = []
            while not spans:  # the span ends after the last byte
                await asyncio.sleep(0)
                spans = recorder.take()
            found[shape.name] = status, spans
        return found

    def expect(shape: Shape, status: int) -> dict[str, Any]:
        made = expected(shape, "sanic", form, status)
        made["tags"]["http.url"] = f"http://testserver{shape.path}"  # a websocket begins as a request
        return made

    app = application()
    trace(app)
    found = served(app, use)
    assert recorder.take() == []
    check(found, ON_ITS_SERVER, STATUSES, expect)


def test_the_table_says_what_sanic_says() -> None:
    app = application()
    app.finalize()
    for shape in OWN:
        if shape.values is not None:
            route = next(each for each in app.router.routes if each.name.split(".")[-1] == shape.place)
            assert app.url_for(route.name.removeprefix(f"{app.name}."), **shape.values) == shape.path


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_asgi(automatic(application())))
    check_resources(found)
    assert {f"GET {rule}" for rule in ("/", "/users/<name:str>", "/shop/users/<number:int>")} <= found
