"""Litestar over the shared table of route shapes, with routers in routers."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from litestar import Controller, HttpMethod, Litestar, Request, Response, Router, WebSocket, get, post, route, websocket
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.response import File, Redirect, Stream

import ddmiddleware
from ddmiddleware import asgi
from ddmiddleware.litestar import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked
from tests.middleware.route_runs import (
    ask_shape_in_loop,
    check,
    found_in_loop,
    random_asgi,
    resources_in_loop,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, Place, Shape, below, check_resources, expected, written

_WHOLE = "a parameter is a whole segment"
_SLASH = "templates end in no slash, see below"
OWN = shapes_without(
    {
        "report": _WHOLE,
        "span": _WHOLE,
        "year": "parameters have types and no regular expressions",
        "slash": _SLASH,
        "slash missing": _SLASH,
        "shop_home": _SLASH,
        "prefix and root": _SLASH,
    }
)
# HEAD is a method like any other, and OPTIONS is answered without content.
STATUSES = {"HEAD": 405, "OPTIONS": 204}


def answer(status: int) -> Callable[[], Any]:
    return lambda: Response("shown" if status != 204 else None, status_code=status, media_type="text/plain")


def stream() -> Any:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return Stream(parts())


def fail() -> Any:
    raise ERROR


def handled() -> Any:
    raise KeyError("cup")


def abort() -> Any:
    raise PermissionDeniedException


def missing() -> Any:
    raise NotFoundException


VIEWS: dict[str, Callable[[], Any]] = {
    "text": answer(200),
    "async": answer(200),
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": lambda: File(__file__),
    "raise": fail,
    "handled": handled,
    "abort": abort,
    "missing": missing,
    "redirect": lambda: Redirect("/about", status_code=302),
}


def handler(place: Place) -> Any:
    """Return what Litestar makes a route of."""
    path = written(place.route, form)
    if place.does == "chat":

        @websocket(path, name=place.name)
        async def chat(socket: WebSocket[Any, Any, Any]) -> None:
            await socket.accept()

        return chat
    if place.does == "class":

        class Thing(Controller):
            path = written(place.route, form)

            @get(name=place.name)
            async def shown(self) -> str:
                return "shown"

            @post(status_code=200)
            async def posted(self) -> str:
                return "shown"

        return Thing

    @route(path, http_method=[HttpMethod(method) for method in place.methods], name=place.name, status_code=200)
    async def view(request: Request[Any, Any, Any]) -> Any:
        return VIEWS[place.does]()

    return view


def form(name: str, kind: str) -> str:
    return f"{{{name}:{kind}}}"


def handlers(mounts: tuple[str, ...] = ()) -> list[Any]:
    places, nested = below(mounts)
    left = ("report", "span", "year")
    found = [handler(place) for place in places if place.name not in left]
    return [*found, *(Router(written(mount, form), route_handlers=handlers((*mounts, mount))) for mount in nested)]


def application() -> Litestar:
    conflict: Any = {KeyError: lambda _request, _error: Response("handled", status_code=409)}
    return Litestar(handlers(), exception_handlers=conflict, logging_config=None, openapi_config=None)


def automatic(app: Litestar) -> Any:
    ddmiddleware.patch(litestar=True)
    return app


def explicit(app: Litestar) -> Any:
    return TraceMiddleware(app)


def both(app: Litestar) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(TraceMiddleware(app))


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[Litestar], Any]) -> None:
    def expect(shape: Shape, status: int) -> dict[str, Any]:
        return expected(shape, "litestar", lambda name, _kind: f"{{{name}}}", status)

    found = found_in_loop(recorder, OWN, functools.partial(ask_shape_in_loop, trace(application())))
    check(found, OWN, STATUSES, expect)


def test_the_table_says_what_litestar_says() -> None:
    app = application()
    # A parameter that is called name stands in the way of route_reverse's own.
    shapes = [shape for shape in OWN if shape.values is not None and "name" not in shape.values]
    paths = {shape.name: app.route_reverse(shape.place, **shape.values or {}) for shape in shapes}
    assert paths == {shape.name: shape.path for shape in shapes}


def test_slashes(recorder: Recorder) -> None:
    app = automatic(application())
    for path in ("/slash/", "/slash", "/shop/"):
        asked(app, path)
    routes = [(found["tags"]["http.status_code"], found["resource"]) for found in recorder.take()]
    assert routes == [("200", "GET /slash"), ("200", "GET /slash"), ("200", "GET /shop")]


def test_random_requests(recorder: Recorder) -> None:
    found = resources_in_loop(recorder, random_asgi(automatic(application())))
    check_resources(found)
    assert {f"GET {template}" for template in ("/", "/users/{name}", "/shop/users/{number}")} <= found
