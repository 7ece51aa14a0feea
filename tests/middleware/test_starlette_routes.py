"""Starlette over the shared table of route shapes, its mounts with routes or with applications of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from tests.integrations.recorder import Recorder
from tests.middleware.route_shapes import SHAPES, Shape, below, check_resources, expected, written
from tests.middleware.starlette_views import VIEWS, ask, chat, conflict, form, resources_of_random_requests

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


@pytest.mark.parametrize("build", [with_routes, with_applications])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_routes(patched: Recorder, shape: Shape, build: Callable[[], Starlette]) -> None:
    status = STATUSES.get(shape.name, shape.status)
    assert asyncio.run(ask(build(), shape)) == status
    assert patched.take() == [expected(shape, "starlette", form, status)]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_starlette_says(shape: Shape) -> None:
    assert with_routes().url_path_for(shape.place, **shape.values or {}) == shape.path


def test_random_requests(patched: Recorder) -> None:
    found = asyncio.run(resources_of_random_requests(with_applications(), patched))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
