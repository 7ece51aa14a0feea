"""WSGI middleware, under the name of ``ddtrace.contrib.wsgi``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import wsgi


class DDWSGIMiddleware(wsgi.TraceMiddleware):
    """Wrap a WSGI application: ``app = DDWSGIMiddleware(app)``."""

    def __init__(self, application: wsgi.WSGIApp, tracer: Any = None, app_is_iterator: bool = False) -> None:
        """*tracer* and *app_is_iterator* are accepted for ddtrace's sake: there is one tracer, and any body will do."""
        super().__init__(application)


__all__ = ["DDWSGIMiddleware"]
