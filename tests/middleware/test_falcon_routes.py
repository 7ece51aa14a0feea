"""Falcon, WSGI and ASGI, over the shared table of route shapes: it has no mounts, so they are written out."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
import falcon.testing
import pytest
from falcon.routing import BaseConverter

import ddmiddleware
from ddmiddleware.falcon import ASGITraceMiddleware, TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked, span
from tests.middleware.route_runs import (
    ask_shape,
    ask_shape_in_loop,
    check,
    found_by,
    found_in_loop,
    random_asgi,
    random_wsgi,
    resources_in_loop,
    resources_of_random_requests,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, PLACES, Place, Shape, check_resources, expected, full, written

# Neither HEAD is added to a route nor a slash, OPTIONS is; and a method that nobody knows is a bad request.
STATUSES = {"slash missing": 404, "HEAD": 405, "405 by a method that nobody knows": 400}
_WHOLE = "what is matched is the path with the root path"
ASYNC = shapes_without({"prefix": _WHOLE, "prefix and mount": _WHOLE, "prefix and root": _WHOLE})
SYNC = shapes_without({"chat": "WSGI has no websockets", "shop_chat": "WSGI has no websockets", "async": "as is ASGI"})


class Year(BaseConverter):
    def convert(self, value: str) -> str | None:
        return value if len(value) == 4 and value.isdigit() else None


def act(does: str, resp: Any) -> None:
    """Answer as a place says."""
    match does:
        case "raise":
            raise ERROR
        case "handled":
            raise KeyError("cup")
        case "abort":
            raise falcon.HTTPForbidden
        case "missing":
            raise falcon.HTTPNotFound
        case "redirect":
            raise falcon.HTTPFound("/about")
    resp.status = {"create": 201, "empty": 204, "unavailable": 503}.get(does, 200)
    if resp.status != 204:
        resp.text = "shown"


def respond(does: str) -> Callable[..., None]:
    def responding(_self: Any, req: Any, resp: Any, **_values: Any) -> None:
        if does == "stream":
            resp.stream = iter([b"one", b"two"])
        elif does == "file":
            resp.stream = Path(__file__).open("rb")  # noqa: SIM115  # closed by the server
        else:
            act(does, resp)

    return responding


def respond_async(does: str) -> Callable[..., Any]:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def responding(_self: Any, req: Any, resp: Any, **_values: Any) -> None:
        if does in ("stream", "file"):
            resp.stream = parts()
        else:
            act(does, resp)

    return responding


async def chat(_self: Any, _req: Any, ws: Any, **_values: Any) -> None:
    await ws.accept()


def form(name: str, kind: str) -> str:
    return f"{{{name}}}" if kind == "str" else f"{{{name}:{kind}}}"


def fill(app: Any, respond: Callable[[str], Callable[..., Any]]) -> Any:
    app.router_options.converters["year"] = Year
    places: dict[str, list[Place]] = {}
    for place in PLACES.values():
        places.setdefault(full(place), []).append(place)
    for template, together in places.items():  # one resource has all methods of a template
        responders = {
            f"on_{method.lower()}": respond(place.does)
            for place in together
            if place.does != "chat"
            for method in place.methods
        }
        if together[0].does == "chat":
            if respond is not respond_async:
                continue
            responders["on_websocket"] = chat
        app.add_route(written(template, form), type("Resource", (), responders)())
    return app


def conflict(_req: Any, resp: Any, _error: Any, _params: Any) -> None:
    resp.status = 409


async def conflict_async(_req: Any, resp: Any, _error: Any, _params: Any, **_more: Any) -> None:
    resp.status = 409


def application() -> Any:
    app: Any = falcon.App()
    app.add_error_handler(KeyError, conflict)
    return fill(app, respond)


def async_application() -> Any:
    app: Any = falcon.asgi.App()
    app.add_error_handler(KeyError, conflict_async)
    return fill(app, respond_async)


def automatic(app: Any, _middleware: Any) -> Any:
    ddmiddleware.patch(falcon=True)
    return app


def explicit(app: Any, middleware: Any) -> Any:
    return middleware(app)


def both(app: Any, middleware: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return middleware(app)


def expect(shape: Shape, status: int) -> dict[str, Any]:
    return expected(shape, "falcon", form, status)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[..., Any]) -> None:
    app = trace(application(), TraceMiddleware)
    found = found_by(recorder, SYNC, lambda shape: ask_shape(app, shape))
    check(found, SYNC, STATUSES, expect)


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_async_routes(recorder: Recorder, trace: Callable[..., Any]) -> None:
    app = trace(async_application(), ASGITraceMiddleware)
    found = found_in_loop(recorder, ASYNC, functools.partial(ask_shape_in_loop, app))
    check(found, ASYNC, STATUSES, expect)


def test_a_template_that_holds_the_root_path(recorder: Recorder) -> None:
    app = falcon.asgi.App()
    app.add_route("/site/{name}", type("Resource", (), {"on_get": respond_async("text")})())
    asked(automatic(app, None), "/site/ada", root_path="/site")
    assert recorder.take() == [span("falcon", "/site/{name}", "/site/ada")]


def test_random_requests(recorder: Recorder) -> None:
    app = automatic(application(), None)
    found = resources_of_random_requests(recorder, random_wsgi(app))
    check_resources(found)
    found = resources_in_loop(recorder, random_asgi(async_application()))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number:int}")} <= found
