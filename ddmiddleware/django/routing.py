"""The name of a request, its URL's template, known before any view middleware runs; and what went wrong with it."""

from __future__ import annotations

from typing import Any

from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import guarded

integration = Integration("django")


def request_of(request: Any) -> Request | None:
    """Return our request of a Django request, or None where it is not traced."""
    scope = getattr(request, "scope", None)
    found: Request | None = (request.META if scope is None else scope).get(KEY)
    return found


# resolve_request, because the URLconf that a middleware chose for this request is known there, and the match after it.
@integration.replaces("django.core.handlers.base:BaseHandler.resolve_request")
def resolve(original: Any) -> Any:
    def resolving(self: Any, request: Any) -> Any:
        match = original(self, request)
        with guarded:
            served = request_of(request)
            if served is not None:
                name(served, request, match)
        return match

    return resolving


def name(served: Request, request: Any, match: Any) -> None:
    """Name a request after the ``ResolverMatch`` of its URL."""
    tags = served.span._meta
    tags["django.view"] = view_name(match.func)
    if match.namespaces:
        tags["django.namespace"] = ":".join(match.namespaces)
    served.matched("/" + template(match.route), request.META.get("SCRIPT_NAME", "").rstrip("/"))


def template(route: str) -> str:
    """Return a route as it is written, without the anchors of a regular expression around it."""
    route = route.removeprefix("^").removeprefix("\\A").removesuffix("\\Z")
    if route.endswith("$") and not route.endswith("\\$"):
        route = route[:-1]
    return route


def view_name(view: Any) -> str:
    """Return ``module.function`` or ``module.Class`` of a view; REST framework's classes are named as well."""
    view = getattr(view, "view_class", None) or getattr(view, "cls", None) or view
    if not hasattr(view, "__qualname__"):
        view = type(view)
    return f"{view.__module__}.{view.__qualname__}"


# The last two see what the first does not: an error that a middleware answers, and one of an error handler.
@integration.observes("django.core.handlers.exception:response_for_exception")
def failed(request: Any, error: BaseException) -> None:
    served = request_of(request)
    if served is not None:
        served.handled(error)


@integration.observes("django.core.handlers.base:BaseHandler.process_exception_by_middleware")
def answered_by_middleware(_handler: Any, error: BaseException, request: Any) -> None:
    failed(request, error)


@integration.observes("django.core.handlers.exception:handle_uncaught_exception")
def uncaught(request: Any, _resolver: Any, exc_info: Any) -> None:
    failed(request, exc_info[1])


# The development server's static files: they are answered before any URL is resolved.
@integration.observes("django.contrib.staticfiles.handlers:StaticFilesHandlerMixin.serve")
def static(handler: Any, request: Any) -> None:
    served = request_of(request)
    if served is not None:
        served.matched(f"{handler.base_url[2]}<path:path>")
