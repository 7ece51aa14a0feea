"""CherryPy over the shared table of route shapes: a tree of objects, whose handlers name the requests."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cherrypy
import pytest
from cherrypy.lib.static import serve_file

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.cherrypy import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import (
    ask_shape,
    check,
    found_by,
    random_wsgi,
    resources_of_random_requests,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, PLACES, Place, Shape, check_resources, expected, full

OWN = shapes_without(
    {
        "chat": "WSGI has no websockets",
        "shop_chat": "WSGI has no websockets",
        "async": "CherryPy calls functions",
        "slash missing": "it redirects to every index; the shape is asked for below, where it has a name",
        "404 by a parameter's type": "parameters are text, which a handler looks at itself",
    }
)
# OPTIONS is a method like any other.
STATUSES = {"OPTIONS": 405}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cherrypy.log, "screen", False)
    logging.disable()  # CherryPy logs every request
    yield
    logging.disable(logging.NOTSET)


def text() -> Any:
    return "shown"


def answer(status: int) -> Callable[[], Any]:
    def view() -> str:
        cherrypy.response.status = status
        return "" if status == 204 else "shown"

    return view


def stream() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def raising(error: Callable[[], BaseException]) -> Callable[[], Any]:
    def view() -> Any:
        raise error()

    return view


VIEWS: dict[str, Callable[[], Any]] = {
    "text": text,
    "class": text,
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": lambda: serve_file(__file__),
    "raise": raising(lambda: ERROR),
    "handled": raising(lambda: KeyError("cup")),
    "abort": raising(lambda: cherrypy.HTTPError(403)),
    "missing": raising(lambda: cherrypy.NotFound()),
    "redirect": raising(lambda: cherrypy.HTTPRedirect("/about", 302)),
}


def conflict() -> None:
    """Answer what ``handled`` raises."""
    if isinstance(sys.exc_info()[1], KeyError):
        cherrypy.response.status = 409
        cherrypy.response.body = b"handled"
    else:
        cherrypy.HTTPError(500).set_response()


def kind(place: Place, places: list[Place]) -> str:
    """Return the name of the method that serves a place, one of those at the same path."""
    if place.does == "class" or len(places) > 1:
        return place.methods[0]
    return "index" if place.route.endswith("/") else "default" if ":path" in place.route else "__call__"


SAME = {place.name: [other for other in PLACES.values() if full(other) == full(place)] for place in PLACES.values()}


def handler(shape: Shape) -> str:
    """Return the dotted name of what serves a shape."""
    place = PLACES[shape.place]
    method = kind(place, SAME[place.name])
    if place.does == "class":
        method = shape.method
    owner = f"{__name__}.{SAME[place.name][0].name}"
    return owner if method == "__call__" else f"{owner}.{method}"


def method_of(name: str, place: Place) -> Any:
    def method(self: Any, *_parts: str, **_values: str) -> Any:
        return VIEWS[place.does]()

    method.__name__ = name
    allowed = {"tools.allow.on": True, "tools.allow.methods": list(place.methods)}
    return cherrypy.expose(cherrypy.config(**{"response.stream": place.does == "stream", **allowed})(method))


def node(depth: int, places: list[Place]) -> Any:
    """Return the object at the first *depth* parts of the paths of *places*."""
    here, below = [], dict[str, list[Place]]()
    for place in places:
        parts = full(place).strip("/").split("/")
        parts = parts[:-1] if ":path" in parts[-1] else [part for part in parts if part]
        if len(parts) == depth:
            here.append(place)
        else:
            below.setdefault(parts[depth], []).append(place)
    members: dict[str, Any] = {}
    for place in here:
        names = place.methods if place.does == "class" else (kind(place, here),)
        members.update((name, method_of(name, place)) for name in names)
    if "__call__" in members:
        members |= {"exposed": True, "_cp_config": members["__call__"]._cp_config}
    elif here and here[0].methods[0] in members:
        members["exposed"] = True
    children = {part: node(depth + 1, inner) for part, inner in below.items()}
    for part, child in children.items():
        if "{" in part:
            members["_cp_dispatch"] = parameter(part, child)
        else:
            members[part] = child
    return type(here[0].name if here else "node", (), members)()


def parameter(part: str, child: Any) -> Callable[..., Any]:
    """Return what takes one part of a path for the value of a parameter."""
    pattern = re.compile(re.sub(r"\\\{.*?\}", "(.+)", re.escape(part).replace(r"\}", "}")))

    def dispatch(_self: Any, vpath: list[str]) -> Any:
        return child if pattern.fullmatch(vpath.pop(0)) else None

    return dispatch


def application() -> Any:
    places = [place for place in PLACES.values() if place.does in VIEWS]
    by_method = {"request.dispatch": cherrypy.dispatch.MethodDispatcher(), "tools.allow.on": False}
    everywhere = {"request.show_tracebacks": False, "request.error_response": conflict}
    tree = node(0, places)
    return cherrypy.Application(tree, None, config={"/": everywhere, "/carts": by_method, "/things": by_method})


def sized(app: Any) -> Any:
    """Return *app* behind a server that says the size of a body: CherryPy asks for it."""
    return lambda environ, start_response: app({**environ, "CONTENT_LENGTH": "0"}, start_response)


def automatic(app: Any) -> Any:
    ddmiddleware.patch(cherrypy=True)
    return app


def explicit(app: Any) -> Any:
    return TraceMiddleware(app)


def both(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return wsgi.TraceMiddleware(explicit(app))


def named(shape: Shape, status: int) -> dict[str, Any]:
    """Return the span of a shape, with the handler for the template."""
    made = expected(shape, "cherrypy", lambda name, _kind: name, status)
    if made["tags"].pop("http.route", None):
        made["resource"] = f"{made['tags']['http.method']} {handler(shape)}"
    return made


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Any], Any]) -> None:
    app = sized(trace(application()))
    check(found_by(recorder, OWN, lambda shape: ask_shape(app, shape)), OWN, STATUSES, named)


def test_a_slash_is_added_to_an_index(recorder: Recorder) -> None:
    shape = Shape("slash missing", "slash", "/slash", status=301)
    assert ask_shape(automatic(application()), shape) == 301
    assert recorder.take() == [named(shape, 301)]


def test_random_requests(recorder: Recorder) -> None:
    app = sized(automatic(application()))
    found = resources_of_random_requests(recorder, random_wsgi(app))
    check_resources(found)
    assert {f"GET {__name__}.{name}" for name in ("home.index", "user", "shop_user")} <= found
