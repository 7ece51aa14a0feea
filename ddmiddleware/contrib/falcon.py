"""Falcon, under the names of ``ddtrace.contrib.falcon``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("falcon")


class TraceMiddleware:
    """A component for ``falcon.App(middleware=[TraceMiddleware(tracer, service="shop")])``.

    Such a component sees neither the body nor what is around it: having one traces all of Falcon.
    """

    def __init__(self, tracer: Any = None, service: str | None = None, distributed_tracing: bool | None = None) -> None:
        """*service* and *distributed_tracing* are those of all Falcon requests; there is one tracer."""
        if service:
            config.falcon["service"] = service
        if distributed_tracing is not None:
            config.falcon["distributed_tracing"] = distributed_tracing
        patch()

    def process_request(self, req: Any, resp: Any) -> None:
        """Do nothing: Falcon takes no component without a method of this kind."""

    async def process_request_async(self, req: Any, resp: Any) -> None:
        """Do nothing, in an ASGI application."""


__all__ = ["TraceMiddleware", "patch", "unpatch"]
