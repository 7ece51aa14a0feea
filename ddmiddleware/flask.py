"""Flask: one span per request, named after the rule that matched.

``TraceMiddleware(app)`` traces one application; ``patch_all()`` traces all of them.

https://flask.palletsprojects.com
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ddmiddleware import wsgi
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration

if TYPE_CHECKING:
    import flask

_routing = Integration("flask")
integration = Integration("flask", requires="flask>=2.0", parts=(_routing,))


class TraceMiddleware:
    """Trace the requests of one application, by wrapping its ``wsgi_app``."""

    def __init__(self, app: flask.Flask) -> None:
        self.app = app
        app.wsgi_app = wsgi.TraceMiddleware(app.wsgi_app, "flask")  # type: ignore[method-assign]
        _routing.patch()


# __call__, because a user's own middleware is put around wsgi_app, below it.
@integration.replaces("flask.app:Flask.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        return wsgi.serve(partial(original, self), environ, start_response, "flask")

    return serving


# full_dispatch_request, because the rule is known when it begins, and no function of the user's has run yet.
@_routing.observes("flask.app:Flask.full_dispatch_request")
def route(_app: Any, *_args: Any) -> None:
    import flask

    current: Any = flask.request
    served = current._get_current_object()
    request = served.environ.get(KEY)
    if request is not None and served.url_rule is not None:
        request.span._meta["flask.endpoint"] = served.url_rule.endpoint
        request.matched(served.environ.get("SCRIPT_NAME", "") + served.url_rule.rule)


# Both, because the one sees what the application's error handlers answer, the other what none of them does.
@_routing.observes("flask.app:Flask.handle_user_exception", "flask.app:Flask.handle_exception")
def error(_app: Any, *args: Any) -> None:
    import flask

    current: Any = flask.request
    request = current.environ.get(KEY)
    if request is not None:
        request.handled(args[-1])
