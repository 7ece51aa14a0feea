"""Pyramid over the shared table of route shapes, with prefixes in prefixes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPNotFound
from pyramid.request import Request
from pyramid.response import FileResponse, Response

import ddmiddleware
from ddmiddleware.pyramid import trace_pyramid
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
        "async": "Pyramid calls functions",
    }
)
# A view that takes no such method is not found, and a slash is added by 307.
STATUSES = {
    "slash missing": 307,
    "OPTIONS": 404,
    "405": 404,
    "405 below a mount": 404,
    "405 by a method that nobody knows": 404,
}


class Thing:
    def __init__(self, request: Any) -> None:
        self.request = request

    def __call__(self) -> Any:
        return Response("shown")


def fail(_request: Any) -> Any:
    raise ERROR


def handled(_request: Any) -> Any:
    raise KeyError("cup")


def abort(_request: Any) -> Any:
    raise HTTPForbidden


def missing(_request: Any) -> Any:
    raise HTTPNotFound


VIEWS: dict[str, Callable[..., Any]] = {
    "text": lambda _request: Response("shown"),
    "class": Thing,
    "create": lambda _request: Response("shown", 201),
    "empty": lambda _request: Response(status=204),
    "unavailable": lambda _request: Response("later", 503),
    "stream": lambda _request: Response(app_iter=iter([b"one", b"two"])),
    "file": lambda request: FileResponse(__file__, request),
    "raise": fail,
    "handled": handled,
    "abort": abort,
    "missing": missing,
    "redirect": lambda _request: HTTPFound("/about"),
}
_KINDS = {"int": r"\d+", "float": r"\d+\.\d+", "path": ".+", "uuid": "[0-9a-f-]{36}", "year": YEAR}


def form(name: str, kind: str) -> str:
    return f"{{{name}}}" if kind == "str" else f"{{{name}:{_KINDS[kind]}}}"


def fill(config: Any, mounts: tuple[str, ...] = ()) -> None:
    places, nested = below(mounts)
    for place in places:
        if place.does in VIEWS:
            # Two routes of one template: the first whose method fits.
            predicates = {"request_method": place.methods} if "cart" in place.name else {}
            config.add_route(place.name, written(place.route, form), **predicates)
            config.add_view(VIEWS[place.does], route_name=place.name, request_method=place.methods)
    for mount in nested:
        with config.route_prefix_context(written(mount, form)):
            fill(config, (*mounts, mount))


def automatic(_config: Any) -> None:
    ddmiddleware.patch(pyramid=True)


def explicit(config: Any) -> None:
    trace_pyramid(config)


def both(config: Any) -> None:
    ddmiddleware.patch_all(logging=False)
    trace_pyramid(config)


def application(trace: Callable[[Any], None]) -> Any:
    config = Configurator()
    trace(config)
    fill(config)
    config.add_view(lambda _error, _request: Response("handled", 409), context=KeyError)
    config.add_notfound_view(append_slash=True)
    return config.make_wsgi_app()


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Any], None]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        tags = {"pyramid.route.name": shape.place} if shape.place else {}
        return expected(shape, "pyramid", form, status, **tags)

    app = application(trace)
    check(found_by(recorder, OWN, lambda shape: ask_shape(app, shape)), OWN, STATUSES, expect)


def test_the_table_says_what_pyramid_says() -> None:
    request = Request.blank("/")
    request.registry = application(lambda _config: None).registry
    shapes = [shape for shape in OWN if shape.values is not None]
    paths = {shape.name: request.route_path(shape.place, **shape.values or {}) for shape in shapes}
    assert paths == {shape.name: shape.path for shape in shapes}


def test_random_requests(recorder: Recorder) -> None:
    found = resources_of_random_requests(recorder, random_wsgi(application(automatic)))
    check_resources(found)
    assert {f"GET {written(full(PLACES[name]), form)}" for name in ("home", "user", "shop_user")} <= found
