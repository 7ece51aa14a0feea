"""Connexion: one span per request, named after the path of the specification.

``app = TraceMiddleware(app)`` traces one application; ``patch_all()`` traces all of them. Version 2 is Flask, and
traced as such.

https://connexion.readthedocs.io
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import _servers, asgi, starlette
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings

# Where the template that the application itself is mounted under is kept: a key of the ASGI scope.
_PREFIX = "ddmiddleware.connexion_prefix"

_routing = Integration("connexion", parts=(_servers.integration,))
# Connexion routes by Starlette's router.
integration = Integration("connexion", requires="connexion>=3.0", parts=(_routing, starlette.routing))


class TraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one application."""

    def __init__(self, app: asgi.ASGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        super().__init__(app, "connexion", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _routing.keep()
            starlette.routing.keep()


# The middleware's, because both kinds of application end there, and it may wrap an ASGI application of any kind.
@integration.replaces("connexion.middleware.main:ConnexionMiddleware.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "connexion")

    return serving


# These three, because each has a router of its own, and gets the scope as it was before the one in front.
@_routing.observes(
    "connexion.middleware.swagger_ui:SwaggerUIMiddleware.__call__",
    "connexion.middleware.routing:RoutingMiddleware.__call__",
    "connexion.apps.asynchronous:AsyncASGIApp.__call__",
)
def router(_self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is not None:
        request._prefix = scope.setdefault(_PREFIX, request._prefix)
