"""Middleware of the tests' project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from ddmiddleware import tracer
from tests.middleware.requests_by_hand import MissingError

seen: list[str] = []


def note() -> None:
    """Note what the resource is while application code runs."""
    root = tracer.current_root_span()
    seen.append(root.resource if root else "")


class LateError(Exception):
    """What the middleware answers."""


class Seeing(MiddlewareMixin):
    """Looks at the request's span before the view runs, turns one error into an answer, and fails if asked to."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if "early" in request.GET:
            return HttpResponse("early", status=int(request.GET["early"]))
        if "broken" in request.GET:
            raise MissingError("in a middleware")
        return None

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        note()

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return HttpResponse("sorry", status=503) if isinstance(error, LateError) else None


def plain(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that is a function."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    return middleware
