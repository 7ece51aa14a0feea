"""Django over the shared table of route shapes, with includes in includes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.urls import reverse

import ddmiddleware
from tests.django_project.shapes import form
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import asgi_app, wsgi_app
from tests.middleware.route_runs import (
    Found,
    ask_shape,
    ask_shape_in_loop,
    check,
    found_by,
    found_in_loop,
    random_wsgi,
    resources_of_random_requests,
    shapes_without,
)
from tests.middleware.route_shapes import Shape, check_resources, expected

# Files are read by ordinary code, which Django then runs on a thread.
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")

_CHANNELS = "Django has no websockets; those of Channels are in test_websocket"
OWN = shapes_without({"chat": _CHANNELS, "shop_chat": _CHANNELS})
# A slash is added by 301, and OPTIONS is a method like any other.
STATUSES = {"slash missing": 301, "OPTIONS": 405}
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "tests.django_project.shapes.Conflicts"]
OURS = ["ddmiddleware.django.TraceMiddleware", *MIDDLEWARE]


@pytest.fixture(autouse=True)
def _project() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.django_project.shapes", MIDDLEWARE=MIDDLEWARE):
        yield


def automatic() -> None:
    ddmiddleware.patch(django=True)


def both() -> None:
    ddmiddleware.patch_all(logging=False)


def expect(shape: Shape, status: int) -> dict[str, Any]:
    return expected(shape, "django", form, status)


def requests_of(found: Found) -> Found:
    """Return the requests' spans alone, and these without the view, which is not of the table."""
    kept: Found = {}
    for name, (status, spans) in found.items():
        servers = [span for span in spans if span["tags"].get("span.kind") == "server"]
        for span in servers:
            assert ("django.view" in span["tags"]) == ("http.route" in span["tags"])
            span["tags"].pop("django.view", None)
        kept[name] = status, servers
    return kept


@pytest.mark.parametrize(
    ("patch", "middleware"), [(automatic, MIDDLEWARE), (int, OURS), (both, OURS)], ids=["patched", "explicit", "both"]
)
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_routes(recorder: Recorder, patch: Any, middleware: list[str], interface: str) -> None:
    patch()
    with override_settings(MIDDLEWARE=middleware):
        if interface == "wsgi":
            app = wsgi_app()
            found = found_by(recorder, OWN, lambda shape: ask_shape(app, shape))
        else:
            found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, asgi_app()))
    check(requests_of(found), OWN, STATUSES, expect)


def test_the_table_says_what_django_says() -> None:
    shapes = [shape for shape in OWN if shape.values is not None]
    paths = {shape.name: reverse(shape.place, kwargs=shape.values) for shape in shapes}
    assert paths == {shape.name: shape.path for shape in shapes}


def test_random_requests(recorder: Recorder) -> None:
    automatic()
    found = resources_of_random_requests(recorder, random_wsgi(wsgi_app()))
    check_resources(found)
    assert {f"GET {route}" for route in ("/", "/users/<str:name>", "/shop/users/<int:number>")} <= found
