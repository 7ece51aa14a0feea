"""Connexion over the shared table of route shapes: both kinds of applications, a specification for each base path."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import flask
import pytest
from starlette.responses import FileResponse, RedirectResponse, StreamingResponse

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.connexion import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.connexion_shops import Resolver, SwaggerUIOptions, connexion, executors
from tests.middleware.requests_by_hand import span
from tests.middleware.route_runs import (
    ask_shape_in_loop,
    check,
    found_in_loop,
    random_asgi,
    resources_in_loop,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, PLACES, Place, Shape, check_resources, expected, full, written

OWN = shapes_without({"chat": "OpenAPI describes no websockets", "shop_chat": "OpenAPI describes no websockets"})
# OPTIONS is a method like any other, and a slash is added by 307.
STATUSES = {"slash missing": 307, "OPTIONS": 405}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Connexion logs what goes wrong, and Flask runs on threads that nobody ends."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    while executors:
        executors.pop().shutdown()


def answer(body: str, status: int) -> Callable[..., Any]:
    return lambda **_values: (body, status)


def raising(error: Callable[[], BaseException]) -> Callable[..., Any]:
    def view(**_values: Any) -> Any:
        raise error()

    return view


async def later(**_values: Any) -> str:
    return "shown"


VIEWS: dict[str, Callable[..., Any]] = {
    "text": answer("shown", 200),
    "class": answer("shown", 200),
    "async": later,
    "create": answer("shown", 201),
    "empty": answer("", 204),
    "unavailable": answer("later", 503),
    "raise": raising(lambda: ERROR),
    "handled": raising(lambda: KeyError("cup")),
    "abort": raising(connexion.exceptions.Forbidden),
    "missing": answer("none", 404),
}


async def starlette_stream(**_values: Any) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return StreamingResponse(parts())


STARLETTES: dict[str, Callable[..., Any]] = {
    "stream": starlette_stream,
    "file": lambda **_values: FileResponse(__file__),
    "redirect": lambda **_values: RedirectResponse("/about", 302),
}
FLASKS: dict[str, Callable[..., Any]] = {
    "stream": lambda **_values: flask.Response(iter(("one", "two"))),
    "file": lambda **_values: flask.send_file(__file__),
    "redirect": lambda **_values: flask.redirect("/about"),
}
_TYPES = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "path": {"type": "string", "format": "path"},
    "uuid": {"type": "string", "format": "uuid"},
    "year": {"type": "string", "pattern": "^[0-9]{4}$"},
    "str": {"type": "string"},
}


def form(name: str, kind: str) -> str:
    """Return a parameter as Connexion has it in the templates of its router."""
    return f"{{{name}:{kind}}}" if kind in ("int", "float", "path") else f"{{{name}}}"


def base_path(place: Place) -> str:
    """Return where the specification of a place is; one with parameters stands in the paths."""
    path = "".join(place.mounts)
    return "" if "{" in path else path


def specification(places: list[Place]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for place in places:
        parameters: list[dict[str, Any]] = []

        def described(name: str, kind: str, into: list[dict[str, Any]] = parameters) -> str:
            into.append({"name": name, "in": "path", "required": True, "schema": _TYPES[kind]})
            return f"{{{name}}}"

        path = written(full(place).removeprefix(base_path(place)), described)
        for method in place.methods:
            operation = {
                "operationId": f"{place.name}.{method}",
                "parameters": parameters,
                "responses": {"200": {"description": "fine"}},
            }
            paths.setdefault(path, {})[method.lower()] = operation
    return {"openapi": "3.0.0", "info": {"title": "shop", "version": "1"}, "paths": paths}


def fill(app: Any, views: dict[str, Callable[..., Any]]) -> Any:
    views = {**VIEWS, **views}
    resolver = Resolver(lambda name: views[PLACES[name.partition(".")[0]].does])
    places = [place for place in PLACES.values() if place.does in views]
    for path in sorted({base_path(place) for place in places}, reverse=True):
        below = [place for place in places if base_path(place) == path]
        app.add_api(specification(below), base_path=path or None, resolver=resolver, name=f"api at {path}")
    app.add_error_handler(KeyError, lambda _request, _error: connexion.lifecycle.ConnexionResponse(409, body="handled"))
    return app


OPTIONS = SwaggerUIOptions(swagger_ui=False, serve_spec=False)


def with_starlette() -> Any:
    return fill(connexion.AsyncApp("shop", swagger_ui_options=OPTIONS), STARLETTES)


def with_flask() -> Any:
    app = connexion.FlaskApp("shop", swagger_ui_options=OPTIONS)
    executors.append(app._middleware_app.asgi_app.executor)
    return fill(app, FLASKS)


def automatic(app: Any) -> Any:
    ddmiddleware.patch(connexion=True)
    return app


def explicit(app: Any) -> Any:
    return TraceMiddleware(app)


def both(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("build", [with_starlette, with_flask])
@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Any], Any], build: Callable[[], Any]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        if shape.name == "slash missing":  # by the router of a specification, which is mounted at its base path
            return span("connexion", "/{path}", shape.path, status)
        return expected(shape, "connexion", form, status)

    found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, trace(build())))
    check(found, OWN, STATUSES, expect)


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_asgi(automatic(with_starlette())))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
