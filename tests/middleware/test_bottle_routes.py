"""Bottle over the shared table of route shapes, with applications mounted in applications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bottle
import pytest

import ddmiddleware
from ddmiddleware.bottle import TracePlugin
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import (
    ask_shape,
    check,
    found_by,
    random_wsgi,
    resources_of_random_requests,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, PLACES, YEAR, Shape, below, check_resources, expected, full, written

OWN = shapes_without(
    {
        "chat": "WSGI has no websockets",
        "shop_chat": "WSGI has no websockets",
        "async": "Bottle calls functions",
        "tenant_user": "what is mounted has a fixed prefix",
        "area_user": "what is mounted has a fixed prefix",
    }
)
# Bottle redirects no slashes, and OPTIONS is a method like any other.
STATUSES = {"slash missing": 404, "OPTIONS": 405}


def text(**_values: Any) -> Any:
    return "shown"


def answer(status: int) -> Callable[..., Any]:
    return lambda **_values: bottle.HTTPResponse("shown" if status != 204 else "", status)


def stream(**_values: Any) -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def fail(**_values: Any) -> Any:
    raise ERROR


def handled(**_values: Any) -> Any:
    raise KeyError("cup")


VIEWS: dict[str, Callable[..., Any]] = {
    "text": text,
    "class": text,
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": lambda **_values: bottle.static_file(Path(__file__).name, root=Path(__file__).parent),
    "raise": fail,
    "handled": handled,
    "abort": lambda **_values: bottle.abort(403),
    "missing": lambda **_values: bottle.abort(404),
    "redirect": lambda **_values: bottle.redirect("/about", 302),
}


def conflicts(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin, which is where Bottle's applications answer exceptions."""

    def answering(**values: Any) -> Any:
        try:
            return callback(**values)
        except KeyError:
            return bottle.HTTPResponse("handled", 409)

    return answering


def form(name: str, kind: str) -> str:
    filters = {"str": "", "uuid": ":re:[0-9a-f-]{36}", "year": f":re:{YEAR}"}
    return f"<{name}{filters.get(kind, ':' + kind)}>"


def application(mounts: tuple[str, ...] = ()) -> Any:
    app = bottle.Bottle()
    app.install(conflicts)
    places, nested = below(mounts)
    for place in places:
        if place.does in VIEWS:
            app.route(written(place.route, form), list(place.methods), VIEWS[place.does], name=place.name)
    for mount in nested:
        if "{" not in mount:
            app.mount(f"{mount}/", application((*mounts, mount)))
    return app


def automatic(app: Any) -> Any:
    ddmiddleware.patch(bottle=True)
    return app


def explicit(app: Any) -> Any:
    app.install(TracePlugin())
    return app


def both(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return explicit(app)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        return expected(shape, "bottle", form, status)

    app = trace(application())
    check(found_by(recorder, OWN, lambda shape: ask_shape(app, shape)), OWN, STATUSES, expect)


@pytest.mark.parametrize("shape", [shape for shape in OWN if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_bottle_says(shape: Shape) -> None:
    mounts = PLACES[shape.place].mounts
    path = application(mounts).get_url(
        shape.place, **{name: str(value) for name, value in (shape.values or {}).items()}
    )
    assert "".join(mounts) + path == shape.path


def test_random_requests(recorder: Recorder) -> None:
    app = automatic(application())
    found = resources_of_random_requests(recorder, random_wsgi(app))
    check_resources(found)
    assert {f"GET {written(full(PLACES[name]), form)}" for name in ("home", "user", "shop_user")} <= found
