"""Flask: one span per request, named after the rule that matched.

``TraceMiddleware(app)`` traces one application; ``patch_all()`` traces all of them.

https://flask.palletsprojects.com
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ddmiddleware import _servers, wsgi
from ddmiddleware._flask_steps import steps
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings

if TYPE_CHECKING:
    import flask

_routing = Integration("flask", parts=(_servers.integration,))
integration = Integration("flask", requires="flask>=2.0", parts=(_routing, steps))


class TraceMiddleware:
    """Trace the requests of one application, by wrapping its ``wsgi_app``."""

    def __init__(self, app: flask.Flask, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``."""
        self.app = app
        if default_settings["DD_TRACE_ENABLED"]:
            app.wsgi_app = wsgi.TraceMiddleware(app.wsgi_app, "flask", **hooks)  # type: ignore[method-assign]
            _routing.keep()
            steps.keep()


# __call__, because a user's own middleware is put around wsgi_app, below it.
@integration.replaces("flask.app:Flask.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return original(self, environ, start_response)
        return wsgi.serve(partial(original, self), environ, start_response, "flask")

    return serving


# full_dispatch_request, because the rule is known when it begins, and no function of the user's has run yet.
@_routing.observes("flask.app:Flask.full_dispatch_request")
def route(app: Any, *_args: Any) -> None:
    served = _served()
    request = served.environ.get(KEY)
    if request is None:
        return
    rule = served.url_rule
    if rule is not None:
        request.span._meta["flask.endpoint"] = rule.endpoint
    else:
        rule = _refused(app, served)
    if rule is not None:
        request.matched(rule.rule, served.environ.get("SCRIPT_NAME", ""))


# Both, because the one sees what the application's error handlers answer, the other what none of them does.
@_routing.observes("flask.app:Flask.handle_user_exception", "flask.app:Flask.handle_exception")
def error(_app: Any, *args: Any) -> None:
    request = _served().environ.get(KEY)
    if request is not None:
        request.handled(args[-1])


def _served() -> Any:
    import flask

    proxy: Any = flask.request
    return proxy._get_current_object()


def _refused(app: Any, served: Any) -> Any:
    """Return the rule that a request has the wrong method for, if that is what is wrong with it."""
    methods = getattr(served.routing_exception, "valid_methods", None)
    if not methods:
        return None
    rule, _ = app.create_url_adapter(served).match(method=methods[0], return_rule=True)
    return rule
