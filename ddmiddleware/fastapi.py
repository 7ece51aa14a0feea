"""FastAPI: Starlette's spans by a name of its own, and the templates of included routers.

``app.add_middleware(TraceMiddleware)`` traces one application; ``patch_all()`` traces all of them.

https://fastapi.tiangolo.com
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import asgi, starlette
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

_routing = Integration("fastapi")
integration = Integration("fastapi", requires="fastapi>=0.95", parts=(_routing, starlette.routing))


class TraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one application."""

    def __init__(self, app: asgi.ASGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        super().__init__(app, "fastapi", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _routing.keep()
            starlette.routing.keep()


# __call__, because everything else, the application's middleware too, is below it.
@integration.replaces("fastapi.applications:FastAPI.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            await original(self, scope, receive, send)
            return
        if self.root_path:  # what FastAPI does first of all, and what the route and the URL begin with
            scope["root_path"] = self.root_path
        await asgi.serve(partial(original, self), scope, receive, send, "fastapi")

    return serving


# handle, because newer versions keep an included router's routes as they are, and its prefix in the scope until then.
# Without a prefix it goes on to Starlette's, which is observed; in older versions it is Starlette's.
@_routing.replaces("fastapi.routing:APIRoute.handle")
def route(original: Any) -> Any:
    if original.__qualname__ == "Route.handle":
        return original

    async def handling(self: Any, scope: Any, receive: Any, send: Any) -> None:
        with guarded:
            request = scope.get(KEY)
            if request is not None:
                included = _included(self, scope)
                if included is not None:
                    request.matched(included.path)
        await original(self, scope, receive, send)

    return handling


# Of the group, because the prefix is not known below it. What it serves are files, whose paths are no templates.
@_routing.observes("fastapi.routing:_FrontendRouteGroup.handle")
def frontend(self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is not None:
        included = _included(self, scope)
        prefix = included.frontend_prefix if included is not None else ""
        found = self._match(scope, prefix=prefix)[-1]
        if found is not None:
            request.mounted((prefix + found.path).rstrip("/"))


def _included(route: Any, scope: Any) -> Any:
    """Return what *route* is as part of the router that it was included with, or None."""
    found = scope.get("fastapi", {}).get("effective_route_context")
    return found if found is not None and found.original_route is route else None
