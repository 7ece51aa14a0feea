"""Bottle, under the names of ``ddtrace.contrib.bottle``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import bottle, config
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("bottle")


class TracePlugin(bottle.TracePlugin):
    """Trace one application: ``app.install(TracePlugin(service="shop", tracer=tracer))``."""

    def __init__(
        self, service: str | None = None, tracer: Any = None, distributed_tracing: bool | None = None, **hooks: Any
    ) -> None:
        """*service* and *distributed_tracing* are those of all Bottle requests; there is one tracer."""
        super().__init__(**hooks)
        if service:
            config.bottle["service"] = service
        if distributed_tracing is not None:
            config.bottle["distributed_tracing"] = distributed_tracing


__all__ = ["TracePlugin", "patch", "unpatch"]
