"""aiohttp's server, under the names of ``ddtrace.contrib.aiohttp``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import aiohttp, config
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("aiohttp")


def trace_app(app: Any, tracer: Any = None, service: str | None = None) -> None:
    """Trace one application: ``trace_app(app, tracer, service="shop")``.

    *service* is that of all of aiohttp's requests, None the application's own; there is one tracer.
    """
    aiohttp.trace_app(app)
    if service:
        config.aiohttp["service"] = service


__all__ = ["patch", "trace_app", "unpatch"]
