"""Falcon, WSGI and ASGI: one span per request, named after the URI template of its route.

``app = TraceMiddleware(app)`` traces one application, ``ASGITraceMiddleware(app)`` one of ``falcon.asgi``;
``patch_all()`` traces all of them.

https://falcon.readthedocs.io
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import _servers, asgi, wsgi
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

_routing = Integration("falcon", parts=(_servers.integration,))
integration = Integration("falcon", requires="falcon>=3.0", parts=(_routing,))


class TraceMiddleware(wsgi.TraceMiddleware):
    """Trace the requests of one ``falcon.App``."""

    def __init__(self, app: wsgi.WSGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``."""
        super().__init__(app, "falcon", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _routing.keep()


class ASGITraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one ``falcon.asgi.App``."""

    def __init__(self, app: Any, **hooks: Any) -> None:  # Falcon's types are narrower than those of the specification
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        super().__init__(app, "falcon", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _routing.keep()


# __call__, because everything else, the application's middleware too, is below it.
@integration.replaces("falcon.app:App.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, env: Any, start_response: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return original(self, env, start_response)
        return wsgi.serve(partial(original, self), env, start_response, "falcon")

    return serving


@integration.replaces("falcon.asgi.app:App.__call__")
def call_async(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "falcon")

    return serving


# _get_responder, because it knows the template before the resource's middleware and its responder run; both kinds of
# application call it, for HTTP and websockets.
@_routing.replaces("falcon.app:App._get_responder")
def route(original: Any) -> Any:
    def routing(self: Any, req: Any) -> Any:
        found = original(self, req)
        with guarded:
            _matched(self, req, found)
        return found

    return routing


# _handle_exception, because every exception ends there, also those that falcon or a handler answers.
@_routing.observes("falcon.app:App._handle_exception", "falcon.asgi.app:App._handle_exception")
def error(_self: Any, req: Any, _resp: Any, ex: BaseException, *_rest: Any, **_named: Any) -> None:
    request, _ = _served(req)
    if request is not None:
        request.handled(ex)


def _served(req: Any) -> tuple[Request | None, str]:
    """Return the request that is served, and its script name."""
    scope = getattr(req, "scope", None)
    if scope is not None:
        request = scope.get(KEY)
        # Falcon matches all that is in the path: where a server leaves the root path there, its templates hold it.
        if request is not None and request._prefix:
            root_path = scope.get("root_path", "")
            if request._prefix == root_path and scope["path"].startswith(root_path):
                request._prefix = ""
        return request, ""
    return req.env.get(KEY), req.env.get("SCRIPT_NAME", "")


def _matched(app: Any, req: Any, found: tuple[Any, ...]) -> None:
    request, script_name = _served(req)
    if request is None:
        return
    responder, _, _, template = found
    if template is None:
        template = _prefix(app, responder)
    if template is not None:
        request.matched(template, script_name)


def _prefix(app: Any, responder: Any) -> str | None:
    """Return a template for a static route, or for a sink, which takes whatever its pattern begins."""
    for matcher, taker, is_sink in app._sink_and_static_routes:
        if taker is responder:
            prefix: str = matcher.pattern if is_sink else matcher._prefix
            return prefix.rstrip("/") + "/{path}"
    return None
