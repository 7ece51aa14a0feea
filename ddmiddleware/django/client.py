"""Requests of Django's test client, which calls no server's handler and so closes the body itself."""

from __future__ import annotations

from typing import Any

from ddmiddleware import asgi, wsgi
from ddmiddleware._request import KEY, Request
from ddmiddleware.django import options
from ddmiddleware.tracing import Context, Span, active, guarded


def respond(original: Any) -> Any:
    """Return ``get_response`` under the span of its request."""

    def responding(self: Any, request: Any) -> Any:
        outside = active.get()
        served = None
        with guarded:
            served = wsgi._begin(request.environ, "django", options.current.hooks)
        try:
            response = original(self, request)
        except BaseException as error:
            _failed(served, error)
            raise
        finally:
            active.set(outside)
        _answered(served, response)
        return response

    return responding


def respond_async(original: Any) -> Any:
    """Return ``get_response_async`` under the span of its request."""

    async def responding(self: Any, request: Any) -> Any:
        outside: Span | Context | None = active.get()
        served = None
        with guarded:
            served = _begin(request.scope)
        try:
            response = await original(self, request)
        except BaseException as error:
            _failed(served, error)
            raise
        finally:
            active.set(outside)
        _answered(served, response)
        return response

    return responding


def _begin(scope: Any) -> Request | None:
    """Begin a request of the asynchronous client, whose query strings are text against the specification."""
    query = scope.get("query_string", b"")
    shown = {**scope, "query_string": query.encode("latin-1", "replace")} if isinstance(query, str) else scope
    served = asgi._begin(shown, "django", options.current.hooks)
    if served is not None:
        scope[KEY] = served
    return served


def _failed(served: Request | None, error: BaseException) -> None:
    if served is not None:
        with guarded:
            served.failed(error)
        with guarded:
            served.finish()


def _answered(served: Request | None, response: Any) -> None:
    """End the request, or let it end when the client closes a body that is still to come."""
    if served is None:
        return
    with guarded:
        served.answered(response.status_code, response.items())
    with guarded:
        if response.streaming:
            response._resource_closers.append(served.finish)
        else:
            served.finish()
