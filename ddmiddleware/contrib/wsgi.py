"""WSGI middleware, under the name of ``ddtrace.contrib.wsgi``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import wsgi
from ddmiddleware._hooks import RequestHook


class DDWSGIMiddleware(wsgi.TraceMiddleware):
    """Wrap a WSGI application: ``app = DDWSGIMiddleware(app)``."""

    def __init__(
        self,
        application: wsgi.WSGIApp,
        tracer: Any = None,
        span_modifier: RequestHook | None = None,
        app_is_iterator: bool = False,
        **hooks: Any,
    ) -> None:
        """*span_modifier* gets the span and the environ; *hooks* are those of ``ddmiddleware.wsgi.TraceMiddleware``.

        *tracer* and *app_is_iterator* are accepted for ddtrace's sake: there is one tracer, and any body will do.
        """
        super().__init__(application, span_modifier=span_modifier, **hooks)


__all__ = ["DDWSGIMiddleware"]
