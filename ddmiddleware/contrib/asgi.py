"""ASGI middleware, under the names of ``ddtrace.contrib.asgi``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import asgi
from ddmiddleware._hooks import RequestHook
from ddmiddleware._request import KEY
from ddmiddleware.tracing import Span


class TraceMiddleware(asgi.TraceMiddleware):
    """Wrap an ASGI application: ``app = TraceMiddleware(app)``."""

    def __init__(
        self,
        app: asgi.ASGIApp,
        tracer: Any = None,
        integration_config: Any = None,
        handle_exception_span: Any = None,
        span_modifier: RequestHook | None = None,
        **hooks: Any,
    ) -> None:
        """*span_modifier* gets the span and the scope; *hooks* are those of ``ddmiddleware.asgi.TraceMiddleware``.

        *tracer*, *integration_config* and *handle_exception_span* are accepted for ddtrace's sake, and have no effect.
        """
        super().__init__(app, span_modifier=span_modifier, **hooks)


def span_from_scope(scope: asgi.Scope) -> Span | None:
    """Return the span of the request that *scope* belongs to, or None."""
    request = scope.get(KEY)
    return None if request is None else request.span


__all__ = ["TraceMiddleware", "span_from_scope"]
