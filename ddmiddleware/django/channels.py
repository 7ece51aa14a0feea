"""Channels: websockets beside Django's requests, named after the templates of their URL routers.

https://channels.readthedocs.io
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import asgi
from ddmiddleware._request import KEY
from ddmiddleware.django.routing import template
from ddmiddleware.integrations import Integration

integration = Integration("django")


# ProtocolTypeRouter, because it stands around all that a project serves.
@integration.replaces("channels.routing:ProtocolTypeRouter.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        if not integration.patched:
            return await original(self, scope, receive, send)
        return await asgi.serve(partial(original, self), scope, receive, send, "django")

    return serving


# The router tells nobody what matched, but it asks its patterns in order, and so can we, once a connection.
@integration.observes("channels.routing:URLRouter.__call__")
def route(router: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is None or scope["type"] != "websocket":  # below a router for HTTP, Django names the request
        return
    path = scope.get("path_remaining")
    if path is None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
    path = path.lstrip("/")
    pattern = next((pattern for pattern in router.routes if pattern.pattern.match(path)), None)
    if pattern is None:
        return
    found = template(str(pattern.pattern))
    if getattr(pattern.callback, "_path_routing", False):
        request.mounted("/" + found.rstrip("/"))
    else:
        request.matched("/" + found)
