"""Starlette and what is built on it: one span per request, named after the full path template of its route.

``app.add_middleware(TraceMiddleware)`` traces one application; ``patch_all()`` traces all of them.

https://www.starlette.io
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import asgi
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration

_routing = Integration("starlette")
integration = Integration("starlette", requires="starlette>=0.20", parts=(_routing,))


class TraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one application."""

    def __init__(self, app: asgi.ASGIApp) -> None:
        super().__init__(app, "starlette")
        _routing.patch()


# __call__, because everything else, the application's middleware too, is below it.
@integration.replaces("starlette.applications:Starlette.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await asgi.serve(partial(original, self), scope, receive, send, "starlette")

    return serving


# handle, because a route is entered there once it has matched, before the endpoint runs.
@_routing.observes("starlette.routing:Route.handle", "starlette.routing:WebSocketRoute.handle")
def route(self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is not None:
        request.matched(self.path)


@_routing.observes("starlette.routing:Mount.handle")
def mount(self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is not None:
        request.mounted(self.path)
