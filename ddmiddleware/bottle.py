"""Bottle: one span per request, named after the rule that matched.

``app.install(TracePlugin())`` traces one application; ``patch_all()`` traces all of them.

https://bottlepy.org
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import _servers, wsgi
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

_routing = Integration("bottle", parts=(_servers.integration,))
integration = Integration("bottle", requires="bottle>=0.12", parts=(_routing,))


class TracePlugin:
    """Trace the requests of one application, also those that no route matches; install it in the outermost one."""

    name = "trace"
    api = 2

    def __init__(self, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``."""
        self._hooks = hooks
        self._apps: list[Any] = []

    def setup(self, app: Any) -> None:
        """Stand before the application: a plugin's ``apply`` would see what a route calls, and no more."""
        if default_settings["DD_TRACE_ENABLED"] and "wsgi" not in vars(app):
            app.wsgi = wsgi.TraceMiddleware(app.wsgi, "bottle", **self._hooks)
            self._apps.append(app)
            _routing.keep()

    def apply(self, callback: Any, route: Any) -> Any:
        """Leave the route's callback as it is."""
        return callback

    def close(self) -> None:
        """Stand before the application no more."""
        for app in self._apps:
            vars(app).pop("wsgi", None)
        self._apps.clear()


@integration.replaces("bottle:Bottle.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return original(self, environ, start_response)
        return wsgi.serve(partial(original, self), environ, start_response, "bottle")

    return serving


# match of the router, because the rule is known then, and no plugin nor callback has run yet.
@_routing.replaces("bottle:Router.match")
def route(original: Any) -> Any:
    def matching(self: Any, environ: Any) -> Any:
        try:
            found = original(self, environ)
        except BaseException as error:
            with guarded:
                _refused(partial(original, self), environ, error)
            raise
        with guarded:
            _matched(environ, found)
        return found

    return matching


# _cast, because every error answer passes there, whoever has raised, returned or made it.
@_routing.observes("bottle:Bottle._cast")
def error(_app: Any, out: Any, *_rest: Any) -> None:
    import bottle

    if isinstance(out, bottle.HTTPError):
        request = _served(bottle.request.environ)
        if request is not None:
            request.handled(out.exception if isinstance(out.exception, BaseException) else out)


def _served(environ: dict[str, Any]) -> Request | None:
    return environ.get(KEY)


def _matched(environ: dict[str, Any], found: tuple[Any, Any]) -> None:
    request = _served(environ)
    if request is None:
        return
    target = found[0]
    script_name = environ.get("SCRIPT_NAME", "")
    mountpoint = target.config.get("mountpoint.prefix")
    if mountpoint is None:
        request.matched(target.rule, script_name)
    else:  # of any WSGI application, which finds the prefix in its script name
        request.mounted(mountpoint.rstrip("/"), script_name)


def _refused(match: Any, environ: dict[str, Any], error: BaseException) -> None:
    """Name the rule that a request has the wrong method for, if that is what is wrong with it."""
    headers = getattr(error, "headers", None)
    allowed = headers.get("Allow") if headers is not None else None
    if allowed and KEY in environ:
        _matched(environ, match({**environ, "REQUEST_METHOD": allowed.partition(",")[0]}))
