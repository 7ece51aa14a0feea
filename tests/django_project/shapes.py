"""The URLs of the shared table of route shapes, with includes in includes, and the middleware that answers KeyError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import include, path, register_converter
from django.views import View
from django.views.decorators.http import require_http_methods

from tests.middleware.route_shapes import ERROR, YEAR, Place, below, written


class Year:
    regex = YEAR

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Float(Year):
    regex = r"[0-9]+\.[0-9]+"


register_converter(Year, "year")
register_converter(Float, "float")


def answer(status: int) -> Callable[..., Any]:
    def view(_request: Any, **_values: Any) -> HttpResponse:
        return HttpResponse("shown" if status != 204 else "", status=status)

    return view


def stream(_request: Any, **_values: Any) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingHttpResponse(parts())


def file(_request: Any, **_values: Any) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


def fail(_request: Any, **_values: Any) -> None:
    raise ERROR


def handled(_request: Any, **_values: Any) -> None:
    raise KeyError("cup")


def abort(_request: Any, **_values: Any) -> None:
    raise PermissionDenied


def missing(_request: Any, **_values: Any) -> None:
    raise Http404


def redirect(_request: Any, **_values: Any) -> HttpResponse:
    return HttpResponseRedirect("/about")


async def later(_request: Any, **_values: Any) -> HttpResponse:
    return HttpResponse("shown")


class Thing(View):
    def get(self, _request: Any, **_values: Any) -> HttpResponse:
        return HttpResponse("shown")

    post = get


VIEWS: dict[str, Any] = {
    "text": answer(200),
    "async": later,
    "create": answer(201),
    "empty": answer(204),
    "unavailable": answer(503),
    "stream": stream,
    "file": file,
    "raise": fail,
    "handled": handled,
    "abort": abort,
    "missing": missing,
    "redirect": redirect,
}


def view_of(places: list[Place]) -> Any:
    """Return the view of one template, which Django looks for without the method."""
    if places[0].does == "class":
        return Thing.as_view()
    methods = {method: VIEWS[place.does] for place in places for method in place.methods}
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]
    if len(places) == 1:
        return require_http_methods(list(methods))(VIEWS[places[0].does])

    def chosen(request: Any, **values: Any) -> Any:
        return methods[request.method](request, **values)

    return require_http_methods(list(methods))(chosen)


def form(name: str, kind: str) -> str:
    return f"<{kind}:{name}>"


def patterns(mounts: tuple[str, ...] = ()) -> list[Any]:
    places, nested = below(mounts)
    by_route: dict[str, list[Place]] = {}
    for place in places:
        if place.does != "chat":
            by_route.setdefault(place.route, []).append(place)
    # What is nested has no slash of its own where its route begins with one.
    found: list[Any] = []
    for route, together in by_route.items():
        view = view_of(together)
        found += [path(written(route, form)[1:], view, name=place.name) for place in together]
    return [*found, *(path(written(mount, form)[1:] + "/", include(patterns((*mounts, mount)))) for mount in nested)]


urlpatterns = patterns()


class Conflicts:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_exception(self, _request: Any, error: Exception) -> Any:
        return HttpResponse("handled", status=409) if isinstance(error, KeyError) else None
