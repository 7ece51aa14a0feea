"""Quart over the shared table of route shapes, with nested blueprints."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import quart
from quart.views import MethodView
from werkzeug.routing import BaseConverter

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.quart import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import (
    ask_shape_in_loop,
    check,
    found_in_loop,
    random_asgi,
    resources_in_loop,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, YEAR, Shape, below, check_resources, expected, written

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:quart")

OWN = shapes_without({})
STATUSES: dict[str, int] = {}


class Year(BaseConverter):
    regex = YEAR


class Thing(MethodView):
    async def get(self, **_values: Any) -> str:
        return "shown"

    async def post(self, **_values: Any) -> str:
        return "shown"


def answer(status: int) -> Callable[..., Any]:
    async def view(**_values: Any) -> tuple[str, int]:
        return "", status

    return view


async def stream(**_values: Any) -> Any:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return parts()


async def file(**_values: Any) -> Any:
    return await quart.send_file(__file__)


async def fail(**_values: Any) -> str:
    raise ERROR


async def handled(**_values: Any) -> str:
    raise KeyError("cup")


async def abort(**_values: Any) -> None:
    quart.abort(403)


async def missing(**_values: Any) -> None:
    quart.abort(404)


async def redirect(**_values: Any) -> Any:
    return quart.redirect("/about")


async def chat(**_values: Any) -> None:
    await quart.websocket.accept()


VIEWS: dict[str, Any] = {
    "text": answer(200),
    "class": Thing.as_view("thing"),
    "async": answer(200),
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
}


def form(name: str, kind: str) -> str:
    return f"<{name}>" if kind == "str" else f"<{kind}:{name}>"


def fill(scaffold: Any, mounts: tuple[str, ...] = ()) -> None:
    places, nested = below(mounts)
    for place in places:
        rule = written(place.route, form)
        if place.does == "chat":
            scaffold.add_websocket(rule, place.name, chat)
        else:
            scaffold.add_url_rule(rule, place.name, VIEWS[place.does], methods=place.methods)
    for mount in nested:
        name = f"at{len(mounts)}{''.join(filter(str.isalnum, mount))}"
        blueprint = quart.Blueprint(name, name, url_prefix=written(mount, form))
        fill(blueprint, (*mounts, mount))
        scaffold.register_blueprint(blueprint)


def application() -> quart.Quart:
    app = quart.Quart("shop", static_folder=None)
    app.logger.disabled = True
    app.url_map.converters["year"] = Year
    app.register_error_handler(KeyError, lambda _error: ("handled", 409))
    fill(app)
    return app


def endpoint(app: quart.Quart, shape: Shape) -> str:
    (name,) = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[-1] == shape.place}
    return name


def automatic(app: quart.Quart) -> Any:
    ddmiddleware.patch(quart=True)
    return app


def explicit(app: quart.Quart) -> Any:
    TraceMiddleware(app)
    return app


def both(app: quart.Quart) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[quart.Quart], Any]) -> None:
    inner = application()

    def expect(shape: Shape, status: int) -> dict[str, Any]:
        tags = {"quart.endpoint": endpoint(inner, shape)} if shape.place and status != 405 else {}
        return expected(shape, "quart", form, status, **tags)

    found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, trace(inner)))
    check(found, OWN, STATUSES, expect)


def test_the_table_says_what_quart_says() -> None:
    app = application()
    shapes = [shape for shape in OWN if shape.values is not None and not shape.name.startswith("websocket")]

    async def paths() -> dict[str, str]:
        async with app.test_request_context("/"):
            return {shape.name: quart.url_for(endpoint(app, shape), **shape.values or {}) for shape in shapes}

    assert asyncio.run(paths()) == {shape.name: shape.path for shape in shapes}


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_asgi(automatic(application())))
    check_resources(found)
    assert {f"GET {rule}" for rule in ("/", "/users/<name>", "/shop/users/<int:number>")} <= found
