"""CherryPy, under the names of ``ddtrace.contrib.cherrypy``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("cherrypy")


class TraceMiddleware:
    """Trace all of CherryPy: ``TraceMiddleware(cherrypy, tracer, service="shop", distributed_tracing=True)``."""

    def __init__(
        self, app: Any, tracer: Any = None, service: str | None = None, distributed_tracing: bool | None = None
    ) -> None:
        """*app* is the module ``cherrypy``; there is one tracer."""
        if service:
            config.cherrypy["service"] = service
        if distributed_tracing is not None:
            config.cherrypy["distributed_tracing"] = distributed_tracing
        patch()


__all__ = ["TraceMiddleware", "patch", "unpatch"]
