"""Litestar: one span per request, named after the path template of its route.

``TraceMiddleware(app)`` traces one application; ``patch_all()`` traces all of them.

https://docs.litestar.dev
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import _servers, asgi
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings

_routing = Integration("litestar", parts=(_servers.integration,))
integration = Integration("litestar", requires="litestar>=2.13", parts=(_routing,))


class TraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one application, put around it: those in its list do not see what no route matches."""

    def __init__(self, app: asgi.ASGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        super().__init__(app, "litestar", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _routing.keep()


# __call__, because everything else, the application's middleware too, is below it.
@integration.replaces("litestar.app:Litestar.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "litestar")

    return serving


# The router's __call__, because the middleware of routes runs below it. Litestar keeps what handle_routing finds, so
# that asking for it first costs next to nothing.
@_routing.observes("litestar._asgi.asgi_router:ASGIRouter.__call__")
def route(self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is None:
        return
    from litestar.exceptions import HTTPException
    from litestar.utils import normalize_path

    path, root = scope["path"], scope.get("root_path", "")
    path = normalize_path(path.split(root, maxsplit=1)[-1] if root else path)
    find = self.handle_routing
    try:
        _, handler, rest, _, template = find(path=path, method=scope.get("method"))
    except HTTPException as refused:
        allowed = (refused.headers or {}).get("allow", "")
        if refused.status_code != 405 or not allowed:
            return
        try:
            _, handler, rest, _, template = find(path=path, method=allowed.partition(",")[0])
        except HTTPException:
            return  # the parameters are read after the method, and may be of no such type
    if getattr(handler, "is_mount", False):
        request.mounted(path.removesuffix(rest.rstrip("/")).rstrip("/"))
    else:
        request.matched(template)
