"""Starlette over the shared table of route shapes, its mounts with routes or with applications of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.starlette import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import ask_shape_in_loop, check, found_in_loop, resources_in_loop, shapes_without
from tests.middleware.route_shapes import SHAPES, Shape, below, check_resources, expected, written
from tests.middleware.starlette_views import VIEWS, chat, conflict, form, random_ask

OWN = shapes_without({})
# Starlette's own answers: OPTIONS is a method like any other, and a slash is added by 307.
STATUSES = {"slash missing": 307, "OPTIONS": 405}


def routes(mounts: tuple[str, ...], nest: Callable[[str, list[BaseRoute]], Mount]) -> list[BaseRoute]:
    places, nested = below(mounts)
    found: list[BaseRoute] = []
    for place in places:
        template = written(place.route, form)
        if place.does == "chat":
            found.append(WebSocketRoute(template, chat, name=place.name))
        else:
            found.append(Route(template, VIEWS[place.does], name=place.name, methods=list(place.methods)))
    return [*found, *(nest(written(mount, form), routes((*mounts, mount), nest)) for mount in nested)]


def with_routes() -> Starlette:
    found = routes((), lambda template, below: Mount(template, routes=below))
    return Starlette(routes=found, exception_handlers={KeyError: conflict})


def with_applications() -> Starlette:
    found = routes((), lambda template, below: Mount(template, app=Starlette(routes=below)))
    return Starlette(routes=found, exception_handlers={KeyError: conflict})


def automatic(app: Starlette) -> Any:
    ddmiddleware.patch(starlette=True)
    return app


def explicit(app: Starlette) -> Any:
    app.add_middleware(TraceMiddleware)
    return app


def both(app: Starlette) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("build", [with_routes, with_applications])
@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Starlette], Any], build: Callable[[], Starlette]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        return expected(shape, "starlette", form, status)

    found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, trace(build())))
    check(found, OWN, STATUSES, expect)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_starlette_says(shape: Shape) -> None:
    assert with_routes().url_path_for(shape.place, **shape.values or {}) == shape.path


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_ask(automatic(with_applications())))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
