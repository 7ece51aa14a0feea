"""FastAPI over the shared table of route shapes: included routers, and applications mounted in applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import fastapi
import pytest

from tests.integrations.recorder import Recorder
from tests.middleware.route_shapes import SHAPES, Shape, below, check_resources, expected, written
from tests.middleware.starlette_views import VIEWS, ask, chat, conflict, form, resources_of_random_requests

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


@pytest.mark.parametrize("build", [with_routers, with_prefixes_of_their_own, with_applications])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_routes(patched: Recorder, shape: Shape, build: Callable[[], fastapi.FastAPI]) -> None:
    status = STATUSES.get(shape.name, shape.status)
    assert asyncio.run(ask(build(), shape)) == status
    assert patched.take() == [expected(shape, "fastapi", form, status)]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_fastapi_says(shape: Shape) -> None:
    assert with_routers().url_path_for(shape.place, **shape.values or {}) == shape.path


@pytest.mark.parametrize("build", [with_routers, with_applications])
def test_random_requests(patched: Recorder, build: Callable[[], fastapi.FastAPI]) -> None:
    found = asyncio.run(resources_of_random_requests(build(), patched))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
