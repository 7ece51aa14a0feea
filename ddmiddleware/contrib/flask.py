"""Flask, under the names of ``ddtrace.contrib.flask``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config, flask
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("flask")


class TraceMiddleware(flask.TraceMiddleware):
    """Trace one application: ``TraceMiddleware(app, tracer, service="shop")``."""

    def __init__(
        self, app: Any, tracer: Any = None, service: str | None = None, distributed_tracing: bool = True
    ) -> None:
        """*service* and *distributed_tracing* are those of all Flask requests; there is one tracer."""
        super().__init__(app)
        if service:
            config.flask["service"] = service
        if not distributed_tracing:
            config.flask["distributed_tracing"] = False


__all__ = ["TraceMiddleware", "patch", "unpatch"]
