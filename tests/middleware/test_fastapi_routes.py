"""FastAPI over the shared table of route shapes: included routers, and applications mounted in applications."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import fastapi
import pytest

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.fastapi import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import ask_shape_in_loop, check, found_in_loop, resources_in_loop, shapes_without
from tests.middleware.route_shapes import SHAPES, Shape, below, check_resources, expected, written
from tests.middleware.starlette_views import VIEWS, chat, conflict, form, random_ask

OWN = shapes_without({})
# FastAPI's own answers: HEAD is a method like any other too, and a slash is added by 307.
STATUSES = {"slash missing": 307, "OPTIONS": 405, "HEAD": 405}


def fill(router: fastapi.FastAPI | fastapi.APIRouter, mounts: tuple[str, ...]) -> list[str]:
    """Add the places right below *mounts*, and return what is nested there."""
    places, nested = below(mounts)
    for place in places:
        template = written(place.route, form)
        if place.does == "chat":
            router.add_api_websocket_route(template, chat, name=place.name)
        elif place.does == "class":  # Starlette's, for which FastAPI has nothing
            adder = router.router if isinstance(router, fastapi.FastAPI) else router
            adder.add_route(template, VIEWS["class"], name=place.name)
        else:
            router.add_api_route(template, VIEWS[place.does], name=place.name, methods=list(place.methods))
    return nested


def application() -> fastapi.FastAPI:
    return fastapi.FastAPI(exception_handlers={KeyError: conflict}, openapi_url=None)


def with_routers() -> fastapi.FastAPI:
    def include(router: fastapi.FastAPI | fastapi.APIRouter, mounts: tuple[str, ...]) -> None:
        for mount in fill(router, mounts):
            inner = fastapi.APIRouter()
            include(inner, (*mounts, mount))
            router.include_router(inner, prefix=written(mount, form))

    app = application()
    include(app, ())
    return app


def with_prefixes_of_their_own() -> fastapi.FastAPI:
    def include(router: fastapi.FastAPI | fastapi.APIRouter, mounts: tuple[str, ...]) -> None:
        for mount in fill(router, mounts):
            inner = fastapi.APIRouter(prefix=written(mount, form))
            include(inner, (*mounts, mount))
            router.include_router(inner)

    app = application()
    include(app, ())
    return app


def with_applications() -> fastapi.FastAPI:
    def mount_all(app: fastapi.FastAPI, mounts: tuple[str, ...]) -> None:
        for mount in fill(app, mounts):
            inner = application()
            mount_all(inner, (*mounts, mount))
            app.mount(written(mount, form), inner)

    app = application()
    mount_all(app, ())
    return app


def automatic(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch(fastapi=True)
    return app


def explicit(app: fastapi.FastAPI) -> Any:
    app.add_middleware(TraceMiddleware)
    return app


def both(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("build", [with_routers, with_prefixes_of_their_own, with_applications])
@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(
    recorder: Recorder, trace: Callable[[fastapi.FastAPI], Any], build: Callable[[], fastapi.FastAPI]
) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        return expected(shape, "fastapi", form, status)

    found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, trace(build())))
    check(found, OWN, STATUSES, expect)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_fastapi_says(shape: Shape) -> None:
    assert with_routers().url_path_for(shape.place, **shape.values or {}) == shape.path


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_ask(automatic(with_routers())))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
