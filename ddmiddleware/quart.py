"""Quart: one span per request, named after the rule that matched.

``TraceMiddleware(app)`` traces one application; ``patch_all()`` traces all of them.

https://quart.palletsprojects.com
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ddmiddleware import _servers, asgi
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings

if TYPE_CHECKING:
    import quart

_routing = Integration("quart", parts=(_servers.integration,))
integration = Integration("quart", requires="quart>=0.19", parts=(_routing,))


class TraceMiddleware:
    """Trace the requests of one application, by wrapping its ``asgi_app``."""

    def __init__(self, app: quart.Quart, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        self.app = app
        if default_settings["DD_TRACE_ENABLED"]:
            app.asgi_app = asgi.TraceMiddleware(app.asgi_app, "quart", **hooks)  # type: ignore[method-assign, assignment, arg-type]
            _routing.keep()


# __call__, because a user's own middleware is put around asgi_app, below it.
@integration.replaces("quart.app:Quart.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "quart")

    return serving


# full_dispatch_..., because the rule is known when it begins, and no function of the user's has run yet.
@_routing.observes("quart.app:Quart.full_dispatch_request", "quart.app:Quart.full_dispatch_websocket")
def route(_app: Any, context: Any = None) -> None:
    if context is None:
        return  # a test of the user's
    # Before 0.23 contexts of requests and websockets were classes of their own.
    served = getattr(context, "request_websocket", None) or context._request_websocket
    request = served.scope.get(KEY)
    if request is None:
        return
    rule = served.url_rule
    if rule is not None:
        request.span._meta["quart.endpoint"] = rule.endpoint
    else:
        methods = getattr(served.routing_exception, "valid_methods", None)
        if not methods:
            return
        rule, _ = context.url_adapter.match(method=next(iter(methods)), return_rule=True)
    request.matched(rule.rule)


# Both, because the one sees what the application's error handlers answer, the other what none of them does.
@_routing.observes(
    "quart.app:Quart.handle_user_exception",
    "quart.app:Quart.handle_exception",
    "quart.app:Quart.handle_websocket_exception",
)
def error(_app: Any, *raised: Any) -> None:
    request = _served()
    if request is not None:
        request.handled(raised[-1])  # the context comes before it since 0.23


def _served() -> Request | None:
    import quart

    scope: Any = {}
    if quart.has_request_context():
        scope = quart.request.scope
    elif quart.has_websocket_context():
        scope = quart.websocket.scope
    found: Request | None = scope.get(KEY)
    return found
